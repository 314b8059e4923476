//! What the user decides: the thing's name, the claim policy and every waiting time, each with its
//! unit and the reason of its default.

use jobs_proto::ThingName;

/// What happens to a job that no handler claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unclaimed {
    /// Leave it QUEUED for whoever it is meant for. Choose this when several programs share the
    /// thing; a job nobody claims then stays at the head of the queue, and the agent works
    /// around it.
    Leave,
    /// Answer REJECTED with a reason. Choose this when this agent is the only one of its thing:
    /// an operation that the firmware does not know then never blocks the queue.
    #[default]
    Reject,
}

/// Back-off between repetitions: full jitter between half and the whole of a doubling step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// First step, milliseconds.
    pub base_ms: u32,
    /// Largest step, milliseconds.
    pub cap_ms: u32,
}

/// Configuration of an [`Agent`](crate::Agent); lent to it for its whole life.
///
/// ```
/// use jobs_agent_core::{Config, Unclaimed};
/// use jobs_proto::ThingName;
/// # fn main() -> Result<(), jobs_proto::IdError> {
/// let config = Config { unclaimed: Unclaimed::Leave, ..Config::new(ThingName::new("pump-17")?) };
/// assert_eq!(config.attempts_max, 3);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Config<'c> {
    /// The thing whose jobs are done.
    pub thing: ThingName<'c>,
    /// What happens to jobs that no handler claims.
    pub unclaimed: Unclaimed,
    /// Also subscribe to the reply topics. AWS sends replies to the requester without any
    /// subscription (AWS IoT developer guide, reserved topics), so the default is `false`: two
    /// filters and a smaller policy. Set it when another broker stands between.
    pub subscribe_replies: bool,
    /// How long a reply may take before its request is repeated, milliseconds.
    pub reply_timeout_ms: u32,
    /// Repetition after a lost reply, InternalError, or a local write that failed.
    pub backoff: Backoff,
    /// Repetition after RequestThrottled: starts slower, because the quota is the account's.
    pub throttled: Backoff,
    /// Least time between two progress reports of one job, milliseconds (P7).
    pub progress_interval_ms: u32,
    /// How often one job may start from the same checkpoint (or from its start) before it is
    /// reported FAILED (P3). Three tells a crash in the work from a cut in the power.
    pub attempts_max: u8,
    /// How often one job may start in all, however much progress it makes (P3).
    pub runs_max: u16,
    /// How long a job seen only in a list may wait for its own notification before its document
    /// is asked for, milliseconds. `notify` usually comes just before `notify-next`; waiting
    /// saves a request per job.
    pub list_grace_ms: u32,
    /// How long after the end of a job the queue is asked when no notification came,
    /// milliseconds.
    pub settle_ms: u32,
    /// Interval of a slow check, milliseconds: of the queue while idle, of the job that runs
    /// while it runs. A notification can be lost, and nothing repeats it. An hour costs 24
    /// messages a day.
    pub resync_ms: u32,
    /// How long a reboot waits for other jobs to end, milliseconds.
    pub reboot_grace_ms: u32,
}

impl<'c> Config<'c> {
    /// The defaults, for the thing of this name.
    #[must_use]
    pub const fn new(thing: ThingName<'c>) -> Self {
        Self {
            thing,
            unclaimed: Unclaimed::Reject,
            subscribe_replies: false,
            reply_timeout_ms: 10_000,
            backoff: Backoff {
                base_ms: 1_000,
                cap_ms: 300_000,
            },
            throttled: Backoff {
                base_ms: 5_000,
                cap_ms: 600_000,
            },
            progress_interval_ms: 10_000,
            attempts_max: 3,
            runs_max: 100,
            list_grace_ms: 2_000,
            settle_ms: 10_000,
            resync_ms: 3_600_000,
            reboot_grace_ms: 60_000,
        }
    }
}

/// Identity of the running boot, and fresh entropy of the running process.
///
/// The boot id tells a reboot from a restart of the process (P4): it must differ after every
/// reset of the board and stay the same until the next one. On Linux it is
/// `/proc/sys/kernel/random/boot_id`; on a board a counter in flash that grows at every reset.
///
/// `entropy` makes the request tokens of this process unlike those of every earlier one (P9) and
/// seeds the jitter. It must not repeat: a boot counter mixed with anything is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Boot {
    /// Identity of the boot, 16 bytes.
    pub id: BootId,
    /// A value that no earlier start of this agent had.
    pub entropy: u64,
}

/// Identity of one boot of the device, see [`Boot`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BootId(pub [u8; 16]);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_wait_is_positive_and_ordered() {
        let config = Config::new(ThingName::new("t").unwrap());
        assert!(config.backoff.base_ms > 0 && config.backoff.base_ms < config.backoff.cap_ms);
        assert!(config.throttled.base_ms > config.backoff.base_ms);
        assert!(config.list_grace_ms < config.settle_ms);
    }
}
