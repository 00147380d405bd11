//! RWKV-7 on a GPU through wgpu: the model of `rwkv7`, with the weights and the state of a sequence on the device.
//!
//! # A chunk
//!
//! Tokens go to the device in chunks of up to [`CHUNK`]; a chunk is one compute pass of one submission. The host sends
//! the rows of the embedding, converted to f32, and two words: how many tokens there are, and from which on logits are
//! wanted. What comes back is copied in the same submission. Pipelines, operands and memory are made once, for the
//! longest chunk; a shorter one, such as a single token, has smaller grids.
//!
//! ```text
//!   embedding's rows -> norm -> x
//!   each layer:
//!     mix        norm of x, shift, six lerps                                   x -> mixed, 6 rows a token
//!     round      to 8 bits, for weights in blocks                              mixed -> codes
//!     down       w1, a1, v1, g1 with tanh and sigmoid                          mixed -> low
//!     r, k, v    three products                                                mixed or codes -> r, k, v
//!     up         w2, a2, v2, g2 with offsets, decay and sigmoids               low -> decay, rate, mix, gate
//!     heads      keys, recurrence, norm of heads, bonus, gate                  -> gated; changes the state
//!     output     product                                                       gated -> added to x
//!     mix        norm of x, shift, one lerp                                    x -> mixed
//!     key        product, squared ReLU                                         mixed -> hidden
//!     value      product                                                       hidden -> added to x
//!   norm -> head -> logits, or the token with the largest
//! ```
//!
//! Rows that meet weights in blocks are rounded before `r, k, v`, `output`, `key` and `value`. So a layer has 15
//! dispatches where the weights are in blocks, and 11 where they are floats; 11 and 8 of them wait for the ones before.
//! What does not depend on each other writes buffers of its own and stands together, because wgpu lets a dispatch wait
//! for every earlier one that wrote any part of a buffer that it uses.
//!
//! | stage | kernel | a workgroup takes |
//! |---|---|---|
//! | norm | `norm.wgsl` | 256 channels of a token |
//! | mix | `mix.wgsl` | 256 channels of all tokens: the row before stays in a register |
//! | down, up, products with floats | `project.wgsl` | rows of up to four matrices for one token |
//! | products with blocks, rounding | those of `gemm_gpu` | rows of a matrix for one token |
//! | heads | `heads.wgsl` | a head, token after token, with its state in device memory |
//! | argmax | `argmax.wgsl` | all logits |
//!
//! # Weights
//!
//! Q4_K, Q5_K, Q6_K, Q8_0 and Q4_0 are multiplied as blocks, with activations rounded to 8 bits as on the CPU; F32, F16
//! and BF16 as they are, with activations of f32. Other types, and low-rank matrices in blocks, become f32 on the way
//! ([`Forward::converted`]). The embedding remains with the host.
//!
//! # Results
//!
//! Every sum has one order, and rows of a chunk do not meet but in the recurrence: the length of chunks changes no bit.
//! The state is that of [`rwkv7::State`], so a text that began on one device goes on on the other.

mod error;
mod forward;
mod kernels;
mod layer;
mod stage;
mod weights;

pub use error::Rwkv7GpuError;
pub use forward::{CHUNK, Forward};
pub use kernels::sources;
pub use weights::Converted;

/// The examples of the README, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
