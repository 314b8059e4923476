//! The parts of `jobs-proto`, each called with everything unknown.

use core::hint::black_box;

use jobs_proto::decode::{Kind, Message, Number, Summaries, Text, Time};
use jobs_proto::document::Document;
use jobs_proto::topic::{Filter, InboundTopic, RequestTopic};
use jobs_proto::{decode, encode};

use crate::{any, buffer, bytes, keep, text, thing};

/// Topics that arrive, topics to publish to, and filters.
#[inline(never)]
pub fn topics() {
    keep(InboundTopic::parse(text(), thing()));
    any(|topic: &RequestTopic<'_>| keep(topic.write(thing(), buffer())));
    any(|filter: &Filter| keep(filter.write(thing(), buffer())));
}

/// The message with which a job comes, and what it says.
#[inline(never)]
pub fn decode_execution() {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    keep(message.read(Kind::Execution, bytes()));
    said(&message);
}

/// All messages of the service, with the lists and the details in them.
#[inline(never)]
pub fn decode_all() {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    // Which kind it is cannot be known, so the image has what all of them take.
    keep(message.read(black_box(Kind::Execution), bytes()));
    said(&message);
    keep(message.code());
    keep(message.has_state());
    if let Some(details) = message.status_details() {
        details.iter().for_each(keep);
    }
    while let Some(state) = message.next_line() {
        keep(state);
    }
    message.rewind();
}

/// What is asked of a message about one execution; which time, text or number cannot be known.
fn said(message: &Message<'_, '_>) {
    keep(message.fault_at());
    keep(message.job_id());
    keep(message.thing_name());
    keep(message.status());
    keep(message.text(black_box(Text::ClientToken)));
    keep(message.time(black_box(Time::Queued)));
    keep(message.number(black_box(Number::Version)));
    keep(message.status_details());
    keep(message.job_document());
}

/// The same as structs.
#[inline(never)]
pub fn decode_structs() {
    let message = decode::notify_next(bytes());
    if let Ok(message) = black_box(&message)
        && let Some(execution) = &message.execution
        && let Some(details) = &execution.status_details
    {
        details.iter().for_each(keep);
    }
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
    any(|request: &encode::Update<'_>| keep(request.encode(buffer())));
    any(|request: &encode::StartNext<'_>| keep(request.encode(buffer())));
    any(|request: &encode::Describe<'_>| keep(request.encode(buffer())));
    any(|request: &encode::GetPending<'_>| keep(request.encode(buffer())));
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
