//! Everything that is measured, by name.
//!
//! A name is `part/what/size`, and for comparisons `part/what/size@peer`; those are printed beside
//! ours and have no budget.

use std::hint::black_box;

use jobs_agent_core::{OperationTag, Record, RecordKind, Scratch, Status};
use jobs_proto::details::Details;
use jobs_proto::document::Document;
use jobs_proto::topic::{Filter, InboundTopic, RequestTopic};
use jobs_proto::{ClientToken, JobId, ThingName, UpdateStatus, decode, encode};

use crate::happy::Happy;
use crate::messages::{self, THING};
use crate::peers;

/// Something to measure: `make` prepares, what it returns is measured, once.
pub struct Case {
    /// Its name.
    pub name: String,
    make: Box<dyn Fn() -> Box<dyn FnMut()>>,
}

impl Case {
    /// Prepares one run.
    #[must_use]
    pub fn prepare(&self) -> Box<dyn FnMut()> {
        (self.make)()
    }
}

/// All cases.
#[must_use]
pub fn all() -> Vec<Case> {
    let mut cases = Cases(Vec::new());
    executions(&mut cases);
    replies(&mut cases);
    lists(&mut cases);
    documents(&mut cases);
    encoders(&mut cases);
    topics(&mut cases);
    core(&mut cases);
    cases.0
}

struct Cases(Vec<Case>);

impl Cases {
    /// A reader at work on a message.
    fn read<T>(
        &mut self,
        name: &str,
        message: Vec<u8>,
        read: impl Fn(&[u8]) -> T + Copy + 'static,
    ) {
        self.run(name, move || {
            let message = message.clone();
            Box::new(move || {
                black_box(read(black_box(&message)));
            })
        });
    }

    fn run(&mut self, name: &str, make: impl Fn() -> Box<dyn FnMut()> + 'static) {
        self.0.push(Case {
            name: name.into(),
            make: Box::new(make),
        });
    }
}

/// A reader, ours or a peer's: all of its result is made and looked at where it is. Nobody pays for
/// a move that the others do not make.
macro_rules! reader {
    ($read:path) => {
        |message| {
            black_box(&$read(message));
        }
    };
}

fn executions(cases: &mut Cases) {
    cases.read(
        "decode/notify-next/none",
        messages::notify_next_none(),
        reader!(decode::notify_next),
    );
    for (size, message) in [
        ("300-bytes", messages::notify_next_300()),
        ("32-kib-mixed", messages::notify_next_mixed()),
        ("32-kib-string", messages::notify_next_string()),
        ("32-kib-pretty-non-ascii", messages::notify_next_pretty()),
    ] {
        let name = format!("decode/notify-next/{size}");
        cases.read(&name, message.clone(), reader!(decode::notify_next));
        let mut peer = |peer: &str, read: fn(&[u8])| {
            cases.read(&format!("{name}@{peer}"), message.clone(), read);
        };
        peer("serde_json RawValue", reader!(peers::raw_value));
        peer("sonic-rs", reader!(peers::sonic));
        peer("jiter", reader!(peers::jiter));
        peer("serde-json-core", reader!(peers::json_core));
        peer("rustot", reader!(peers::rustot));
    }
    for (size, message) in SIZES.into_iter().zip(messages::described()) {
        let name = format!("decode/describe-accepted/{size}");
        cases.read(&name, message.clone(), reader!(decode::describe_accepted));
        let name = format!("decode/start-next-accepted/{size}");
        cases.read(&name, message, reader!(decode::start_next_accepted));
    }
}

const SIZES: [&str; 3] = ["min", "typical", "max"];

fn replies(cases: &mut Cases) {
    for (size, message) in SIZES.into_iter().zip(messages::update_accepted()) {
        let name = format!("decode/update-accepted/{size}");
        cases.read(&name, message, reader!(decode::update_accepted));
    }
    for (size, message) in SIZES.into_iter().zip(messages::rejected()) {
        let name = format!("decode/rejected/{size}");
        cases.read(&name, message, reader!(decode::rejected));
    }
}

fn lists(cases: &mut Cases) {
    for entries in [0, 1, messages::entries_max()] {
        cases.read(
            &format!("decode/notify/{entries}-entries"),
            messages::notify(entries),
            |message| {
                decode::notify(message)
                    .map(|read| read.all().map(black_box).count())
                    .ok()
            },
        );
        let name = format!("decode/get-pending-accepted/{entries}-entries");
        let message = messages::pending(entries);
        cases.read(&name, message.clone(), |message| {
            let read = decode::get_pending_accepted(message);
            read.map(|read| read.all().map(black_box).count()).ok()
        });
        let serde_json = format!("{name}@serde_json");
        cases.read(
            &serde_json,
            message.clone(),
            reader!(peers::pending_serde_json),
        );
        cases.read(
            &format!("{name}@sonic-rs"),
            message,
            reader!(peers::pending_sonic),
        );
    }
}

fn documents(cases: &mut Cases) {
    let small = br#"{"operation":"blink","times":30}"#.to_vec();
    cases.read("document/operation/small", small, |bytes| {
        Document(bytes)
            .str_field("operation")
            .map(|text| text.eq_str("blink"))
    });
    let message = messages::notify_next_mixed();
    let read = decode::notify_next(&message)
        .ok()
        .and_then(|read| read.execution);
    let document = read
        .and_then(|job| job.job_document)
        .unwrap_or_default()
        .to_vec();
    cases.read("document/operation/32-kib-mixed", document, |bytes| {
        Document(bytes)
            .str_field("operation")
            .map(|text| text.eq_str("configure"))
    });
}

/// The pairs of a report as handlers write them, and the most there can be.
const PAIRS: [(&str, &str); 2] = [("progress", "42"), ("step", "downloading")];

fn update(details: Details<'static>) -> encode::Update<'static> {
    let mut update = encode::Update::new(UpdateStatus::InProgress);
    update.status_details = details;
    update.expected_version = Some(7);
    update.execution_number = Some(1);
    update.include_job_execution_state = true;
    update.client_token = ClientToken::new("7b1e4a5c90d2f368-17").ok();
    update
}

fn encoders(cases: &mut Cases) {
    let mut encode = |name: &str, write: fn(&mut [u8])| {
        cases.run(name, move || {
            let mut out = vec![0; encode::UPDATE_LEN_MAX];
            Box::new(move || write(black_box(&mut out)))
        });
    };
    encode("encode/update/min", |out| {
        black_box(
            black_box(&encode::Update::new(UpdateStatus::Succeeded))
                .encode(out)
                .is_ok(),
        );
    });
    encode("encode/update/typical", |out| {
        black_box(
            black_box(&update(Details::Pairs(&PAIRS)))
                .encode(out)
                .is_ok(),
        );
    });
    encode("encode/update/max", |out| {
        const VALUE: &str = match core::str::from_utf8(&[b'v'; 1024]) {
            Ok(text) => text,
            Err(_) => "",
        };
        let keys = ["k0", "k1", "k2", "k3", "k4", "k5", "k6", "k7", "k8", "k9"];
        let pairs = keys.map(|key| (key, VALUE));
        let update = encode::Update {
            status_details: Details::Pairs(&pairs),
            ..update(Details::Unchanged)
        };
        black_box(black_box(&update).encode(out).is_ok());
    });
    encode("encode/start-next/typical", |out| {
        let request = encode::StartNext {
            status_details: Details::Pairs(&PAIRS),
            step_timeout_minutes: encode::StepMinutes::new(30),
            client_token: ClientToken::new("7b1e4a5c90d2f368-17").ok(),
        };
        black_box(black_box(&request).encode(out).is_ok());
    });
    encode("encode/describe/typical", |out| {
        let request = encode::Describe {
            execution_number: Some(1),
            include_job_document: Some(true),
            client_token: ClientToken::new("7b1e4a5c90d2f368-17").ok(),
        };
        black_box(black_box(&request).encode(out).is_ok());
    });
    encode("encode/get-pending/typical", |out| {
        let request = encode::GetPending {
            client_token: ClientToken::new("7b1e4a5c90d2f368-17").ok(),
        };
        black_box(black_box(&request).encode(out).is_ok());
    });
}

fn topics(cases: &mut Cases) {
    let thing = || ThingName::new(black_box(THING)).ok();
    for (name, tail) in [
        ("notify-next", "notify-next"),
        ("next-get-accepted", "$next/get/accepted"),
        ("update-accepted", "fw-2026-11-28_a/update/accepted"),
        ("no-match", "a/b/c"),
    ] {
        let topic = format!("$aws/things/{THING}/jobs/{tail}");
        let ours = format!("topic/match/{name}");
        cases.read(&ours, topic.clone().into_bytes(), move |topic| {
            let topic = std::str::from_utf8(topic).ok()?;
            black_box(InboundTopic::parse(topic, thing()?))
                .ok()
                .map(|_| ())
        });
        // It does not look whose topic it is, and takes any text for a job id.
        cases.read(&format!("{ours}@rustot"), topic.into_bytes(), |topic| {
            let topic = std::str::from_utf8(topic).ok()?;
            black_box(rustot::jobs::subscribe::Topic::from_str(topic)).map(|_| ())
        });
    }
    cases.read("topic/build/update", Vec::new(), move |_| {
        let mut out = [0; RequestTopic::LEN_MAX];
        let job = JobId::new(black_box("fw-2026-11-28_a")).ok()?;
        let topic = RequestTopic::Update(job).encode(thing()?, black_box(&mut out));
        black_box(topic).ok().map(str::len)
    });
    cases.read("topic/build/filter", Vec::new(), move |_| {
        let mut out = [0; Filter::LEN_MAX];
        let filter = Filter::NotifyNext.encode(thing()?, black_box(&mut out));
        black_box(filter).ok().map(str::len)
    });
}

fn core(cases: &mut Cases) {
    cases.run("core/happy-job", || {
        let happy = Happy::new();
        let mut agent = happy.agent();
        Box::new(move || {
            black_box(happy.run(&mut agent));
        })
    });
    cases.run("core/poll-at-rest", || {
        let mut agent = Happy::new().agent();
        let mut scratch = Scratch::new();
        Box::new(move || {
            let _ = black_box(agent.poll(Happy::now(), &mut scratch));
        })
    });
    cases.run("core/notify-15-entries", || {
        let mut agent = Happy::new().agent();
        let topic = format!("$aws/things/{THING}/jobs/notify");
        let message = messages::notify(messages::entries_max());
        Box::new(move || {
            let _ = black_box(agent.handle_publish(Happy::now(), &topic, &message));
        })
    });
    cases.run("core/record-encode", || {
        let record = record();
        let mut out = [0; jobs_agent_core::RECORD_LEN_MAX];
        Box::new(move || {
            black_box(black_box(&record).encode(black_box(&mut out)));
        })
    });
    cases.run("core/record-decode", || {
        let mut out = [0; jobs_agent_core::RECORD_LEN_MAX];
        let stored = record().encode(&mut out).unwrap_or_default().to_vec();
        Box::new(move || {
            black_box(Record::decode(black_box(&stored))).ok();
        })
    });
}

/// An outcome with a reason, as most records end.
fn record() -> Record {
    let mut job_id = heapless::String::new();
    let mut body = heapless::Vec::new();
    // Both fit: they are as short as they look.
    let _ = job_id.push_str("fw-2026-11-28_a");
    let _ = body.extend_from_slice(b"\x06\x0c\x00reasondownloaded it");
    Record {
        kind: RecordKind::Outcome(Status::Succeeded),
        job_id,
        execution_number: Some(1),
        queued_at: 1_719_940_990,
        tag: OperationTag::of("blink"),
        rerun: true,
        needs_document: false,
        attempts: 1,
        runs: 1,
        step_timeout_minutes: 0,
        time_limit_ms: 0,
        boot: jobs_agent_core::BootId([7; 16]),
        body,
    }
}
