//! The parts of `jobs-proto`, each called with everything unknown.

use core::hint::black_box;

use jobs_proto::decode::Summaries;
use jobs_proto::details::Details;
use jobs_proto::document::Document;
use jobs_proto::topic::{Filter, InboundTopic, RequestTopic};
use jobs_proto::{UpdateStatus, decode, encode};

use crate::{buffer, bytes, keep, text, thing};

/// Topics that arrive, topics to publish to, and filters.
#[inline(never)]
pub fn topics() {
    keep(InboundTopic::parse(text(), thing()));
    keep(black_box(&RequestTopic::GetPending).write(thing(), buffer()));
    keep(black_box(&Filter::Notify).write(thing(), buffer()));
}

/// The message with which a job comes.
#[inline(never)]
pub fn decode_execution() {
    black_box(&decode::notify_next(bytes()));
}

/// All messages of the service, with the iterators over what they list.
#[inline(never)]
pub fn decode_all() {
    let message = decode::notify_next(bytes());
    if let Ok(message) = black_box(&message)
        && let Some(execution) = &message.execution
        && let Some(details) = &execution.status_details
    {
        keep(details.get(text()));
        details.iter().for_each(keep);
    }
    // Looked at where they are: a firmware has no need to move them either.
    black_box(&decode::describe_accepted(bytes()));
    black_box(&decode::start_next_accepted(bytes()));
    black_box(&decode::update_accepted(bytes()));
    black_box(&decode::rejected(bytes()));
    if let Ok(notify) = black_box(&decode::notify(bytes())) {
        lines(&mut notify.all());
        lines(&mut notify.queued());
        lines(&mut notify.in_progress());
    }
    if let Ok(pending) = black_box(&decode::get_pending_accepted(bytes())) {
        lines(&mut pending.all());
        lines(&mut pending.queued());
        lines(&mut pending.in_progress());
    }
}

#[inline(never)]
fn lines(lines: &mut Summaries<'_>) {
    while let Some(line) = &lines.next() {
        black_box(line);
    }
}

/// All requests of a device.
#[inline(never)]
pub fn encode_all() {
    const UPDATE: encode::Update<'_> = encode::Update::new(UpdateStatus::Failed);
    const START_NEXT: encode::StartNext<'_> = encode::StartNext {
        status_details: Details::Unchanged,
        step_timeout_minutes: None,
        client_token: None,
    };
    const DESCRIBE: encode::Describe<'_> = encode::Describe {
        execution_number: None,
        include_job_document: None,
        client_token: None,
    };
    const GET_PENDING: encode::GetPending<'_> = encode::GetPending { client_token: None };
    // Behind an opaque reference any member can hold anything.
    keep(black_box(&UPDATE).encode(buffer()));
    keep(black_box(&START_NEXT).encode(buffer()));
    keep(black_box(&DESCRIBE).encode(buffer()));
    keep(black_box(&GET_PENDING).encode(buffer()));
}

/// Looking into a job document.
#[inline(never)]
pub fn document() {
    let document = Document(bytes());
    keep(document.is_object());
    keep(document.str_field(text()));
    keep(document.u64_field(text()));
    keep(document.i64_field(text()));
    keep(document.bool_field(text()));
    keep(document.object_field(text()));
    if let Some(elements) = document.array_field(text()) {
        elements.for_each(keep);
    }
}
