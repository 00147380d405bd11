//! Compiles the snippets of the workspace's README as doc tests. It contains nothing else.
#![cfg_attr(doctest, doc = include_str!("../../../README.md"))]
