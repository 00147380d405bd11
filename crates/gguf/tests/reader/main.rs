//! The reader and the writer against the corpus, against each other, and against files that change.

mod byte_order;
mod corpus;
mod disk;
mod round_trip;
mod rules;
mod split;
mod views;
