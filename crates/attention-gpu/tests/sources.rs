//! Every kernel is valid WGSL for every set of constants in use, also those that no software adapter runs.

use naga::{
    back::spv,
    front::wgsl,
    valid::{Capabilities, ValidationFlags, Validator},
};

#[test]
fn every_kernel_is_valid_for_all_its_constants() {
    let sources = attention_gpu::sources(&[4, 8, 32, 64, 80, 96, 128]);
    let mut kernels = std::collections::BTreeMap::new();
    for source in &sources {
        let text = source.wgsl();
        let fail = |message: String| -> ! {
            let constants = text.rsplit("\n\n").next().unwrap_or_default();
            panic!("{}: {message}\n{constants}", source.name())
        };
        let module = wgsl::parse_str(&text).unwrap_or_else(|error| fail(error.emit_to_string(&text)));
        let info = Validator::new(ValidationFlags::all(), Capabilities::all()).validate(&module);
        let info = info.unwrap_or_else(|error| fail(error.emit_to_string(&text)));
        let options = spv::Options { lang_version: (1, 6), ..Default::default() };
        if let Err(error) = spv::write_vec(&module, &info, &options, None) {
            fail(error.to_string());
        }
        *kernels.entry(source.name()).or_insert(0) += 1;
    }
    let names: Vec<_> = kernels.keys().copied().collect();
    assert_eq!(names, ["attention-coop", "attention-decode", "attention-merge", "attention-tile"]);
    assert!(sources.len() > 200, "{kernels:?}");
}
