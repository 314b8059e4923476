//! The wire protocol of AWS IoT Jobs for devices: topics, payloads, limits and rules.
//!
//! The crate is `no_std`, does not allocate, has no dependencies and contains no unsafe code.
//! It holds wire knowledge and nothing else: no clock, no I/O, no state.
//!
//! * [`topic`] builds request topics and subscription filters and parses what arrives.
//! * [`decode`] reads a payload in place. Everything it returns borrows the payload; the job
//!   document stays the untouched bytes that were received. A payload that cannot be read still
//!   gives up its job id ([`decode::Salvage`]), so that the job can be answered.
//! * [`encode`] writes a request into a buffer that the caller lends.
//! * [`details`] prepares `statusDetails` the way the service demands them.
//! * [`document`] looks into a job document without parsing it into a tree.
//! * [`limits`], [`transition`], [`JobStatus`] and [`ErrorCode`] are the service's rules.
//!
//! # Example: an offer arrives and is answered
//!
//! ```
//! use jobs_proto::details::Details;
//! use jobs_proto::document::Document;
//! use jobs_proto::topic::{InboundTopic, RequestTopic};
//! use jobs_proto::{ClientToken, ThingName, UpdateStatus, decode, encode};
//!
//! let thing = ThingName::new("pump-7").unwrap();
//! let topic = "$aws/things/pump-7/jobs/notify-next";
//! let payload = br#"{"timestamp":1719940994,"execution":{"jobId":"Job1","status":"QUEUED",
//!     "queuedAt":1719940994,"versionNumber":1,"executionNumber":1,
//!     "jobDocument":{"operation":"reboot","delay":5}}}"#;
//!
//! assert_eq!(InboundTopic::parse(topic, thing), Ok(InboundTopic::NotifyNext));
//! let offer = decode::notify_next(payload).unwrap().execution.unwrap();
//! let document = Document(offer.job_document.unwrap());
//! assert!(document.str_field("operation").unwrap().eq_str("reboot"));
//! assert_eq!(document.u64_field("delay"), Some(5));
//!
//! let mut topic_buf = [0; jobs_proto::limits::TOPIC_LEN_MAX];
//! let topic = RequestTopic::Update(offer.job_id).encode(thing, &mut topic_buf).unwrap();
//! assert_eq!(topic, "$aws/things/pump-7/jobs/Job1/update");
//!
//! let mut request = encode::Update::new(UpdateStatus::InProgress);
//! request.execution_number = offer.execution_number;
//! request.status_details = Details::Pairs(&[("step", "rebooting")]);
//! request.client_token = ClientToken::new("boot4-1").ok();
//! let mut buf = [0; 256];
//! assert_eq!(
//!     request.encode(&mut buf).unwrap(),
//!     br#"{"status":"IN_PROGRESS","statusDetails":{"step":"rebooting"},"executionNumber":1,"clientToken":"boot4-1"}"#
//! );
//! ```
//!
//! # Features
//!
//! * `fast`: for hosts. Strings are searched eight bytes at a time, names are compared whole and
//!   the scanner's state stays in registers. The grammar, the checks and the results are the same;
//!   without it the code is written for the least flash.
//! * `serde`: `Serialize` and `Deserialize` for identifiers, states, error codes and times.
//!
//! # Panics and bounds
//!
//! No function of this crate panics, recurses or loops further than the length of its input, on
//! any input.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::unreachable,
        clippy::arithmetic_side_effects,
        clippy::string_slice,
        clippy::cast_possible_truncation,
        clippy::cast_possible_wrap,
        clippy::cast_sign_loss
    )
)]

#[cfg(test)]
extern crate std;

pub mod decode;
pub mod details;
pub mod document;
pub mod encode;
mod error_code;
mod id;
pub mod limits;
mod members;
mod number;
mod scan;
#[cfg(feature = "serde")]
mod serde_impls;
mod status;
#[cfg(feature = "fast")]
mod swar;
mod text;
mod time;
pub mod topic;
pub mod transition;
mod words;
mod write;

pub use error_code::{ErrorCode, Retry};
pub use id::{ClientToken, IdError, JobId, ThingName};
pub use status::{JobStatus, UpdateStatus, WireStatus};
pub use text::{Chars, EscapedStr};
pub use time::EpochSeconds;
pub use write::TooSmall;
