//! Dimensions and files that are wrong get errors that say what is wrong.

use std::{cell::RefCell, collections::HashMap};

use multiview::{
    Aggregator, Config, ConfigError, Keep, Memory, RunError, SafetensorsFile, Seeded, Shape, TensorSource, TensorSpec,
    Threads, WeightsError, Workspace, reference::Model, tensors, to_safetensors,
};
use op::random::SplitMix64;

const TINY: Config = Config { embed_dim: 8, depth: 4, heads: 2, captured: [0, 1, 2, 3], channels: [3; 4] };

#[test]
fn impossible_dimensions_of_models() {
    for (config, expected) in [
        (Config { embed_dim: 0, ..TINY }, ConfigError::Zero { name: "embed_dim" }),
        (Config { depth: 0, ..TINY }, ConfigError::Zero { name: "depth" }),
        (Config { heads: 0, ..TINY }, ConfigError::Zero { name: "heads" }),
        (Config { channels: [3, 0, 3, 3], ..TINY }, ConfigError::Zero { name: "channels" }),
        (Config { heads: 3, ..TINY }, ConfigError::HeadDim { embed_dim: 8, heads: 3 }),
        (Config { heads: 16, ..TINY }, ConfigError::HeadDim { embed_dim: 8, heads: 16 }),
        (Config { heads: 4, ..TINY }, ConfigError::HeadDimOfRotation { head_dim: 2 }),
        (Config { captured: [0, 1, 2, 2], ..TINY }, ConfigError::Captured { captured: [0, 1, 2, 2], depth: 4 }),
        (Config { captured: [0, 1, 2, 4], ..TINY }, ConfigError::Captured { captured: [0, 1, 2, 4], depth: 4 }),
        (Config { depth: 5, ..TINY }, ConfigError::Captured { captured: TINY.captured, depth: 5 }),
        (Config { embed_dim: usize::MAX - 7, heads: 1, ..TINY }, ConfigError::TooLarge),
        (Config { embed_dim: 1 << 40, heads: 1, ..TINY }, ConfigError::TooLarge),
        (Config { channels: [usize::MAX; 4], ..TINY }, ConfigError::TooLarge),
        (Config { depth: usize::MAX, captured: [0, 1, 2, usize::MAX - 1], ..TINY }, ConfigError::TooLarge),
    ] {
        assert_eq!(config.check(), Err(expected), "{config:?}");
        assert_eq!(Aggregator::new(&config, &Seeded(0)).err(), Some(WeightsError::Config(expected)));
        assert_eq!(tensors(&config).err(), Some(WeightsError::Config(expected)));
        let shape = Shape::square(1, 14);
        assert_eq!(Workspace::new(&config, &shape, Threads::SERIAL).err(), Some(RunError::Config(expected)));
        assert_eq!(Memory::predict(&config, &shape, Keep::All, Threads::SERIAL).err(), Some(expected.into()));
    }
    for config in [Config::TOY, Config::HEADS_OF_64, Config::VGGT, TINY] {
        assert_eq!(config.check(), Ok(()));
    }
}

#[test]
fn impossible_extents_of_inputs() {
    let one = Shape::square(1, 14);
    for (shape, expected) in [
        (Shape { batch: 0, ..one }, ConfigError::Zero { name: "batch" }),
        (Shape { frames: 0, ..one }, ConfigError::Zero { name: "frames" }),
        (Shape { height: 0, ..one }, ConfigError::Zero { name: "height" }),
        (Shape { width: 0, ..one }, ConfigError::Zero { name: "width" }),
        (Shape { width: 15, ..one }, ConfigError::Image { height: 14, width: 15 }),
        (Shape { height: 1, ..one }, ConfigError::Image { height: 1, width: 14 }),
        (Shape { frames: usize::MAX, ..one }, ConfigError::TooLarge),
        (Shape { batch: usize::MAX / 2, frames: 3, ..one }, ConfigError::TooLarge),
        (Shape { height: usize::MAX / 14 * 14, width: 28, ..one }, ConfigError::TooLarge),
    ] {
        assert_eq!(shape.check(&TINY), Err(expected), "{shape:?}");
        assert_eq!(Workspace::new(&TINY, &shape, Threads::SERIAL).err(), Some(expected.into()));
        assert_eq!(Keep::All.bytes(&TINY, &shape), Err(expected.into()));
    }
}

#[test]
fn memory_that_the_machine_does_not_have() {
    let huge = Shape { frames: 1 << 44, ..Shape::square(1, 14) };
    assert!(huge.check(&TINY).is_ok());
    let refused = Workspace::new(&TINY, &huge, Threads::SERIAL);
    assert!(matches!(refused, Err(RunError::OutOfMemory { .. })), "{refused:?}");
}

#[test]
fn what_does_not_belong_together() {
    let model = Aggregator::new(&TINY, &Seeded(0)).unwrap();
    let other = Aggregator::new(&Config { heads: 1, ..TINY }, &Seeded(0)).unwrap();
    let shape = Shape::square(1, 14);
    let mut workspace = other.workspace(&shape, Threads::SERIAL).unwrap();
    let refused = model.run(|_, _| (), Keep::All, &mut workspace);
    assert_eq!(refused.err(), Some(RunError::OtherModel));

    let mut workspace = model.workspace(&shape, Threads::SERIAL).unwrap();
    let kept = model.run(|_, _| (), Keep::All, &mut workspace).unwrap();
    let mut input =
        |index: usize, len: usize| model.head_input(&kept, index, 0..1, &mut vec![0.0; len], &mut workspace).err();
    assert_eq!(input(4, 3), Some(RunError::NotKept { index: 4 }));
    assert_eq!(input(0, 4), Some(RunError::Length { name: "out", got: 4, need: 3 }));
    assert_eq!(input(0, 3), None);
    assert!(kept.output(4).is_none() && kept.projected(0).is_none());
    #[expect(clippy::reversed_empty_ranges, reason = "a caller may pass one")]
    let reversed = model.head_input(&kept, 0, 9..3, &mut [], &mut workspace);
    assert_eq!(reversed, Ok(()));
}

/// Gives one tensor with some numbers more or fewer.
struct Wrong<'a> {
    name: &'a str,
    change: isize,
}

impl TensorSource for Wrong<'_> {
    fn read(&self, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
        let mut numbers = Seeded(1).read(tensor)?;
        if tensor.name == self.name {
            numbers.resize(numbers.len().saturating_add_signed(self.change), 1.0);
        }
        Ok(numbers)
    }
}

/// Every tensor, one number short, one too many, and empty: vectors are read beyond their end otherwise.
#[test]
fn sources_that_give_a_wrong_number_of_elements() {
    for tensor in tensors(&TINY).unwrap() {
        for change in [-1, 1, isize::MIN + 1] {
            let source = Wrong { name: &tensor.name, change };
            let expected = tensor.len();
            let found = expected.saturating_add_signed(change);
            let error = WeightsError::Length { tensor: tensor.name.clone(), expected, found };
            assert_eq!(Aggregator::new(&TINY, &source).err(), Some(error.clone()));
            assert_eq!(to_safetensors(&TINY, &source).err(), Some(error.clone()));
            assert_eq!(Model::new(&TINY, &source).err(), Some(error));
        }
    }
}

/// Counts how often each tensor is read.
#[derive(Default)]
struct Counting(RefCell<HashMap<String, usize>>);

impl TensorSource for Counting {
    fn read(&self, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
        *self.0.borrow_mut().entry(tensor.name.clone()).or_default() += 1;
        Seeded(1).read(tensor)
    }
}

#[test]
fn every_tensor_is_read_once() {
    let source = Counting::default();
    Aggregator::new(&TINY, &source).unwrap();
    let counts = source.0.into_inner();
    assert_eq!(counts.len(), tensors(&TINY).unwrap().len());
    assert!(counts.values().all(|&count| count == 1), "{counts:?}");
}

/// A file whose header says more or less of a tensor's data than its extents.
#[test]
fn files_whose_data_do_not_fit_their_extents() {
    let bytes = to_safetensors(&TINY, &Seeded(1)).unwrap();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = std::str::from_utf8(&bytes[8..8 + length]).unwrap();
    let data = &bytes[8 + length..];
    // The last tensor, by its place in the data.
    let end = format!(",{}]", data.len());
    assert_eq!(header.matches(&end).count(), 1, "{header}");
    for (len, cut) in [(data.len() - 4, data.len() - 4), (data.len() + 4, data.len() + 4), (data.len() - 4, data.len())]
    {
        let header = header.replace(&end, &format!(",{len}]"));
        let mut data = data.to_vec();
        data.resize(cut, 0);
        let file = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
        assert!(matches!(load(&file), Err(WeightsError::Format { .. })), "{len} {cut}: {:?}", load(&file));
    }
}

fn load(bytes: &[u8]) -> Result<(), WeightsError> {
    Aggregator::new(&TINY, &SafetensorsFile::new(bytes)?).map(drop)
}

#[test]
fn files_of_other_models() {
    let bytes = to_safetensors(&TINY, &Seeded(1)).unwrap();
    assert_eq!(load(&bytes), Ok(()));
    let other = to_safetensors(&Config { embed_dim: 16, heads: 4, ..TINY }, &Seeded(1)).unwrap();
    assert!(matches!(load(&other), Err(WeightsError::Extents { got, need, .. }) if got != need));
    // The name of a tensor that must not be missing, and one byte of it replaced.
    let at = bytes.windows(9).position(|part| part == b"ls1.gamma").unwrap();
    let mut renamed = bytes.clone();
    renamed[at] = b'x';
    assert!(matches!(load(&renamed), Err(WeightsError::Missing { name }) if name.ends_with("ls1.gamma")));
}

#[test]
fn files_with_numbers_of_other_types_or_without_a_value() {
    let bytes = to_safetensors(&TINY, &Seeded(1)).unwrap();
    let mut infinite = bytes.clone();
    let end = infinite.len();
    infinite[end - 4..].copy_from_slice(&f32::INFINITY.to_le_bytes());
    assert!(matches!(load(&infinite), Err(WeightsError::NotFinite { .. })));
    let mut integers = bytes.clone();
    let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let header = String::from_utf8(bytes[8..8 + length].to_vec()).unwrap().replace("\"F32\"", "\"I32\"");
    integers[8..8 + length].copy_from_slice(header.as_bytes());
    assert!(matches!(load(&integers), Err(WeightsError::Element { element, .. }) if element == "I32"));
}

/// Cut and mutated files are refused or loaded, and nothing else happens.
#[test]
fn damaged_files() {
    let bytes = to_safetensors(&TINY, &Seeded(1)).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    for len in (0..header).step_by(97).chain([bytes.len() - 1]) {
        assert!(load(&bytes[..len]).is_err(), "{len} bytes");
    }
    let mut random = SplitMix64::new(3);
    let mut refused = 0;
    for _ in 0..500 {
        let mut damaged = bytes.clone();
        for _ in 0..=random.below(3) {
            damaged[random.below(header)] = random.bits() as u8;
        }
        refused += usize::from(load(&damaged).is_err());
    }
    assert!(refused > 300, "{refused}");
}
