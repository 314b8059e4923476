//! What has to be true besides the status, each fault in words.

use std::{collections::BTreeMap, path::Path};

use handlers::CHECKPOINT_INTERVAL;

use super::firmware_server::{PIECE_LEN, Served};
use crate::platform::slots::FileSlots;

/// Bytes that may be on their way when the process is killed: sent, not yet written. Eight pieces,
/// because the machine may be busy.
const IN_FLIGHT_MAX: u64 = 8 * PIECE_LEN as u64;

/// Collects what is not as it should be.
#[derive(Debug, Default)]
pub(crate) struct Checks {
    faults: Vec<String>,
}

impl Checks {
    /// Everything that was wrong.
    pub(crate) fn into_faults(self) -> Vec<String> {
        self.faults
    }

    /// A plain condition.
    pub(crate) fn holds(&mut self, holds: bool, fault: &str) {
        if !holds {
            self.faults.push(fault.to_owned());
        }
    }

    /// A statusDetails value.
    pub(crate) fn detail(
        &mut self,
        details: &BTreeMap<String, String>,
        key: &str,
        wanted: impl FnOnce(&str) -> bool,
    ) {
        match details.get(key) {
            Some(value) if wanted(value) => {}
            Some(value) => self
                .faults
                .push(format!("statusDetails {key} is {value:?}")),
            None => self.faults.push(format!("statusDetails have no {key}")),
        }
    }

    /// A file's content; `None` if there must be no such file.
    pub(crate) fn file(&mut self, path: &Path, content: Option<&str>) {
        let found = std::fs::read_to_string(path).ok();
        if found.as_deref() != content {
            self.faults
                .push(format!("{} holds {found:?}", path.display()));
        }
    }

    /// The version that the boot loader's flags name.
    pub(crate) fn running(&mut self, firmware: &Path, version: &str) {
        match FileSlots::running_in(firmware) {
            Ok(running) if running == version => {}
            Ok(running) => self.faults.push(format!("version {running} is active")),
            Err(error) => self.faults.push(format!("no active version: {error}")),
        }
    }

    /// A download that was killed and went on: from a checkpoint, with at most one interval sent
    /// twice. `sent_before` is what the server had sent at the kill.
    pub(crate) fn resumed(&mut self, served: &[Served], sent_before: u64, image_len: u64) {
        let interval = u64::from(CHECKPOINT_INTERVAL);
        let [first, second] = served else {
            self.faults.push(format!(
                "{} requests instead of two: {served:?}",
                served.len()
            ));
            return;
        };
        let from = second.start;
        self.holds(
            first.start == 0,
            "the first request was not for the beginning",
        );
        self.holds(from > 0, "the second request was for the beginning again");
        self.holds(
            from.is_multiple_of(interval),
            "the second request began between checkpoints",
        );
        self.holds(
            from + second.sent == image_len,
            "the second request was not to the end",
        );
        let again = first.sent.max(sent_before).saturating_sub(from);
        if again > interval + IN_FLIGHT_MAX {
            self.faults.push(format!("{again} bytes were sent twice"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: u64 = 1_000_000;
    const AT: u64 = CHECKPOINT_INTERVAL as u64;

    fn served(parts: &[(u64, u64)]) -> Vec<Served> {
        let path = "/x".to_owned();
        parts
            .iter()
            .map(|&(start, sent)| Served {
                path: path.clone(),
                start,
                sent,
            })
            .collect()
    }

    fn faults(parts: &[(u64, u64)]) -> usize {
        let mut checks = Checks::default();
        checks.resumed(&served(parts), 500_000, LEN);
        checks.into_faults().len()
    }

    #[test]
    fn a_resumed_download_sends_at_most_one_interval_twice() {
        assert_eq!(faults(&[(0, 500_000), (AT, LEN - AT)]), 0);
        assert!(faults(&[(0, 500_000), (0, LEN)]) > 0, "from the beginning");
        assert!(faults(&[(0, LEN)]) > 0, "never killed");
        assert!(
            faults(&[(0, 500_000), (AT + 1, LEN - AT - 1)]) > 0,
            "not at a checkpoint"
        );
        assert!(faults(&[(0, 500_000), (AT, 5)]) > 0, "not to the end");
        assert!(
            faults(&[(0, 900_000), (AT, LEN - AT)]) > 0,
            "two intervals again"
        );
    }
}
