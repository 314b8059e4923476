//! What the handlers borrow from Linux.

pub(crate) mod fetch;
pub(crate) mod probe;
pub(crate) mod sandbox;
pub(crate) mod self_test;
pub(crate) mod slots;
pub(crate) mod system;
