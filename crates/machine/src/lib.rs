//! What the code runs on: instruction sets, caches, threads, memory, fingerprint, ceilings.
//!
//! The only CPU detection of the workspace stands in [`isa`]; everything else asks it. [`memory`] is the one place that
//! allocates aligned memory and asks for huge pages.
//!
//! Linux on x86-64 is the verified platform. Elsewhere each function says what it falls back to, and what a platform
//! hides is `None`, never 0.

pub mod cache;
pub mod ceiling;
pub mod fingerprint;
pub mod heap;
pub mod isa;
pub mod memory;
pub mod noise;
pub mod threads;

pub use fingerprint::Fingerprint;

#[cfg(target_arch = "x86_64")]
mod cpuid;
#[cfg(target_os = "macos")]
mod sysctl;
mod text;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
