//! Requests: what we write, the emulator's model reads (with `serde_json` and types of its own), and
//! finds nothing to complain about that is not in what was asked for.

use jobs_emulator::model::{Service, Settings};
use jobs_proto::{
    ClientToken, JobId, ThingName, UpdateStatus,
    details::{Details, PackedDetails, scrub},
    encode::{self, EncodeError, StepMinutes, StepTimeout},
    limits,
    topic::RequestTopic,
};
use serde_json::{Value, json};

use crate::input::Input;

const THING: &str = "pump-7";
const JOB: &str = "job-1";

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let token = input.text();
    let client_token = ClientToken::new(&token).ok();
    let pairs = pairs(&mut input);
    let borrowed: Vec<(&str, &str)> = pairs
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let (mut packed, mut packed_len) = (vec![0; 600], 0);
    for (key, value) in &borrowed {
        let before = packed_len;
        if PackedDetails::push_cut(&mut packed, &mut packed_len, key, value).is_err() {
            assert_eq!(packed_len, before);
        }
    }
    let packed = PackedDetails(&packed[..packed_len]);
    assert!(packed.is_valid());
    let raw = PackedDetails(input.short());
    let status_details = match input.below(4) {
        0 => Details::Unchanged,
        1 => Details::Pairs(&borrowed),
        2 => Details::Packed(packed),
        _ => Details::Packed(raw),
    };
    let mut writer = Writer {
        status_details,
        client_token,
        input,
    };
    match writer.input.below(4) {
        0 => writer.update(),
        1 => writer.start_next(),
        2 => writer.describe(),
        _ => writer.get_pending(),
    }
}

fn pairs(input: &mut Input<'_>) -> Vec<(String, String)> {
    let count = input.below(13);
    (0..count)
        .map(|number| {
            let key = match input.below(3) {
                0 => input.text(),
                _ => format!("key-{number}"),
            };
            let value = match input.below(4) {
                0 => input.text().repeat(64),
                _ => input.text(),
            };
            (key, value)
        })
        .collect()
}

struct Writer<'d, 'a> {
    status_details: Details<'a>,
    client_token: Option<ClientToken<'a>>,
    input: Input<'d>,
}

impl Writer<'_, '_> {
    fn update(&mut self) {
        let mut update = encode::Update::new(self.input.pick(&UpdateStatus::ALL));
        update.status_details = self.status_details;
        update.client_token = self.client_token;
        update.expected_version = self.input.option(Input::int);
        update.execution_number = self.input.option(Input::int);
        update.include_job_execution_state = self.input.bool();
        update.include_job_document = self.input.bool();
        let minutes = StepMinutes::new(self.input.u16());
        update.step_timeout_minutes = match self.input.below(3) {
            0 => minutes.map(StepTimeout::Minutes),
            1 => Some(StepTimeout::Cancel),
            _ => None,
        };
        let Some(bytes) = written(
            |out| update.encode(out).map(<[u8]>::len),
            encode::UPDATE_LEN_MAX,
        ) else {
            return;
        };
        let value = self.read(&bytes);
        assert_eq!(value["status"], json!(update.status.as_str()));
        for (name, number) in [
            ("expectedVersion", update.expected_version),
            ("executionNumber", update.execution_number),
        ] {
            assert_eq!(value.get(name).cloned(), number.map(Value::from), "{value}");
        }
        let negative = [update.expected_version, update.execution_number]
            .iter()
            .flatten()
            .any(|n| *n < 0);
        let job = JobId::new(JOB).expect("legal");
        self.service_takes(RequestTopic::Update(job), &bytes, negative);
    }

    fn start_next(&mut self) {
        let request = encode::StartNext {
            status_details: self.status_details,
            step_timeout_minutes: StepMinutes::new(self.input.u16()),
            client_token: self.client_token,
        };
        let written = written(
            |out| request.encode(out).map(<[u8]>::len),
            encode::START_NEXT_LEN_MAX,
        );
        if let Some(bytes) = written {
            self.read(&bytes);
            self.service_takes(RequestTopic::StartNext, &bytes, false);
        }
    }

    fn describe(&mut self) {
        let request = encode::Describe {
            execution_number: self.input.option(Input::int),
            include_job_document: self.input.option(Input::bool),
            client_token: self.client_token,
        };
        let negative = request.execution_number.is_some_and(|number| number < 0);
        self.status_details = Details::Unchanged;
        let written = written(
            |out| request.encode(out).map(<[u8]>::len),
            encode::DESCRIBE_LEN_MAX,
        );
        let bytes = written.expect("always legal");
        self.read(&bytes);
        let topic = match self.input.bool() {
            true => RequestTopic::DescribeNext,
            false => RequestTopic::Describe(JobId::new(JOB).expect("legal")),
        };
        self.service_takes(topic, &bytes, negative);
    }

    fn get_pending(&mut self) {
        let request = encode::GetPending {
            client_token: self.client_token,
        };
        self.status_details = Details::Unchanged;
        let written = written(
            |out| request.encode(out).map(<[u8]>::len),
            encode::GET_PENDING_LEN_MAX,
        );
        let bytes = written.expect("always legal");
        self.read(&bytes);
        self.service_takes(RequestTopic::GetPending, &bytes, false);
    }

    /// `serde_json` reads back what every request has.
    fn read(&self, bytes: &[u8]) -> Value {
        let value: Value = serde_json::from_slice(bytes).expect("our own JSON");
        let token = self.client_token.map(|token| Value::from(token.as_str()));
        assert_eq!(value.get("clientToken").cloned(), token);
        let details: Option<Vec<(&str, &str)>> = match self.status_details {
            Details::Unchanged => None,
            Details::Pairs(pairs) => Some(pairs.to_vec()),
            Details::Packed(packed) => Some(packed.iter().collect()),
        };
        let theirs = value.get("statusDetails");
        assert_eq!(theirs.is_some(), details.is_some());
        for (key, text) in details.into_iter().flatten() {
            let scrubbed: String = scrub(text).collect();
            assert!(scrubbed.chars().count() <= limits::STATUS_DETAILS_VALUE_CHARS_MAX);
            assert_eq!(value["statusDetails"][key], Value::from(scrubbed));
        }
        value
    }

    /// The service finds nothing malformed in it.
    fn service_takes(&self, topic: RequestTopic<'_>, bytes: &[u8], negative: bool) {
        let mut service = Service::new(Settings::default());
        service.create_thing(0, THING).expect("a new thing");
        service
            .create_job(0, JOB, &[THING], &json!({"operation": "x"}))
            .expect("a new job");
        let thing = ThingName::new(THING).expect("legal");
        let mut out = [0; RequestTopic::LEN_MAX];
        let text = topic.encode(thing, &mut out).expect("room");
        let messages = service.publish(1_000, text, bytes);
        let answer = messages.first().expect("an answer");
        let body: Value = serde_json::from_slice(&answer.payload).expect("their own JSON");
        let code = body["code"].as_str();
        let malformed = matches!(
            code,
            Some("InvalidJson" | "InvalidTopic" | "InvalidRequest")
        );
        assert!(
            !malformed || negative,
            "{body} for {}",
            bytes.escape_ascii()
        );
    }
}

/// Writes a request; checks the length it asks for to the byte, and its longest.
fn written(
    encode: impl Fn(&mut [u8]) -> Result<usize, EncodeError>,
    len_max: usize,
) -> Option<Vec<u8>> {
    let mut out = vec![0xAA; len_max];
    let len = match encode(&mut out) {
        Ok(len) => len,
        Err(EncodeError::Details(_)) => return None,
        Err(EncodeError::TooSmall { needed }) => panic!("longer than the longest: {needed}"),
    };
    assert_eq!(encode(&mut vec![0; len]), Ok(len));
    assert_eq!(
        encode(&mut vec![0; len - 1]),
        Err(EncodeError::TooSmall { needed: len })
    );
    out.truncate(len);
    Some(out)
}
