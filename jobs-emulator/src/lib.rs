#![forbid(unsafe_code)]
//! A local AWS IoT Jobs service for development and tests.
//!
//! [`model`] holds the rules of the service, without I/O and in virtual time. [`Emulator`] puts it
//! behind the doors that real clients use: MQTT 3.1.1 and 5 on one port, MQTT over mutual TLS, and
//! the HTTP API of the AWS CLI and SDKs. The HTTP data plane alone is there for devices, plain and
//! over mutual TLS. The program `jobs-emulator` is the same without Rust.
//!
//! What the fronts add to the model: sessions and subscriptions, the limits of the AWS message
//! broker, certificates that act for things, [`Faults`] on the way, and a [`Trace`] of all packets.

mod call;
mod certificates;
mod clock;
mod emulator;
mod faults;
mod http;
mod hub;
mod listen;
pub mod model;
mod mqtt;
mod options;
mod ports;
mod store;
mod tls;
mod trace;

pub use call::ServiceCall;
pub use clock::{Clock, ManualClock};
pub use emulator::Emulator;
pub use faults::{Cut, Faults, MessageFaults};
pub use options::{Options, PkiError, StartError, StoreError};
pub use tls::pki::PkiFiles;
pub use trace::{DataRequest, Direction, PacketKind, TRACE_MAX_ENTRIES, Trace, TraceEntry};
