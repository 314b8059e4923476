//! A slot over a restart: the record that it writes, and what one leads to (the crash table in
//! `table.rs`).

use crate::{
    config::{BootId, Config},
    output::Status,
    record::{Flag, RecordKind, Stored},
    slot::{Slot, Want},
    table::{Event, Phase},
};

impl Slot {
    /// Takes up the job of a record.
    pub(crate) fn restore(&mut self, record: &Stored<'_>, boot: &BootId, config: &Config<'_>) {
        self.leave_behind();
        // The record was read with this room in mind.
        let _ = self.id.push_str(record.id());
        let _ = self.body.extend_from_slice(record.body);
        self.header = record.header();
        self.header.understand();
        let other_boot = !self.header.is_of(boot);
        let used_up = self.runs() >= u32::from(config.runs_max.max(1));
        let exhausted = used_up || self.header.attempts() >= config.attempts_max.max(1);
        let Some(kind) = record.kind() else {
            return;
        };
        let event = match kind {
            RecordKind::Outcome(status) => {
                self.work.outcome = Some(status);
                Event::RestoredOutcome
            }
            RecordKind::Started if !self.header.is(Flag::RERUN) => {
                self.hopeless("interrupted before it was done")
            }
            RecordKind::Started if exhausted => self.hopeless("gave up: interrupted too often"),
            RecordKind::Started => Event::RestoredWork,
            RecordKind::Reboot if other_boot && used_up => {
                self.hopeless("gave up: reset too often")
            }
            RecordKind::Reboot if other_boot => {
                // The reset has happened: what follows is a new piece of work, the self-test.
                self.header.set_attempts(0);
                self.resume_event()
            }
            RecordKind::Reboot if exhausted => self.hopeless("gave up: the reset does not happen"),
            RecordKind::Reboot => {
                self.work.has_checkpoint = true;
                self.count_attempt();
                Event::RestoredReboot
            }
            RecordKind::Checkpoint if exhausted => self.hopeless("gave up: interrupted too often"),
            RecordKind::Checkpoint => self.resume_event(),
        };
        self.step(event);
    }

    /// Holds nothing but a stored record that is to be erased.
    pub(crate) fn leave_behind(&mut self) {
        self.blank();
        self.phase = Phase::Free;
        self.stored = true;
        self.want = Want::Erase;
    }

    /// Writes the record of the present phase, if it has one to write.
    pub(crate) fn encode_record<'o>(
        &mut self,
        boot: &BootId,
        out: &'o mut [u8],
    ) -> Option<&'o [u8]> {
        let kind = match self.phase {
            Phase::Opening | Phase::Saving if self.work.has_checkpoint => RecordKind::Checkpoint,
            Phase::Opening | Phase::Saving => RecordKind::Started,
            Phase::Closing => RecordKind::Outcome(self.work.outcome?),
            Phase::Parking => RecordKind::Reboot,
            Phase::Free
            | Phase::Listed
            | Phase::Planning
            | Phase::Claiming
            | Phase::Running
            | Phase::Draining
            | Phase::Reporting
            | Phase::Rebooting
            | Phase::Recovering
            | Phase::Replanning => return None,
        };
        self.header.set_kind(kind);
        self.header.set_boot(boot);
        self.header.write(&self.id, &self.body, out)
    }

    fn resume_event(&mut self) -> Event {
        self.work.has_checkpoint = true;
        if self.header.is(Flag::NEEDS_DOCUMENT) {
            Event::RestoredWork
        } else {
            Event::RestoredCheckpoint
        }
    }

    #[inline(always)]
    fn hopeless(&mut self, reason: &str) -> Event {
        self.conclude_with(Status::Failed, reason);
        Event::RestoredHopeless
    }
}
