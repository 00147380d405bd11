//! Every kernel is valid WGSL for every set of constants in use, also those that no software adapter runs.

#[test]
fn every_kernel_is_valid_for_all_its_constants() {
    let sources = attention_gpu::sources(&[4, 8, 32, 64, 80, 96, 128]);
    let mut kernels = std::collections::BTreeMap::new();
    for source in &sources {
        if let Err(message) = source.spirv() {
            let text = source.wgsl();
            panic!("{}: {message}\n{}", source.name(), text.rsplit("\n\n").next().unwrap_or_default());
        }
        *kernels.entry(source.name()).or_insert(0) += 1;
    }
    let names: Vec<_> = kernels.keys().copied().collect();
    assert_eq!(names, ["attention-coop", "attention-decode", "attention-merge", "attention-tile"]);
    assert!(sources.len() > 200, "{kernels:?}");
}
