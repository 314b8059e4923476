//! Puts a decided act into words, in the caller's scratch space.

use jobs_proto::{JobId, topic::Filter};

use crate::{
    common::{Common, LinkState},
    handler::{Attempt, StopReason},
    output::{FILTERS_MAX, Filters, Lent, Output, RebootPermit, Receipt, RunPermit},
    poll::{Duty, Scratch},
    record::Flag,
    slot::{Slot, Storage, at},
    time::Timer,
};

/// How long a device may take to go down before its reset counts as failed, milliseconds: systemd
/// gives services 90 s to stop.
const RESET_WAIT_MS: u32 = 300_000;

impl Common<'_> {
    pub(crate) fn put<'s>(
        &mut self,
        slot: &mut Slot,
        duty: Duty,
        scratch: &'s mut Scratch,
    ) -> Output<'s> {
        let (number, run) = (slot.number, slot.run);
        let work = &mut slot.work;
        match duty {
            Duty::Stop => {
                work.stop_due = false;
                let reason = work.stop.unwrap_or(StopReason::Over);
                Output::Stop {
                    slot: number,
                    run,
                    reason,
                }
            }
            Duty::Saved => {
                work.saved_due = false;
                Output::Saved { slot: number, run }
            }
            Duty::Ended => {
                // Only from here on can the slot be taken again.
                self.queue.slot_freed();
                match (work.ended.take(), slot.lend_job(&mut scratch.topic)) {
                    (Some(ending), Some(job_id)) => Output::Ended {
                        slot: number,
                        job_id,
                        ending,
                    },
                    (None, _) | (_, None) => Output::Wait(None),
                }
            }
            Duty::Run => self.put_run(slot, scratch),
            Duty::Persist | Duty::Erase | Duty::Reset => self.put_storage(slot, duty, scratch),
        }
    }

    /// What is durable, or for ever.
    fn put_storage<'s>(
        &mut self,
        slot: &mut Slot,
        duty: Duty,
        scratch: &'s mut Scratch,
    ) -> Output<'s> {
        let sequence = self.next_counter();
        let receipt = Receipt { sequence };
        slot.storing = sequence;
        let number = slot.number;
        if let Duty::Reset = duty {
            slot.work.resetting = true;
            slot.timers[at::RESET] = Timer::after(RESET_WAIT_MS);
            return Output::Reboot(RebootPermit {
                slot: number,
                receipt,
            });
        }
        if let Duty::Erase = duty {
            slot.storage = Storage::Erasing;
            return Output::Erase {
                receipt,
                slot: number,
            };
        }
        match slot.encode_record(&self.boot.id, &mut scratch.payload) {
            Some(record) => {
                slot.storage = Storage::Persisting;
                slot.stored = true;
                Output::Persist {
                    receipt,
                    slot: number,
                    record,
                }
            }
            None => Output::Wait(None),
        }
    }

    fn put_run<'s>(&mut self, slot: &mut Slot, scratch: &'s mut Scratch) -> Output<'s> {
        let work = &mut slot.work;
        work.run_due = false;
        let checkpoint = if work.has_checkpoint {
            lend(&slot.body, &mut scratch.payload)
        } else {
            None
        };
        let Some(job_id) = slot.lend_job(&mut scratch.topic) else {
            return Output::Wait(None);
        };
        Output::Run(RunPermit {
            slot: slot.number,
            run: slot.run,
            job_id,
            execution: slot.header.number(),
            tag: slot.header.tag(),
            checkpoint: checkpoint.map(|bytes| Lent {
                bytes,
                needs_document: slot.header.is(Flag::NEEDS_DOCUMENT),
            }),
            attempt: Attempt {
                number: slot.header.attempts(),
                last: self.config.attempts_max.max(1),
            },
            deadline: (
                self.clock,
                slot.timers[at::LIMIT].min(slot.timers[at::TIMEOUT]),
            ),
        })
    }

    #[inline(never)]
    pub(crate) fn put_filters<'s>(&mut self, scratch: &'s mut Scratch) -> Output<'s> {
        const NOTIFICATIONS: usize = 2;
        const ALL: [Filter; FILTERS_MAX] = [
            Filter::Notify,
            Filter::NotifyNext,
            Filter::GetPendingReplies,
            // `+` also matches `$next`: only the first level of a topic is special.
            Filter::DescribeReplies,
            Filter::UpdateReplies,
        ];
        let wanted = if self.config.subscribe_replies {
            FILTERS_MAX
        } else {
            NOTIFICATIONS
        };
        let sequence = self.next_counter();
        let space = &mut scratch.payload;
        let mut len = 0;
        for filter in ALL.iter().take(wanted) {
            let Some((head, tail)) = space.get_mut(len..).and_then(<[u8]>::split_first_mut) else {
                break;
            };
            let Ok(text) = filter.write(self.config.thing, tail) else {
                break;
            };
            // `Scratch` has room for the longest ones, whose length is that of a byte.
            *head = u8::try_from(text.len()).unwrap_or_default();
            len = len.wrapping_add(1).wrapping_add(text.len());
        }
        let filters = Filters {
            packed: scratch.payload.get(..len).unwrap_or_default(),
        };
        let link = &mut self.link;
        link.state = LinkState::Subscribing;
        link.sent = sequence;
        link.due = Timer::after(self.config.reply_timeout_ms);
        Output::Subscribe {
            receipt: Receipt { sequence },
            filters,
        }
    }
}

/// Lends a copy of `bytes` from the scratch space.
fn lend<'s>(bytes: &[u8], space: &'s mut [u8]) -> Option<&'s [u8]> {
    let place = space.get_mut(..bytes.len())?;
    // Of the same length, which `copy_from_slice` would check again, with a panic behind it.
    place
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
    Some(place)
}

impl Slot {
    /// Lends the job id from the scratch space.
    fn lend_job<'s>(&self, space: &'s mut [u8]) -> Option<JobId<'s>> {
        let id = lend(self.id.as_bytes(), space)?;
        JobId::new(core::str::from_utf8(id).ok()?).ok()
    }
}
