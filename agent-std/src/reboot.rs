//! How the machine is reset when a job asks for it.

use std::process::Command;

/// Resets the machine when a job returned [`Outcome::Reboot`](jobs_agent_core::Outcome::Reboot).
///
/// Called once everything that has to survive is durable. It is called on a thread where it may
/// block.
pub trait Reboot: Send + Sync + 'static {
    /// Resets the machine, or sets the reset going and returns.
    ///
    /// # Errors
    /// [`RebootError`] when the machine surely stays up. The agent then tries again a few times
    /// and in the end reports the job as FAILED.
    fn reboot(&self) -> Result<(), RebootError>;
}

/// Why the machine was not reset.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RebootError {
    /// Nobody said how.
    #[error("cannot reboot: give reboot_with(..), for example SystemReboot::default()")]
    NotConfigured,
    /// The command could not be started.
    #[error("cannot start {command:?}: {source}; install it or name another one")]
    Start {
        /// The command.
        command: String,
        /// The operating system's words.
        source: std::io::Error,
    },
    /// The command said no.
    #[error("{command:?} ended with {status}: check that this user may reboot the machine")]
    Refused {
        /// The command.
        command: String,
        /// Its exit status.
        status: std::process::ExitStatus,
    },
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

/// What an agent does that was not told how to reboot: it says so.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NoReboot;

impl Reboot for NoReboot {
    fn reboot(&self) -> Result<(), RebootError> {
        Err(RebootError::NotConfigured)
    }
}

/// Ends the process with this exit code, for demonstrations and containers: a supervisor starts it
/// again with another boot identity (see [`BOOT_ID_VARIABLE`](crate::boot::BOOT_ID_VARIABLE)).
#[derive(Debug, Clone, Copy)]
pub struct ProcessExit(pub i32);

impl Reboot for ProcessExit {
    fn reboot(&self) -> Result<(), RebootError> {
        tracing::info!(code = self.0, "ending the process in place of a reboot");
        std::process::exit(self.0)
    }
}

/// Runs a command that reboots the machine; `systemctl reboot` unless another one is given.
///
/// ```
/// use agent_std::SystemReboot;
///
/// let usual = SystemReboot::default();
/// let busybox = SystemReboot::command("/sbin/reboot", ["-d", "1"]);
/// # let _ = (usual, busybox);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemReboot {
    program: String,
    arguments: Vec<String>,
}

impl Default for SystemReboot {
    fn default() -> Self {
        Self::command("systemctl", ["reboot"])
    }
}

impl SystemReboot {
    /// Another command; it must not need a terminal.
    #[must_use]
    pub fn command<A: Into<String>>(
        program: impl Into<String>,
        arguments: impl IntoIterator<Item = A>,
    ) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
        }
    }
}

impl Reboot for SystemReboot {
    fn reboot(&self) -> Result<(), RebootError> {
        let command = || self.program.clone();
        let status = Command::new(&self.program)
            .args(&self.arguments)
            .status()
            .map_err(|source| RebootError::Start {
                command: command(),
                source,
            })?;
        if status.success() {
            return Ok(());
        }
        Err(RebootError::Refused {
            command: command(),
            status,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_works_means_the_machine_goes_down() {
        let none: [&str; 0] = [];
        assert!(SystemReboot::command("true", none).reboot().is_ok());
    }

    #[test]
    fn a_command_that_refuses_or_is_missing_is_told_apart() {
        let none: [&str; 0] = [];
        let refused = SystemReboot::command("false", none).reboot();
        assert!(matches!(refused, Err(RebootError::Refused { .. })));
        let missing = SystemReboot::command("/nonexistent/reboot", none).reboot();
        assert!(matches!(missing, Err(RebootError::Start { .. })));
    }

    #[test]
    fn without_a_way_to_reboot_the_error_says_how_to_give_one() {
        let text = NoReboot.reboot().unwrap_err().to_string();
        assert!(text.contains("reboot_with"));
    }
}
