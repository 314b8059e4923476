//! Puts a decided act into words, in the caller's scratch space.

use jobs_proto::{
    ClientToken, JobId, UpdateStatus,
    details::{Details, PackedDetails},
    encode::{self, EncodeError},
    topic::{Filter, RequestTopic},
};

use crate::{
    common::{Common, LinkState},
    handler::Attempt,
    output::{
        FILTERS_MAX, Filters, Lent, Origin, Output, RebootPermit, Receipt, RunPermit, Status,
    },
    poll::{Duty, Scratch},
    queue::{Ask, when},
    record::{Flag, Number},
    slot::{RequestKind, Slot, Storage, at},
    time::Timer,
    token::{self, Token},
};

/// How long a device may take to go down before its reset counts as failed, milliseconds: systemd
/// gives services 90 s to stop.
const RESET_WAIT_MS: u32 = 300_000;

impl Common<'_> {
    #[inline(never)]
    pub(crate) fn put<'s>(
        &mut self,
        slot: &mut Slot,
        duty: Duty,
        scratch: &'s mut Scratch,
    ) -> Output<'s> {
        let number = slot.number;
        let receipt = |origin, sequence| Receipt { origin, sequence };
        match duty {
            Duty::Stop(reason) => {
                slot.work.stop_due = false;
                let run = slot.run;
                let slot = number;
                Output::Stop { slot, run, reason }
            }
            Duty::Saved => {
                slot.work.saved_due = false;
                let run = slot.run;
                Output::Saved { slot: number, run }
            }
            Duty::Ended => {
                // Only from here on can the slot be taken again.
                self.queue.slot_freed();
                match (slot.work.ended.take(), slot.lend_job(&mut scratch.topic)) {
                    (Some(ending), Some(job_id)) => Output::Ended {
                        slot: number,
                        job_id,
                        ending,
                    },
                    (None, _) | (_, None) => Output::Wait(None),
                }
            }
            Duty::Persist => {
                let sequence = self.next_counter();
                let Some(record) = slot.encode_record(self.boot.id, &mut scratch.payload) else {
                    return Output::Wait(None);
                };
                slot.storage = Storage::Persisting;
                slot.storing = sequence;
                slot.stored = true;
                Output::Persist {
                    receipt: receipt(Origin::Storage(number), sequence),
                    slot: number,
                    record,
                }
            }
            Duty::Erase => {
                slot.storage = Storage::Erasing;
                slot.storing = self.next_counter();
                Output::Erase {
                    receipt: receipt(Origin::Storage(number), slot.storing),
                    slot: number,
                }
            }
            Duty::Reset => {
                slot.work.resetting = true;
                slot.timers[at::RESET] = Timer::after(RESET_WAIT_MS);
                slot.storing = self.next_counter();
                let receipt = receipt(Origin::Reset(number), slot.storing);
                let slot = number;
                Output::Reboot(RebootPermit { slot, receipt })
            }
            Duty::Run => self.put_run(slot, scratch),
            Duty::Send(kind) => self.put_request(slot, kind, scratch),
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
            execution: slot.header.execution(),
            tag: slot.header.tag(),
            checkpoint: checkpoint.map(|bytes| Lent {
                bytes,
                needs_document: slot.header.is(Flag::NEEDS_DOCUMENT),
            }),
            attempt: Attempt {
                number: slot.header.attempts(),
                last: self.config.attempts_max.max(1),
            },
            deadline: self.at_known(slot.timers[at::LIMIT].min(slot.timers[at::TIMEOUT])),
        })
    }

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
        let origin = Origin::Subscription;
        Output::Subscribe {
            receipt: Receipt { origin, sequence },
            filters,
        }
    }

    #[inline(never)]
    pub(crate) fn put_question<'s>(&mut self, ask: Ask, scratch: &'s mut Scratch) -> Output<'s> {
        let counter = self.next_counter();
        let reply = Timer::after(self.config.reply_timeout_ms);
        self.queue.ask(ask, counter, reply, self.config.resync_ms);
        let topic = match ask {
            Ask::Next => RequestTopic::DescribeNext,
            Ask::List => RequestTopic::GetPending,
        };
        let token = token::text(self.boot.entropy, counter);
        // Both questions say little but their token.
        let bare = ask == Ask::Next && self.queue.silence.asks_bare();
        let payload = encode::Describe {
            client_token: client_token(&token),
            include_job_document: bare.then_some(false),
            ..encode::Describe::default()
        }
        .encode(&mut scratch.payload);
        let topic = topic.encode(self.config.thing, &mut scratch.topic).ok();
        self.transmit(Origin::Queue, counter, topic, payload, true)
    }

    fn put_request<'s>(
        &mut self,
        slot: &mut Slot,
        kind: RequestKind,
        scratch: &'s mut Scratch,
    ) -> Output<'s> {
        let config = self.config;
        let counter = self.next_counter();
        slot.work.request = Some(kind);
        slot.work.asked = counter;
        slot.timers[at::REPLY] = Timer::after(config.reply_timeout_ms);
        let token = token::text(self.boot.entropy, counter);
        let Ok(job) = JobId::new(&slot.id) else {
            return Output::Wait(None);
        };
        let asks = matches!(kind, RequestKind::Describe | RequestKind::Verify);
        let bare = kind == RequestKind::Verify || slot.work.silence.asks_bare();
        let (topic, payload) = if asks {
            let describe = encode::Describe {
                execution_number: slot.header.execution_number(),
                include_job_document: bare.then_some(false),
                client_token: client_token(&token),
            };
            let topic = RequestTopic::Describe(job);
            (topic, describe.encode(&mut scratch.payload))
        } else {
            let update = slot.update(kind, &token);
            let topic = RequestTopic::Update(job);
            (topic, update.encode(&mut scratch.payload))
        };
        let topic = topic.encode(config.thing, &mut scratch.topic).ok();
        match kind {
            // A cancel has no message of its own, and what tells of it can be lost: asked again
            // some time while the handler works; once before an outcome.
            RequestKind::Verify if slot.is_watched() => {
                slot.timers[at::VERIFY] = Timer::after(config.resync_ms);
            }
            RequestKind::Verify => slot.timers[at::VERIFY] = Timer::NEVER,
            RequestKind::Progress => {
                slot.work.progress_pending = false;
                slot.timers[at::REPORT] = Timer::after(config.progress_interval_ms);
                slot.arm_renewal();
            }
            // The service tells the new head after an outcome; ask only if it does not.
            RequestKind::Outcome => {
                self.queue.timers[when::SETTLE] = Timer::after(config.settle_ms);
            }
            RequestKind::Describe | RequestKind::Start => {}
        }
        let at_least_once = kind != RequestKind::Progress;
        let origin = Origin::Request(slot.number);
        self.transmit(origin, counter, topic, payload, at_least_once)
    }

    /// The publish, if it could be written; otherwise its request will be overdue.
    fn transmit<'s>(
        &self,
        origin: Origin,
        sequence: u32,
        topic: Option<&'s str>,
        payload: Result<&'s [u8], EncodeError>,
        at_least_once: bool,
    ) -> Output<'s> {
        match (topic, payload) {
            (Some(topic), Ok(payload)) => Output::Transmit {
                receipt: Receipt { origin, sequence },
                topic,
                payload,
                at_least_once,
            },
            (None, _) | (_, Err(_)) => {
                Output::Wait(self.at(Timer::after(self.config.reply_timeout_ms)))
            }
        }
    }
}

fn client_token(token: &Token) -> Option<ClientToken<'_>> {
    ClientToken::new(token).ok()
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
    fn update<'u>(&'u self, kind: RequestKind, token: &'u Token) -> encode::Update<'u> {
        let over = kind == RequestKind::Outcome;
        let status = match self.work.outcome.filter(|_| over) {
            Some(Status::Succeeded) => UpdateStatus::Succeeded,
            Some(Status::Failed) => UpdateStatus::Failed,
            Some(Status::Rejected) => UpdateStatus::Rejected,
            None => UpdateStatus::InProgress,
        };
        let details: &[u8] = match kind {
            RequestKind::Outcome => &self.body,
            RequestKind::Progress => &self.progress,
            RequestKind::Start | RequestKind::Describe | RequestKind::Verify => &[],
        };
        let mut update = encode::Update::new(status);
        if !details.is_empty() {
            update.status_details = Details::Packed(PackedDetails(details));
        }
        update.execution_number = self.header.execution_number();
        if !over {
            update.step_timeout_minutes = self.step_minutes().map(encode::StepTimeout::Minutes);
        }
        update.client_token = client_token(token);
        update
    }

    fn step_minutes(&self) -> Option<encode::StepMinutes> {
        let minutes = self.header.low(Number::STEP_TIMEOUT);
        encode::StepMinutes::new(u16::try_from(minutes).ok()?)
    }

    /// Lends the job id from the scratch space.
    fn lend_job<'s>(&self, space: &'s mut [u8]) -> Option<JobId<'s>> {
        let id = lend(self.id.as_bytes(), space)?;
        JobId::new(core::str::from_utf8(id).ok()?).ok()
    }
}
