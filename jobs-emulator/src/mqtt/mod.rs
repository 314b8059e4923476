//! The MQTT front: 3.1.1 and 5 on one port, as the AWS IoT message broker behaves.

pub(crate) mod broker;
pub(crate) mod codec;
pub(crate) mod connection;
pub(crate) mod filter;
pub(crate) mod limits;
pub(crate) mod session;
