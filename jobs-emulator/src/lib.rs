#![forbid(unsafe_code)]
//! A local AWS IoT Jobs service for development and tests.

pub mod model;
