//! C = alpha A B + beta C on the CPU.
