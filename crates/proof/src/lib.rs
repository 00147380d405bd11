//! Proves that a kernel is right before criterion times it.
