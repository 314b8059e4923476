//! The parts of the AWS IoT Jobs agent that need an operating system with `std`.
//!
//! This crate performs effects and reports events; nothing in it knows what a job is.
//!
//! * [`link`]: what the agent needs from MQTT, and [`link::rumqtt`], the client behind it.
//! * [`store`]: the durable records of the agent, as files.
//! * [`boot`]: which boot of the machine this is, and entropy for client tokens.
//! * [`redact`]: log text without the secrets that presigned URLs carry.
#![forbid(unsafe_code)]

pub mod boot;
pub mod link;
pub mod redact;
pub mod store;
