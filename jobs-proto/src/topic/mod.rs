//! Topics in both directions: `$aws/things/{thingName}/jobs/…`.
//!
//! What follows `jobs/` is told apart by the number of levels, so that a job may be called `get`,
//! `notify` or `start-next`. Source: AWS IoT developer guide, reserved topics and jobs-mqtt-api.

mod filter;
mod inbound;
mod path;
mod request;

pub use filter::Filter;
pub use inbound::{InboundTopic, Reply};
pub use path::TopicError;
pub use request::RequestTopic;
