//! The text of every kernel, for every set of constants in use, is valid WGSL. No device is needed.

use rwkv7::Model;

use crate::file::{PLAIN, Recipe, file};

#[test]
fn every_kernel_is_valid_for_all_its_constants() {
    let mut names = std::collections::BTreeSet::new();
    for (head_size, channels) in [(64, 256), (8, 64), (256, 256), (12, 36)] {
        let file = file(Recipe { head_size, channels, ..PLAIN });
        let config = *Model::new(&file).unwrap().config();
        for source in rwkv7_gpu::sources(&config, 65536) {
            if let Err(message) = source.spirv() {
                panic!("{}: {message}\n{}", source.name(), source.wgsl());
            }
            names.insert(source.name());
        }
    }
    let expected = ["rwkv7-argmax", "rwkv7-heads", "rwkv7-mix", "rwkv7-norm", "rwkv7-project"];
    assert_eq!(names.into_iter().collect::<Vec<_>>(), expected);
}
