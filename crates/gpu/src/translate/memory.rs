//! Memory accesses of a SPIR-V module under the Vulkan memory model.
//!
//! A module is a header of five words and instructions, each of which begins with its length and its opcode. Two things
//! are added: to loads and stores of buffers and workgroup memory, that other invocations see them (NonPrivatePointer),
//! and to barriers, that they make writes available and visible.
//!
//! Source: the SPIR-V specification 1.6, sections 2.3, 3.25 and 3.26, and SPV_KHR_cooperative_matrix.

use std::collections::HashMap;

const HEADER: usize = 5;
/// The word of the header that is above all ids.
const BOUND: usize = 3;

/// Storage classes whose memory other invocations have, too.
const SHARED_CLASSES: [u32; 2] = [storage_class::WORKGROUP, storage_class::STORAGE_BUFFER];

mod storage_class {
    pub(super) const WORKGROUP: u32 = 4;
    pub(super) const STORAGE_BUFFER: u32 = 12;
}

mod op {
    pub(super) const MEMORY_MODEL: u32 = 14;
    pub(super) const TYPE_POINTER: u32 = 32;
    pub(super) const CONSTANT: u32 = 43;
    pub(super) const FUNCTION: u32 = 54;
    pub(super) const FUNCTION_PARAMETER: u32 = 55;
    pub(super) const VARIABLE: u32 = 59;
    pub(super) const LOAD: u32 = 61;
    pub(super) const STORE: u32 = 62;
    pub(super) const ACCESS_CHAIN: u32 = 65;
    pub(super) const IN_BOUNDS_ACCESS_CHAIN: u32 = 66;
    pub(super) const CONTROL_BARRIER: u32 = 224;
    pub(super) const MEMORY_BARRIER: u32 = 225;
    pub(super) const COOPERATIVE_MATRIX_LOAD: u32 = 4457;
    pub(super) const COOPERATIVE_MATRIX_STORE: u32 = 4458;
}

/// Operands of OpMemoryModel.
const LOGICAL: u32 = 0;
const VULKAN: u32 = 3;

/// The memory operand NonPrivatePointer.
const NON_PRIVATE: u32 = 0x20;

/// Memory semantics of a barrier: MakeAvailable and MakeVisible.
const AVAILABLE_AND_VISIBLE: u32 = 0x2000 | 0x4000;

/// The instructions behind the header; `None` where a length is zero or too large.
fn instructions(module: &[u32]) -> Option<Vec<&[u32]>> {
    let mut rest = module.get(HEADER..)?;
    let mut all = Vec::new();
    while let Some(first) = rest.first() {
        let (instruction, behind) = rest.split_at_checked((first >> 16) as usize)?;
        if instruction.is_empty() {
            return None;
        }
        all.push(instruction);
        rest = behind;
    }
    Some(all)
}

fn opcode(instruction: &[u32]) -> u32 {
    instruction[0] & 0xffff
}

/// What the accesses of a module are looked up in.
#[derive(Default)]
struct Known {
    /// Of types of pointers, and of pointers.
    classes: HashMap<u32, u32>,
    /// Types and values of constants of one word.
    constants: HashMap<u32, (u32, u32)>,
    /// Of the constants that barriers take: the ones that take their place.
    semantics: HashMap<u32, u32>,
}

impl Known {
    fn of(module: &[&[u32]], bound: &mut u32) -> Option<Self> {
        let mut known = Self::default();
        for instruction in module {
            match (opcode(instruction), &instruction[1..]) {
                (op::TYPE_POINTER, &[id, class, ..]) => _ = known.classes.insert(id, class),
                (op::CONSTANT, &[ty, id, value]) => _ = known.constants.insert(id, (ty, value)),
                (
                    op::VARIABLE | op::FUNCTION_PARAMETER | op::ACCESS_CHAIN | op::IN_BOUNDS_ACCESS_CHAIN,
                    &[ty, id, ..],
                ) => {
                    if let Some(&class) = known.classes.get(&ty) {
                        known.classes.insert(id, class);
                    }
                }
                (op::CONTROL_BARRIER, &[_, _, semantics]) | (op::MEMORY_BARRIER, &[_, semantics]) => {
                    known.constants.get(&semantics)?;
                    known.semantics.entry(semantics).or_insert_with(|| {
                        *bound += 1;
                        *bound - 1
                    });
                }
                _ => {}
            }
        }
        Some(known)
    }

    fn is_shared(&self, pointer: u32) -> bool {
        self.classes.get(&pointer).is_some_and(|class| SHARED_CLASSES.contains(class))
    }

    /// The constants that barriers take now.
    fn declarations(&self) -> Vec<u32> {
        let mut pairs: Vec<_> = self.semantics.iter().collect();
        pairs.sort_unstable();
        pairs
            .into_iter()
            .flat_map(|(old, new)| {
                let (ty, value) = self.constants[old];
                [4 << 16 | op::CONSTANT, ty, *new, value | AVAILABLE_AND_VISIBLE]
            })
            .collect()
    }

    /// The instruction as it has to be.
    fn completed(&self, instruction: &[u32]) -> Vec<u32> {
        let mut words = instruction.to_vec();
        match (opcode(instruction), &instruction[1..]) {
            (op::LOAD, &[_, _, pointer])
            | (op::STORE, &[pointer, _])
            | (op::COOPERATIVE_MATRIX_LOAD, &[_, _, pointer, _, _])
            | (op::COOPERATIVE_MATRIX_STORE, &[pointer, _, _, _])
                if self.is_shared(pointer) =>
            {
                words.push(NON_PRIVATE);
            }
            (op::CONTROL_BARRIER, &[_, _, semantics]) => words[3] = self.semantics[&semantics],
            (op::MEMORY_BARRIER, &[_, semantics]) => words[2] = self.semantics[&semantics],
            _ => {}
        }
        words[0] = (words.len() as u32) << 16 | opcode(instruction);
        words
    }
}

/// The module with accesses and barriers as the Vulkan memory model wants them between invocations; `None` for what is
/// no module.
pub(super) fn shared(module: &[u32]) -> Option<Vec<u32>> {
    let instructions = instructions(module)?;
    let model = instructions.iter().find(|instruction| opcode(instruction) == op::MEMORY_MODEL)?;
    if model[1..] != [LOGICAL, VULKAN] {
        return Some(module.to_vec());
    }
    let mut bound = module[BOUND];
    let known = Known::of(&instructions, &mut bound)?;
    let mut whole = module[..HEADER].to_vec();
    whole[BOUND] = bound;
    let first_function = instructions.iter().position(|instruction| opcode(instruction) == op::FUNCTION)?;
    for (at, instruction) in instructions.iter().enumerate() {
        if at == first_function {
            whole.extend(known.declarations());
        }
        whole.extend(known.completed(instruction));
    }
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Loads and stores of every kind of memory, and two barriers of the same kind.
    const KERNEL: &str = "enable f16;
enable wgpu_cooperative_matrix;
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;
@group(0) @binding(2) var<uniform> shape: vec4<u32>;
var<workgroup> sums: array<f32, 256>;
var<workgroup> halves: array<vec4<f16>, 64>;
var<workgroup> flag: atomic<u32>;
@compute @workgroup_size(32)
fn main(@builtin(local_invocation_index) t: u32) {
    var kept = x[t];
    sums[t] = kept;
    halves[t] = vec4<f16>();
    atomicStore(&flag, shape.x);
    workgroupBarrier();
    let a = coopLoadT<coop_mat16x16<f16, A>>(&halves[0], 4u);
    let b = coopLoadT<coop_mat16x16<f16, B>>(&halves[0], 4u);
    let c = coopMultiplyAdd(a, b, coop_mat16x16<f32, C>());
    coopStoreT(c, &sums[0], 16u);
    workgroupBarrier();
    kept += sums[t];
    y[t] = kept + f32(atomicLoad(&flag));
}";

    fn translated(wgsl: &str) -> Vec<u32> {
        crate::translate::translate(wgsl, false).unwrap().spirv
    }

    /// Of all instructions with this opcode.
    fn operands(module: &[u32], of: u32) -> Vec<Vec<u32>> {
        let all = instructions(module).unwrap();
        all.into_iter().filter(|words| opcode(words) == of).map(|words| words[1..].to_vec()).collect()
    }

    #[test]
    fn accesses_of_shared_memory_alone_are_not_private() {
        let module = translated(KERNEL);
        let mut bound = module[BOUND];
        let known = Known::of(&instructions(&module).unwrap(), &mut bound).unwrap();
        // The place of the pointer, and how many operands there are without those of memory.
        let accesses = [(op::LOAD, 2, 3), (op::STORE, 0, 2), (4457, 2, 5), (4458, 0, 4)];
        let mut counts = Vec::new();
        for (of, pointer, len) in accesses {
            let (mut shared, mut private) = (0, 0);
            for found in operands(&module, of) {
                if known.is_shared(found[pointer]) {
                    assert_eq!(found[len..], [NON_PRIVATE], "{of}");
                    shared += 1;
                } else {
                    assert_eq!(found.len(), len, "{of}");
                    private += 1;
                }
            }
            counts.push((shared, private > 0));
        }
        // x, sums; y, sums, halves; a, b; c. The rest is the uniform, the index and `kept`.
        assert_eq!(counts, [(2, true), (3, true), (2, false), (1, false)]);
    }

    #[test]
    fn barriers_make_writes_available_and_visible() {
        let module = translated(KERNEL);
        let constants = operands(&module, op::CONSTANT);
        let barriers = operands(&module, op::CONTROL_BARRIER);
        assert_eq!(barriers.len(), 2);
        for barrier in barriers {
            let of: Vec<_> = constants.iter().filter(|constant| constant[1] == barrier[2]).collect();
            assert_eq!(of.len(), 1);
            // AcquireRelease and WorkgroupMemory are naga's.
            assert_eq!(of[0][2], 0x8 | 0x100 | AVAILABLE_AND_VISIBLE);
        }
        let ids: std::collections::HashSet<u32> = constants.iter().map(|constant| constant[1]).collect();
        assert_eq!(ids.len(), constants.len(), "an id has one meaning");
        assert!(ids.iter().all(|&id| id < module[BOUND]));
    }

    /// Without cooperative matrices, the model is that of GLSL, which has no such operands.
    #[test]
    fn a_module_of_another_memory_model_stays_as_it_is() {
        let module = translated(
            "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
             @compute @workgroup_size(1) fn main() { x[0] += 1u; workgroupBarrier(); }",
        );
        assert_eq!(shared(&module).as_ref(), Some(&module));
        assert!(operands(&module, op::STORE).iter().all(|store| store.len() == 2));
    }

    #[test]
    fn what_is_no_module_is_refused() {
        let module = translated(KERNEL);
        assert_eq!(shared(&[]), None);
        assert_eq!(shared(&module[..HEADER]), None, "nothing behind the header");
        assert_eq!(shared(&module[..=HEADER]), None, "an instruction is cut");
        let mut endless = module.clone();
        endless[HEADER] &= 0xffff;
        assert_eq!(shared(&endless), None, "an instruction without words");
    }
}
