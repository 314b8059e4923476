//! Requests to the service: which one goes out, and its words.

use jobs_proto::{
    ClientToken, JobId, UpdateStatus,
    details::{Details, PackedDetails},
    encode::{self, EncodeError},
    topic::RequestTopic,
};

use crate::{
    common::Common,
    output::{Output, Receipt, Status},
    poll::Scratch,
    queue::{Ask, when},
    record::Number,
    slot::{RequestKind, Slot, at},
    time::Timer,
    token,
};

/// What a request is about.
pub(crate) enum Subject<'a> {
    Queue(Ask),
    Slot(&'a mut Slot, RequestKind),
}

impl Common<'_> {
    /// A request. One that could not be written will be overdue.
    #[inline(never)]
    pub(crate) fn put_request<'s>(
        &mut self,
        subject: Subject<'_>,
        scratch: &'s mut Scratch,
    ) -> Output<'s> {
        let config = self.config;
        let sequence = self.next_counter();
        let token = token::text(self.boot.entropy, sequence);
        let client_token = ClientToken::new(&token).ok();
        let reply = Timer::after(config.reply_timeout_ms);
        let mut at_least_once = true;
        let (topic, payload);
        match subject {
            Subject::Queue(ask) => {
                self.queue.ask(ask, sequence, reply, config.resync_ms);
                // Both questions say little but their token.
                let bare = ask == Ask::Next && self.queue.silence.asks_bare();
                topic = match ask {
                    Ask::Next => RequestTopic::DescribeNext,
                    Ask::List => RequestTopic::GetPending,
                };
                payload = describe(0, bare, client_token, &mut scratch.payload);
            }
            Subject::Slot(slot, kind) => {
                slot.work.request = Some(kind);
                slot.work.asked = sequence;
                slot.timers[at::REPLY] = reply;
                self.asked(slot, kind);
                at_least_once = kind != RequestKind::Progress;
                let Ok(job) = JobId::new(&slot.id) else {
                    return Output::Wait(None);
                };
                if matches!(kind, RequestKind::Describe | RequestKind::Verify) {
                    let bare = kind == RequestKind::Verify || slot.work.silence.asks_bare();
                    let number = slot.header.number();
                    topic = RequestTopic::Describe(job);
                    payload = describe(number, bare, client_token, &mut scratch.payload);
                } else {
                    topic = RequestTopic::Update(job);
                    payload = slot.update(kind, client_token).encode(&mut scratch.payload);
                }
            }
        }
        match (topic.encode(config.thing, &mut scratch.topic), payload) {
            (Ok(topic), Ok(payload)) => Output::Transmit {
                receipt: Receipt { sequence },
                topic,
                payload,
                at_least_once,
            },
            // Not to be: the scratch space has room for the longest. It will be overdue.
            (Err(_), _) | (_, Err(_)) => Output::Wait(Some(self.clock)),
        }
    }

    /// The request of this slot goes out: its times are met.
    fn asked(&mut self, slot: &mut Slot, kind: RequestKind) {
        let config = self.config;
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
    }
}

/// The question for an execution: for its head if `number` is 0, `bare` without its document.
#[inline(never)]
fn describe<'s>(
    number: i64,
    bare: bool,
    client_token: Option<ClientToken<'_>>,
    out: &'s mut [u8],
) -> Result<&'s [u8], EncodeError> {
    let describe = encode::Describe {
        execution_number: (number != 0).then_some(number),
        include_job_document: bare.then_some(false),
        client_token,
    };
    describe.encode(out)
}

impl Slot {
    fn update<'u>(
        &'u self,
        kind: RequestKind,
        client_token: Option<ClientToken<'u>>,
    ) -> encode::Update<'u> {
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
        update.execution_number = self.header.known_number();
        if !over {
            update.step_timeout_minutes = self.step_minutes().map(encode::StepTimeout::Minutes);
        }
        update.client_token = client_token;
        update
    }

    fn step_minutes(&self) -> Option<encode::StepMinutes> {
        encode::StepMinutes::new(self.header.short(Number::STEP_TIMEOUT))
    }
}
