//! What a closure that uses the service may return.

use crate::model::Message;

/// What a call of the service yields: a result of its own, and messages to deliver.
///
/// Implemented for the return types of [`Service`](crate::model::Service), so that a closure can just return them.
pub trait ServiceCall {
    /// What is left for the caller.
    type Output;

    /// Takes the messages out.
    fn into_parts(self) -> (Self::Output, Vec<Message>);
}

impl ServiceCall for () {
    type Output = ();

    fn into_parts(self) -> ((), Vec<Message>) {
        ((), Vec::new())
    }
}

impl ServiceCall for Vec<Message> {
    type Output = ();

    fn into_parts(self) -> ((), Vec<Message>) {
        ((), self)
    }
}

impl<T> ServiceCall for (T, Vec<Message>) {
    type Output = T;

    fn into_parts(self) -> (T, Vec<Message>) {
        self
    }
}

impl<C: ServiceCall, E> ServiceCall for Result<C, E> {
    type Output = Result<C::Output, E>;

    fn into_parts(self) -> (Self::Output, Vec<Message>) {
        match self {
            Ok(call) => {
                let (output, messages) = call.into_parts();
                (Ok(output), messages)
            }
            Err(error) => (Err(error), Vec::new()),
        }
    }
}
