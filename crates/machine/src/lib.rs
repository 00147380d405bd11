//! What the code runs on: instruction sets, caches, threads, fingerprint, ceilings.
//!
//! The only CPU detection of the workspace stands in [`isa`]; everything else asks it. [`kernel`] holds the two types that
//! a kernel of any op shows to tests and benches.
//!
//! Linux on x86-64 is the verified platform. Elsewhere each function says what it falls back to, and what a platform hides
//! is `None`, never 0.

pub mod cache;
pub mod ceiling;
pub mod fingerprint;
pub mod isa;
pub mod kernel;
pub mod noise;
pub mod threads;

pub use fingerprint::Fingerprint;

#[cfg(target_arch = "x86_64")]
mod cpuid;
#[cfg(target_os = "macos")]
mod sysctl;
mod text;
