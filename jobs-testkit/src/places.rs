//! Interesting places: a test that never comes to one proves nothing about it. Counted over many
//! stories, and asserted to be there.

use std::collections::BTreeMap;

use jobs_agent_core::{Ending, Status, StopReason};

use crate::{board::Found, observer::Report};

/// How many stories came to each place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    seen: BTreeMap<&'static str, usize>,
}

/// How many places were met, and how often the rarest.
impl std::fmt::Display for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let met = Self::ALL.len() - self.missed().count();
        write!(f, "{met} of {} places met", Self::ALL.len())?;
        let rarest = Self::ALL.into_iter().min_by_key(|place| self.count(place));
        if let Some(place) = rarest {
            write!(f, ", the rarest {} times ({place})", self.count(place))?;
        }
        Ok(())
    }
}

impl Places {
    /// Every place that random stories are to come to. A superseded record is counted too, and too
    /// rare to be asked for.
    pub const ALL: [&'static str; 19] = [
        "resume after a reboot",
        "resume from a checkpoint",
        "resume from a checkpoint that needs the document",
        "run again without a checkpoint",
        "reset wanted again",
        "outcome found after a crash",
        "attempts used up",
        "a duplicate ignored",
        "an offer while every slot was taken",
        "a job left, offered again",
        "a reply without an open request ignored",
        "a reply to an earlier life ignored",
        "a message cut short or unreadable",
        "an outcome answered: already over",
        "a cancel between the work and its report",
        "a running handler stopped: over",
        "a running handler stopped: time limit",
        "a foreign job left",
        "a job refused",
    ];

    /// Looks where this story went.
    pub fn visit(&mut self, report: &Report) {
        for found in report.observer.found() {
            self.see(match found {
                Found::RebootOtherBoot => "resume after a reboot",
                Found::Checkpoint(false) => "resume from a checkpoint",
                Found::Checkpoint(true) => "resume from a checkpoint that needs the document",
                Found::Started => "run again without a checkpoint",
                Found::RebootSameBoot => "reset wanted again",
                Found::Outcome(_) => "outcome found after a crash",
                Found::Exhausted => "attempts used up",
                Found::Superseded => "a record superseded by a later execution",
            });
        }
        for why in report.observer.ignored() {
            self.see(why);
        }
        for (job, ending) in report.observer.all_endings() {
            match ending {
                Ending::AlreadyOver => {
                    self.see("an outcome answered: already over");
                    if report.status(job) == Some("CANCELED") && report.runs(job) > 0 {
                        self.see("a cancel between the work and its report");
                    }
                }
                Ending::Stopped(_) => self.see("a running handler stopped: over"),
                Ending::Left => self.see("a foreign job left"),
                Ending::Reported(Status::Rejected) => self.see("a job refused"),
                Ending::Reported(Status::Succeeded | Status::Failed) | Ending::Refused => {}
            }
            if report.stop(job) == Some(StopReason::TimeLimit) {
                self.see("a running handler stopped: time limit");
            }
        }
    }

    fn see(&mut self, place: &'static str) {
        *self.seen.entry(place).or_default() += 1;
    }

    /// How many stories came to `place`.
    #[must_use]
    pub fn count(&self, place: &str) -> usize {
        self.seen.get(place).copied().unwrap_or(0)
    }

    /// Places of [`ALL`](Self::ALL) that no story came to.
    pub fn missed(&self) -> impl Iterator<Item = &'static str> + '_ {
        Self::ALL
            .into_iter()
            .filter(|place| !self.seen.contains_key(place))
    }
}
