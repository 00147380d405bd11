//! How often each benchmark runs its kernel in an iteration.

pub(crate) const REPEATS: [u32; 20] = [100; 20];
