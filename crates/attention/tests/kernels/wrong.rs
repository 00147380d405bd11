//! Wrong kernels, which the check must reject.

use attention::{AttentionError, AttentionOp, Case, ElementType, Operands, Output, Shape, kernels};
use op::{Loaded, Ran};

use crate::check::{Trial, own};

/// The right result, tampered with: the output and the log-sum-exp.
pub(crate) struct Wrong(Box<Tamper>);

type Tamper = dyn Fn(&mut Output<'_>, &mut [f32]) + Send + Sync;

impl Wrong {
    pub(crate) fn by(tamper: impl Fn(&mut Output<'_>, &mut [f32]) + Send + Sync + 'static) -> Self {
        Self(Box::new(tamper))
    }
}

impl op::Kernel<AttentionOp> for Wrong {
    fn name(&self) -> &'static str {
        "wrong"
    }

    fn supports(&self, _: &Case) -> bool {
        true
    }

    fn load<'a>(&'a self, case: &Case, operands: Operands<'a>) -> Result<Box<dyn Loaded + 'a>, AttentionError> {
        Ok(Box::new(LoadedWrong { tamper: &self.0, case: *case, operands }))
    }
}

struct LoadedWrong<'a> {
    tamper: &'a Tamper,
    case: Case,
    operands: Operands<'a>,
}

impl Loaded for LoadedWrong<'_> {
    fn run(&mut self) {
        let Operands { q, k, v, ref mut out, ref mut lse, options } = self.operands;
        let reference = kernels().swap_remove(0);
        let operands = Operands { q, k, v, out: out.reborrow(), lse: lse.as_deref_mut(), options };
        reference.load(&self.case, operands).expect("the case fits").run();
        (self.tamper)(out, lse.as_deref_mut().unwrap_or_default());
    }

    fn ran(&self) -> Ran {
        Ran::new("wrong", "")
    }
}

type Change = fn(&mut Output<'_>, &mut [f32]);

#[test]
fn the_check_rejects_wrong_kernels() {
    let trial = Trial::dense(Shape { heads: 2, kv_heads: 2, ..own(70, 16) });
    let wrong: [Change; 8] = [
        // Another number of the right size.
        |out, _| out.set(0, 3, 1, 5, 0.1),
        // Not a number.
        |out, _| out.set(0, 0, 0, 0, f32::NAN),
        // A row of zeros, as if it saw no key.
        |out, _| (0..16).for_each(|d| out.set(0, 40, 0, d, 0.0)),
        // The log-sum-exp of one key more or less among seventy.
        |_, lse| lse[71] += (71.0_f32 / 70.0).ln(),
        |_, lse| lse[139] -= (70.0_f32 / 69.0).ln(),
        // In units of 2 instead of e.
        |_, lse| lse[7] *= std::f32::consts::LOG2_E,
        // Not a number, and that of no keys.
        |_, lse| lse[0] = f32::NAN,
        |_, lse| lse[100] = f32::NEG_INFINITY,
    ];
    // Not written: what the memory held before.
    let unwritten: [(ElementType, Change); 4] = [
        (ElementType::F32, |out, _| out.set(0, 69, 1, 15, f32::from_bits(0x7fc0_dead))),
        (ElementType::F16, |out, _| out.set(0, 69, 1, 15, half::f16::from_bits(0x7ead).to_f32())),
        (ElementType::Bf16, |out, _| out.set(0, 69, 1, 15, half::bf16::from_bits(0x7fed).to_f32())),
        (ElementType::F32, |_, lse| lse[69] = f32::from_bits(0x7fc0_dead)),
    ];
    for out_type in ElementType::ALL {
        let trial = trial.clone().stored_as(out_type);
        trial.check(&Wrong::by(|_, _| {})).expect("untouched, it is right");
        for (number, tamper) in wrong.into_iter().enumerate() {
            assert!(trial.check(&Wrong::by(tamper)).is_err(), "{out_type}: tampering {number} passed");
        }
    }
    for (number, (out_type, tamper)) in unwritten.into_iter().enumerate() {
        assert!(trial.clone().stored_as(out_type).check(&Wrong::by(tamper)).is_err(), "unwritten {number} passed");
    }
}

/// An output one unit in the last place away from the nearest.
#[test]
fn the_check_rejects_wrong_rounding() {
    // One key: O is V.
    let mut trial = Trial::dense(Shape { keys: 1, ..own(9, 16) });
    trial.v.elements.fill(1.0);
    for (out_type, unit) in [(ElementType::F16, 2.0_f32.powi(-10)), (ElementType::Bf16, 2.0_f32.powi(-7))] {
        let trial = trial.clone().stored_as(out_type);
        trial.check(&Wrong::by(|_, _| {})).unwrap();
        assert!(trial.check(&Wrong::by(move |out, _| out.set(0, 4, 0, 7, 1.0 + unit))).is_err(), "{out_type}");
    }
}
