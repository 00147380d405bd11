//! Revisions: git commands, and the state of a work tree as a commit.

mod git;
mod snapshot;
mod store;

pub use git::Git;
pub use snapshot::Snapshot;

#[cfg(test)]
pub(crate) use git::tests::{fresh_repository, stored};
