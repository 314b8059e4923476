//! Every public function of `jobs-proto`.

use core::hint::black_box as seen;

use jobs_proto::{
    ClientToken, ErrorCode, EscapedStr, JobId, JobStatus, ThingName, UpdateStatus, WireStatus,
    decode::{
        self, DecodeError, ExecutionMessage, JobExecution, Kind, Message, Number, StatusDetails,
        Summaries, Text, Time,
    },
    details::{self, Details, PackedDetails},
    document::Document,
    encode,
    topic::{Filter, InboundTopic, Reply, RequestTopic},
    transition,
};

pub(crate) fn all(input: &[u8], text: &str) {
    identifiers(text);
    rules(text);
    topics(text);
    documents(input, text);
    packing(input, text);
    messages(input);
    lent(input);
    lists(input);
    answers(input, text);
    requests(input, text);
}

fn identifiers(text: &str) {
    if let Ok(id) = seen(JobId::new(text)) {
        seen((
            id.as_str(),
            id.as_bytes(),
            id.as_ref().len(),
            id == seen(id),
            id < seen(id),
        ));
    }
    if let Ok(name) = seen(ThingName::new(text)) {
        seen((name.as_str(), name == seen(name)));
    }
    if let Ok(token) = seen(ClientToken::try_from(text)) {
        seen((token.as_str(), token == seen(token)));
    }
}

fn rules(text: &str) {
    if let Some(status) = seen(JobStatus::parse(text)) {
        seen((status.as_str(), status.is_terminal()));
        seen(transition::allowed(
            status,
            seen(status),
            seen(transition::Actor::Device),
        ));
        let wire = seen(WireStatus::Known(status));
        seen((wire.known(), wire.is(status)));
    }
    for status in seen(UpdateStatus::ALL) {
        seen((status.status(), status.as_str(), status.is_terminal()));
        seen(JobStatus::from(status));
    }
    let code = seen(ErrorCode::parse(text));
    seen((
        code.as_str(),
        code.retry_class(),
        decode::ErrorKind::as_str(seen(decode::ErrorKind::Utf8)),
    ));
    seen(seen(encode::StepMinutes::new(seen(7))).map(encode::StepMinutes::minutes));
}

fn topics(text: &str) {
    let Ok(thing) = ThingName::new(text) else {
        return;
    };
    let mut out = [0; 230];
    let out: &mut [u8] = seen(&mut out);
    if let Ok(topic) = seen(InboundTopic::parse(text, thing)) {
        seen(topic.encoded_len(thing));
        seen(topic.encode(thing, out).is_ok());
        seen(topic.write(thing, out).is_ok());
    }
    if let Ok(topic) = seen(RequestTopic::parse(text, thing)) {
        seen(topic.encoded_len(thing));
        seen(topic.encode(thing, out).is_ok());
        seen(topic.write(thing, out).is_ok());
        seen(topic.reply(seen(Reply::Accepted)));
    }
    for filter in seen(Filter::ALL) {
        seen(filter.encoded_len(thing));
        seen(filter.encode(thing, out).is_ok());
        seen(filter.write(thing, out).is_ok());
    }
}

fn strings(value: EscapedStr<'_>, text: &str) {
    let mut out = [0; 40];
    seen((
        value.as_escaped(),
        value.as_bytes(),
        value.as_plain(),
        value.eq_str(text),
        value == text,
    ));
    seen(value == seen(value));
    seen(value.chars().map(u32::from).fold(0, u32::wrapping_add));
    seen(value.unescape(seen(&mut out)).is_ok());
}

fn documents(input: &[u8], text: &str) {
    let document = Document(input);
    seen((
        document.is_object(),
        document.raw_field(text),
        document.u64_field(text),
    ));
    seen((
        document.i64_field(text),
        document.bool_field(text),
        document.object_field(text),
    ));
    seen(document.path(seen(&[text, text])));
    if let Some(value) = document.str_field(text) {
        strings(value, text);
    }
    for element in document.array_field(text).into_iter().flatten() {
        seen(element);
    }
}

fn packing(input: &[u8], text: &str) {
    let packed = PackedDetails(input);
    seen((packed.is_valid(), packed.is_empty()));
    for pair in packed.iter() {
        seen(pair);
    }
    let (mut buf, mut len) = ([0; 64], seen(0));
    seen(PackedDetails::push(seen(&mut buf), &mut len, text, text)).ok();
    seen(PackedDetails::push_cut(
        seen(&mut buf),
        &mut len,
        text,
        text,
    ))
    .ok();
    seen(
        details::scrub(text)
            .map(u32::from)
            .fold(0, u32::wrapping_add),
    );
}

fn failed(error: &DecodeError<'_>) {
    seen((error.kind, error.offset, error.salvage));
}

fn told(details: &StatusDetails<'_>) {
    seen((details.as_json(), details.get(seen("key"))));
    for (key, value) in details.iter() {
        strings(key, "key");
        strings(value, "value");
    }
}

fn execution(execution: &JobExecution<'_>) {
    seen(execution);
    seen(execution.queued_at.map(jobs_proto::EpochSeconds::as_secs));
    if let Some(details) = &execution.status_details {
        told(details);
    }
}

fn messages(input: &[u8]) {
    type Read = for<'a> fn(&'a [u8]) -> Result<ExecutionMessage<'a>, DecodeError<'a>>;
    let readers: [Read; 3] = [
        decode::notify_next,
        decode::describe_accepted,
        decode::start_next_accepted,
    ];
    for read in seen(readers) {
        match seen(read(input)) {
            Ok(message) => {
                message.execution.iter().for_each(execution);
            }
            Err(error) => failed(&error),
        }
    }
}

/// The same messages in room that is lent.
fn lent(input: &[u8]) {
    let mut room = [&[][..]; Message::ROOM];
    let mut message = Message::new(&mut room);
    let kinds = [
        Kind::Execution,
        Kind::Updated,
        Kind::Rejected,
        Kind::Notify,
        Kind::Pending,
    ];
    for kind in seen(kinds) {
        seen(message.read(kind, input)).ok();
        said(&message);
        while let Some(state) = seen(message.next_line()) {
            seen(state);
            said(&message);
        }
        message.rewind();
    }
}

fn said(message: &Message<'_, '_>) {
    seen((message.fault_at(), message.has_execution(), message.has_state()));
    seen((message.job_id(), message.thing_name(), message.status()));
    seen((message.code(), message.text(seen(Text::Message))));
    seen((
        message.time(seen(Time::Queued)),
        message.number(seen(Number::Version)),
    ));
    seen((message.status_details(), message.job_document()));
}

fn lines(list: Summaries<'_>) {
    for line in list {
        seen(line);
    }
}

fn lists(input: &[u8]) {
    match seen(decode::notify(input)) {
        Ok(notify) => {
            for list in [notify.in_progress(), notify.queued(), notify.all()] {
                lines(list);
            }
        }
        Err(error) => failed(&error),
    }
    match seen(decode::get_pending_accepted(input)) {
        Ok(pending) => {
            for list in [pending.in_progress(), pending.queued(), pending.all()] {
                lines(list);
            }
        }
        Err(error) => failed(&error),
    }
}

fn answers(input: &[u8], text: &str) {
    match seen(decode::update_accepted(input)) {
        Ok(answer) => {
            seen(answer);
            if let Some(details) = answer
                .execution_state
                .and_then(|state| state.status_details)
            {
                told(&details);
            }
        }
        Err(error) => failed(&error),
    }
    match seen(decode::rejected(input)) {
        Ok(answer) => {
            seen(answer);
            if let Some(message) = answer.message {
                strings(message, text);
            }
        }
        Err(error) => failed(&error),
    }
}

fn requests(input: &[u8], text: &str) {
    let mut out = [0; 300];
    let out: &mut [u8] = seen(&mut out);
    let pairs = [(text, text), (text, text)];
    let client_token = ClientToken::new(text).ok();
    let kinds = [
        Details::Pairs(seen(&pairs)),
        Details::Packed(PackedDetails(input)),
        Details::Unchanged,
    ];
    let number = seen(Some(i64::MIN));
    for status_details in seen(kinds) {
        let minutes = encode::StepMinutes::new(seen(7));
        let mut update = encode::Update::new(seen(UpdateStatus::Failed));
        update.status_details = status_details;
        update.expected_version = number;
        update.execution_number = number;
        update.include_job_document = seen(true);
        update.include_job_execution_state = seen(true);
        update.step_timeout_minutes = seen(minutes.map(encode::StepTimeout::Minutes));
        update.client_token = client_token;
        seen(update.encode(out).is_ok());
        let start = encode::StartNext {
            status_details,
            step_timeout_minutes: minutes,
            client_token,
        };
        seen(start.encode(out).is_ok());
    }
    let describe = encode::Describe {
        execution_number: number,
        include_job_document: seen(Some(true)),
        client_token,
    };
    seen(describe.encode(out).is_ok());
    seen(encode::GetPending { client_token }.encode(out).is_ok());
}
