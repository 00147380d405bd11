//! Every kernel, on whatever adapter there is: software adapters are enough for all but cooperative matrices, whose
//! kernels are validated everywhere.

mod blocks;
mod checked;
mod dense;
mod epilogues;
mod large;
mod texts;
mod tuned;

use std::sync::OnceLock;

use gpu::{Choice, Wgpu};

/// The device that the tests share; `None`, said once, where there is no adapter at all.
#[expect(clippy::print_stderr, reason = "a test that is left out says so")]
fn device() -> Option<&'static Wgpu> {
    static DEVICE: OnceLock<Option<Wgpu>> = OnceLock::new();
    let opened = || match Wgpu::open(&Choice::Best) {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            let is_required = std::env::var("ASSAY_REQUIRE").is_ok_and(|list| list.split(',').any(|x| x == "wgpu"));
            assert!(!is_required, "{error}");
            eprintln!("SKIPPED: {error}");
            None
        }
    };
    DEVICE.get_or_init(opened).as_ref()
}
