//! What tests against a running service share: the service, a real broker before it, networks that
//! fail, and processes that do not outlive the test.

pub(crate) mod dice;
pub(crate) mod mosquitto;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod relay;
pub(crate) mod service;
pub(crate) mod table;
pub(crate) mod weather;
