//! What makes new firmware worth keeping on this gateway.

use handlers::{Line, SelfTest, line};

use jobs_agent::durable;

use super::{sandbox::Sandbox, slots::FileSlots};

/// The file that is written to see whether files can be written.
const CANARY: &str = ".self-test";

/// The image is whole, and the job folder can be written. That the service is reachable goes
/// without saying: the outcome has to get there.
#[derive(Debug)]
pub(crate) struct GatewayTest<'a> {
    pub(crate) slots: &'a FileSlots,
    pub(crate) sandbox: &'a Sandbox,
    /// A version that is to fail, to see a roll-back.
    pub(crate) unfit: Option<String>,
}

impl SelfTest for GatewayTest<'_> {
    async fn check(&self, version: &str) -> Result<(), Line> {
        if self.unfit.as_deref() == Some(version) {
            return Err(line(format_args!("declared unfit by --unfit-version")));
        }
        let (recorded, found) = self
            .slots
            .running_lengths()
            .await
            .map_err(|error| line(format_args!("the image cannot be read: {error}")))?;
        if recorded != found {
            return Err(line(format_args!(
                "the image has {found} bytes instead of {recorded}"
            )));
        }
        durable::replace(&self.sandbox.root().join(CANARY), version.as_bytes())
            .map_err(|error| line(format_args!("the job folder cannot be written: {error}")))
    }
}
