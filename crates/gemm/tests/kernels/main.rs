//! One check over all kernels: shapes, layouts, factors, threads, and memory that must not be touched.

mod batches;
mod blocks;
mod check;
mod epilogues;
mod errors;
mod exceptions;
mod int8;
mod ndarrays;
#[cfg(unix)]
mod pages;
mod rows;
mod shapes;
mod shared;
mod threads;
mod types;

/// `ASSAY_REQUIRE=cpu-avx2,cpu-avx512` turns a kernel that this machine lacks into a failure. Names of other backends
/// are ignored.
#[test]
fn required_kernels_are_present() {
    let required = std::env::var("ASSAY_REQUIRE").unwrap_or_default();
    let present: Vec<_> = gemm::kernels().iter().map(|kernel| kernel.name()).collect();
    for name in required.split(',').map(str::trim).filter(|name| name.starts_with("cpu-")) {
        assert!(present.contains(&name), "{name} is required, but this machine has {present:?}");
    }
    assert_eq!(present.first(), Some(&"reference"));
    assert_eq!(present.last(), Some(&"auto"));
}
