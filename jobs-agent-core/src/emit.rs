//! Puts a decided effect into words, in the caller's scratch space.

use jobs_proto::{
    ClientToken, JobId, UpdateStatus,
    details::{Details, PackedDetails},
    encode,
    limits::TOPIC_LEN_MAX,
    topic::{Filter, RequestTopic},
};

use crate::{
    agent::{Agent, Link},
    handler::{Attempt, StopReason},
    inbound::index_u8,
    output::{
        FILTERS_MAX, Filters, Origin, Output, RebootPermit, Receipt, RunPermit, Start, Status,
    },
    poll::Scratch,
    queue::{Ask, QueueRequest},
    slot::{Request, RequestKind, Slot, Storage},
    time::{Millis, earlier},
    token,
};

impl<const JOBS: usize> Agent<'_, JOBS> {
    pub(crate) fn put_stop(&mut self, index: usize, reason: StopReason) -> Output<'static> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.stop_due = false;
        Output::Stop {
            slot: index_u8(index),
            run: slot.run,
            reason,
        }
    }

    pub(crate) fn put_saved(&mut self, index: usize) -> Output<'static> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.saved_due = false;
        Output::Saved {
            slot: index_u8(index),
            run: slot.run,
        }
    }

    pub(crate) fn put_ended<'s>(&mut self, index: usize, scratch: &'s mut Scratch) -> Output<'s> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        let Some(ending) = slot.ended.take() else {
            return Output::Wait(None);
        };
        match lend_job(slot, &mut scratch.topic) {
            Some(job_id) => Output::Ended {
                slot: index_u8(index),
                job_id,
                ending,
            },
            None => Output::Wait(None),
        }
    }

    pub(crate) fn put_record<'s>(&mut self, index: usize, scratch: &'s mut Scratch) -> Output<'s> {
        let sequence = self.next_counter();
        let boot = self.boot.id;
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        let Some(record) = slot.record(boot) else {
            return Output::Wait(None);
        };
        let Some(record) = record.encode(&mut scratch.payload) else {
            return Output::Wait(None);
        };
        slot.storage = Storage::Persisting {
            sequence,
            current: true,
        };
        slot.stored = true;
        let slot = index_u8(index);
        Output::Persist {
            receipt: Receipt {
                origin: Origin::Storage(slot),
                sequence,
            },
            slot,
            record,
        }
    }

    pub(crate) fn put_erase(&mut self, index: usize) -> Output<'static> {
        let sequence = self.next_counter();
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.storage = Storage::Erasing { sequence };
        let slot = index_u8(index);
        Output::Erase {
            receipt: Receipt {
                origin: Origin::Storage(slot),
                sequence,
            },
            slot,
        }
    }

    pub(crate) fn put_run<'s>(&mut self, index: usize, scratch: &'s mut Scratch) -> Output<'s> {
        let last = self.config.attempts_max.max(1);
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.run_due = false;
        let Some(job_id) = lend_job(slot, &mut scratch.topic) else {
            return Output::Wait(None);
        };
        let start = slot.checkpoint().map_or(Start::Fresh, Start::Resume);
        Output::Run(RunPermit {
            slot: index_u8(index),
            run: slot.run,
            job_id,
            execution_number: slot.job.execution_number,
            tag: slot.tag,
            start,
            attempt: Attempt {
                number: slot.attempts,
                last,
            },
            deadline: earlier(slot.limit_at, slot.timeout_at),
        })
    }

    pub(crate) fn put_reset(&mut self, index: usize) -> Output<'static> {
        let sequence = self.next_counter();
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.reset_busy = Some(sequence);
        let slot = index_u8(index);
        let receipt = Receipt {
            origin: Origin::Reset(slot),
            sequence,
        };
        Output::Reboot(RebootPermit { slot, receipt })
    }

    pub(crate) fn put_filters<'s>(&mut self, scratch: &'s mut Scratch) -> Output<'s> {
        const NOTIFICATIONS: [Filter; 2] = [Filter::Notify, Filter::NotifyNext];
        const ALL: [Filter; FILTERS_MAX] = [
            Filter::Notify,
            Filter::NotifyNext,
            Filter::GetPendingReplies,
            // `+` also matches `$next`: only the first level of a topic is special.
            Filter::DescribeReplies,
            Filter::UpdateReplies,
        ];
        let sequence = self.next_counter();
        let wanted: &[Filter] = if self.config.subscribe_replies {
            &ALL
        } else {
            &NOTIFICATIONS
        };
        let mut filters = Filters {
            texts: [""; FILTERS_MAX],
            count: 0,
        };
        let mut rest: &'s mut [u8] = &mut scratch.topic;
        for (filter, text) in wanted.iter().zip(&mut filters.texts) {
            let taken = core::mem::take(&mut rest);
            let Some((head, tail)) = taken.split_at_mut_checked(TOPIC_LEN_MAX) else {
                break;
            };
            let Ok(encoded) = filter.encode(self.config.thing, head) else {
                break;
            };
            *text = encoded;
            filters.count = filters.count.saturating_add(1);
            rest = tail;
        }
        if let Link::Subscribing { sent, .. } = &mut self.link {
            *sent = Some(sequence);
        }
        Output::Subscribe {
            receipt: Receipt {
                origin: Origin::Subscription,
                sequence,
            },
            filters,
        }
    }

    pub(crate) fn put_question<'s>(
        &mut self,
        now: Millis,
        ask: Ask,
        scratch: &'s mut Scratch,
    ) -> Output<'s> {
        let counter = self.next_counter();
        let deadline = now.plus(u64::from(self.config.reply_timeout_ms));
        let resync_at = now.plus(u64::from(self.config.resync_ms));
        self.queue.asked(
            QueueRequest {
                ask,
                counter,
                deadline,
            },
            resync_at,
        );
        let text = token::text(self.boot.entropy, counter);
        let token = ClientToken::new(&text).ok();
        let (topic, payload) = match ask {
            Ask::Next => (
                RequestTopic::DescribeNext,
                encode::Describe {
                    client_token: token,
                    ..encode::Describe::default()
                }
                .encode(&mut scratch.payload),
            ),
            Ask::List => (
                RequestTopic::GetPending,
                encode::GetPending {
                    client_token: token,
                }
                .encode(&mut scratch.payload),
            ),
        };
        let topic = topic.encode(self.config.thing, &mut scratch.topic);
        let receipt = Receipt {
            origin: Origin::Queue,
            sequence: counter,
        };
        match (topic, payload) {
            (Ok(topic), Ok(payload)) => Output::Transmit {
                receipt,
                topic,
                payload,
                at_least_once: true,
            },
            (Err(_), _) | (_, Err(_)) => Output::Wait(Some(deadline)),
        }
    }

    pub(crate) fn put_request<'s>(
        &mut self,
        now: Millis,
        index: usize,
        kind: RequestKind,
        scratch: &'s mut Scratch,
    ) -> Output<'s> {
        let counter = self.next_counter();
        let deadline = now.plus(u64::from(self.config.reply_timeout_ms));
        let settle_at = now.plus(u64::from(self.config.settle_ms));
        let interval = u64::from(self.config.progress_interval_ms);
        let Some(slot) = self.slots.get_mut(index) else {
            return Output::Wait(None);
        };
        slot.request = Some(Request {
            kind,
            counter,
            deadline,
        });
        let text = token::text(self.boot.entropy, counter);
        let token = ClientToken::new(&text).ok();
        let Ok(job) = JobId::new(&slot.job.id) else {
            return Output::Wait(None);
        };
        let (topic, payload) = match kind {
            RequestKind::Describe | RequestKind::Verify => (
                RequestTopic::Describe(job),
                encode::Describe {
                    execution_number: slot.job.execution_number,
                    include_job_document: (kind == RequestKind::Verify).then_some(false),
                    client_token: token,
                }
                .encode(&mut scratch.payload),
            ),
            RequestKind::Start | RequestKind::Progress | RequestKind::Outcome => (
                RequestTopic::Update(job),
                slot.update(kind, token).encode(&mut scratch.payload),
            ),
        };
        let topic = topic.encode(self.config.thing, &mut scratch.topic);
        match kind {
            RequestKind::Verify => slot.verify_at = None,
            RequestKind::Progress => {
                slot.progress_pending = false;
                slot.report_at = now.plus(interval);
                slot.arm_renewal(now);
            }
            // The service tells the new head after an outcome; ask only if it does not.
            RequestKind::Outcome => self.queue.settle_at = Some(settle_at),
            RequestKind::Describe | RequestKind::Start => {}
        }
        let receipt = Receipt {
            origin: Origin::Request(index_u8(index)),
            sequence: counter,
        };
        let at_least_once = kind != RequestKind::Progress;
        match (topic, payload) {
            (Ok(topic), Ok(payload)) => Output::Transmit {
                receipt,
                topic,
                payload,
                at_least_once,
            },
            (Err(_), _) | (_, Err(_)) => Output::Wait(Some(deadline)),
        }
    }
}

impl Slot {
    fn update<'u>(
        &'u self,
        kind: RequestKind,
        token: Option<ClientToken<'u>>,
    ) -> encode::Update<'u> {
        let (status, details) = match (kind, self.outcome) {
            (RequestKind::Outcome, Some(Status::Succeeded)) => {
                (UpdateStatus::Succeeded, &*self.body)
            }
            (RequestKind::Outcome, Some(Status::Failed)) => (UpdateStatus::Failed, &*self.body),
            (RequestKind::Outcome, Some(Status::Rejected)) => (UpdateStatus::Rejected, &*self.body),
            (RequestKind::Progress, _) => (UpdateStatus::InProgress, &*self.progress),
            (RequestKind::Outcome, None)
            | (RequestKind::Start | RequestKind::Describe | RequestKind::Verify, _) => {
                (UpdateStatus::InProgress, &[][..])
            }
        };
        let mut update = encode::Update::new(status);
        if !details.is_empty() {
            update.status_details = Details::Packed(PackedDetails(details));
        }
        update.execution_number = self.job.execution_number;
        if kind != RequestKind::Outcome {
            update.step_timeout_minutes = self
                .policy
                .step_timeout_minutes
                .and_then(encode::StepMinutes::new)
                .map(encode::StepTimeout::Minutes);
        }
        update.client_token = token;
        update
    }
}

/// Lends the job id of `slot` from the scratch space.
fn lend_job<'s>(slot: &Slot, space: &'s mut [u8]) -> Option<JobId<'s>> {
    let bytes = slot.job.id.as_bytes();
    let place = space.get_mut(..bytes.len())?;
    // Of the same length, which `copy_from_slice` would check again, with a panic behind it.
    place
        .iter_mut()
        .zip(bytes)
        .for_each(|(to, from)| *to = *from);
    JobId::new(core::str::from_utf8(place).ok()?).ok()
}
