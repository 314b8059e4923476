#![forbid(unsafe_code)]
//! Placeholder while the crate is being written.
