//! Every function on every instruction set, over the whole range of floats, against f64.

use super::*;
use crate::{InstructionSet, Vectorized};

/// A function of vectors, as a value.
#[derive(Clone, Copy, Debug)]
enum Function {
    Exp,
    Exp2Weight,
    Tanh,
    Gelu,
    SquaredRelu,
}

impl Function {
    fn exact(self, x: f64) -> f64 {
        match self {
            Self::Exp => x.exp(),
            Self::Exp2Weight => x.exp2(),
            Self::Tanh => x.tanh(),
            Self::Gelu => reference::gelu(x),
            Self::SquaredRelu => reference::squared_relu(x),
        }
    }

    /// The bound that the table of the module states.
    fn allowed_ulps(self) -> f64 {
        match self {
            Self::Exp => 1.5,
            Self::Exp2Weight => 2.2,
            Self::Tanh => 3.5,
            Self::Gelu => 4.5,
            Self::SquaredRelu => 0.5,
        }
    }
}

/// Applies a function to a slice, in place.
struct Apply<'a>(Function, &'a mut [f32]);

impl Vectorized for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(function, values) = self;
        for chunk in values.chunks_mut(S::LANES) {
            // SAFETY: as many floats as the chunk has are read and written.
            unsafe {
                let x = simd.load_partial(chunk.as_ptr(), chunk.len());
                let y = match function {
                    Function::Exp => exp(simd, x),
                    Function::Exp2Weight => exp2_weight(simd, x),
                    Function::Tanh => tanh(simd, x),
                    Function::Gelu => gelu(simd, x),
                    Function::SquaredRelu => squared_relu(simd, x),
                };
                y.store_partial(chunk.as_mut_ptr(), chunk.len());
            }
        }
    }
}

fn apply(set: InstructionSet, function: Function, x: &[f32]) -> Vec<f32> {
    let mut y = x.to_vec();
    set.run(Apply(function, &mut y));
    y
}

/// Units in the last place between a float and the exact value, the subnormal spacing at least.
fn ulps(got: f32, exact: f64) -> f64 {
    let magnitude = (exact.abs() as f32).max(f32::MIN_POSITIVE);
    let unit = f64::from(magnitude.next_up()) - f64::from(magnitude);
    (f64::from(got) - exact).abs() / unit
}

#[test]
fn functions_are_right_to_the_stated_units_in_the_last_place() {
    let all = (0..u32::MAX).step_by(4099).map(f32::from_bits).filter(|x| x.is_finite());
    let near = (-130_000..130_000).map(|i| i as f32 / 1200.0);
    let x: Vec<f32> = all.chain(near).collect();
    for function in [Function::Exp, Function::Tanh, Function::Gelu, Function::SquaredRelu] {
        let exact: Vec<f64> = x.iter().map(|&x| function.exact(f64::from(x))).collect();
        for set in InstructionSet::supported() {
            let mut worst = (0.0, 0.0, 0.0);
            for ((&x, y), &exact) in x.iter().zip(apply(set, function, &x)).zip(&exact) {
                // Both infinite, or both 0.
                let error = if y == exact as f32 { ulps(y, exact).min(0.5) } else { ulps(y, exact) };
                if error.is_nan() || error > worst.0 {
                    worst = (error, x, y);
                }
            }
            let (error, x, y) = worst;
            assert!(error <= function.allowed_ulps(), "{set:?} {function:?}({x:e}) = {y:e}, {error} units off");
        }
    }
}

/// Every 61st float from -0 to minus infinity, and all that are next to a whole number or at an end of the range.
#[test]
fn weights_are_right_to_the_stated_units_in_the_last_place() {
    let all = ((-0.0_f32).to_bits()..=f32::NEG_INFINITY.to_bits()).step_by(61).map(f32::from_bits);
    let near = (0..=130).map(|n| -(n as f32)).flat_map(|n| [n.next_down(), n, n.next_up()]).filter(|&x| x <= 0.0);
    let x: Vec<f32> = all.chain(near).collect();
    let exact: Vec<f64> = x.iter().map(|&x| Function::Exp2Weight.exact(f64::from(x))).collect();
    for set in InstructionSet::supported() {
        for ((&x, y), &exact) in x.iter().zip(apply(set, Function::Exp2Weight, &x)).zip(&exact) {
            let is_zero = y == 0.0 && exact < f64::from(f32::MIN_POSITIVE);
            let error = ulps(y, exact);
            assert!(is_zero || error <= Function::Exp2Weight.allowed_ulps(), "{set:?} 2^{x:e} = {y:e}, {error} units");
            assert!((0.0..=1.0).contains(&y), "{set:?} 2^{x:e} = {y:e}");
        }
        let y = apply(set, Function::Exp2Weight, &[0.0, -0.0, -1.0, -126.0, -1e30, f32::NEG_INFINITY, f32::NAN]);
        assert_eq!(y[..6], [1.0, 1.0, 0.5, f32::MIN_POSITIVE, 0.0, 0.0], "{set:?}");
        assert!(y[6].is_nan(), "{set:?}");
    }
}

#[test]
fn functions_of_what_is_not_finite() {
    let x = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0];
    for set in InstructionSet::supported() {
        for (function, expected) in [
            (Function::Exp, [f32::INFINITY, 0.0, 1.0, 1.0]),
            (Function::Tanh, [1.0, -1.0, -0.0, 0.0]),
            (Function::Gelu, [f32::INFINITY, -0.0, -0.0, 0.0]),
            (Function::SquaredRelu, [f32::INFINITY, 0.0, 0.0, 0.0]),
        ] {
            let y = apply(set, function, &x);
            assert!(y[0].is_nan(), "{set:?} {function:?}");
            assert_eq!(y[1..], expected, "{set:?} {function:?}");
        }
    }
}

#[test]
fn exp_at_the_ends_of_its_range() {
    for set in InstructionSet::supported() {
        let y = apply(set, Function::Exp, &[88.722_83, 88.722_84, 1e30, -87.336_54, -103.972_08, -103.972_09, -1e30]);
        assert!(y[0].is_finite() && y[1] == f32::INFINITY && y[2] == f32::INFINITY, "{set:?} {y:?}");
        assert!(y[3] > 0.0 && y[4] == f32::from_bits(1) && y[5] == 0.0 && y[6] == 0.0, "{set:?} {y:?}");
    }
}
