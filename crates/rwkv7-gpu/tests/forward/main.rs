//! Models on whatever adapter there is, against the oracle and against the CPU. A software adapter does; without any,
//! the tests say SKIPPED, or fail where `ASSAY_REQUIRE` names `wgpu`.

mod counts;
mod exact;
mod file;
mod states;
mod texts;
mod trained;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use gpu::{Choice, Wgpu};

/// Devices that all tests share: opening one, and compiling for it, takes seconds. One test at a time uses them, so
/// that counts are those of the test. The first trusts the kernels, the second checks every index.
fn devices() -> Option<MutexGuard<'static, [Wgpu; 2]>> {
    static SHARED: OnceLock<Option<Mutex<[Wgpu; 2]>>> = OnceLock::new();
    let opened = || match Wgpu::open(&Choice::Best).and_then(|gpu| Ok([gpu, Wgpu::open(&Choice::Best)?])) {
        Ok(gpus) => {
            gpus[1].check_every_kernel();
            Some(Mutex::new(gpus))
        }
        Err(error) => {
            let is_required = std::env::var("ASSAY_REQUIRE").is_ok_and(|list| list.split(',').any(|x| x == "wgpu"));
            assert!(!is_required, "{error}");
            // Says so even where the test harness hides what a test that passes prints.
            let message = format!("\nSKIPPED: {error}\n");
            std::io::Write::write_all(&mut std::io::stderr(), message.as_bytes()).unwrap();
            None
        }
    };
    // A test that failed leaves devices that work.
    SHARED.get_or_init(opened).as_ref().map(|shared| shared.lock().unwrap_or_else(PoisonError::into_inner))
}
