//! Topics: what we read we write back, and we read what an independent reading of the grammar does.

use jobs_emulator::model::Service;
use jobs_proto::{
    ThingName,
    topic::{Filter, InboundTopic, RequestTopic},
};

use crate::input::Input;

pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let name = input.pick(&["pump-7", "a", "jobs", "things:x", "get"]);
    let thing = ThingName::new(name).expect("a legal name");
    let own = input.bool();
    let Ok(tail) = std::str::from_utf8(input.rest()) else {
        return;
    };
    let topic = if own {
        format!("$aws/things/{name}/jobs/{tail}")
    } else {
        tail.to_owned()
    };
    let (inbound, request) = (
        InboundTopic::parse(&topic, thing),
        RequestTopic::parse(&topic, thing),
    );
    assert!(
        inbound.is_err() || request.is_err(),
        "{topic}: both directions"
    );
    let expected = expected(&topic, name);
    let mut out = [0; 226];
    if let Ok(parsed) = inbound {
        assert_eq!(parsed.encode(thing, &mut out), Ok(topic.as_str()));
        assert_eq!(parsed.encoded_len(thing), topic.len());
        assert!(topic.len() <= InboundTopic::LEN_MAX);
    }
    if let Ok(parsed) = request {
        assert_eq!(parsed.encode(thing, &mut out), Ok(topic.as_str()));
        assert_eq!(parsed.encoded_len(thing), topic.len());
        assert!(topic.len() <= RequestTopic::LEN_MAX);
    }
    assert_eq!(
        inbound.is_ok(),
        expected == Expected::Inbound,
        "{topic}: {inbound:?}"
    );
    assert_eq!(
        request.is_ok(),
        expected == Expected::Request,
        "{topic}: {request:?}"
    );
    if inbound.is_ok() || request.is_ok() {
        assert!(
            Service::is_jobs_topic(&topic),
            "{topic}: the service sees it otherwise"
        );
    }
    if inbound.is_ok() {
        assert!(
            Filter::ALL
                .iter()
                .any(|filter| matches(filter, thing, &topic)),
            "{topic}: unheard"
        );
    }
}

#[derive(PartialEq, Eq)]
enum Expected {
    Inbound,
    Request,
    Neither,
}

/// The grammar again, by levels.
fn expected(topic: &str, name: &str) -> Expected {
    let levels: Vec<&str> = topic.split('/').collect();
    let Some((["$aws", "things", thing, "jobs"], tail)) = levels.split_first_chunk() else {
        return Expected::Neither;
    };
    if *thing != name {
        return Expected::Neither;
    }
    let answer = |level: &str| matches!(level, "accepted" | "rejected");
    match tail {
        ["get" | "start-next"] => Expected::Request,
        ["notify" | "notify-next"] => Expected::Inbound,
        ["get" | "start-next", last] if answer(last) => Expected::Inbound,
        ["$next", "get"] => Expected::Request,
        ["$next", "get", last] if answer(last) => Expected::Inbound,
        [job, "get" | "update"] if is_job(job) => Expected::Request,
        [job, "get" | "update", last] if is_job(job) && answer(last) => Expected::Inbound,
        _ => Expected::Neither,
    }
}

fn is_job(level: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (1..=64).contains(&level.len()) && level.chars().all(legal)
}

/// MQTT's own matching (MQTT 3.1.1, 4.7), with `+` alone.
fn matches(filter: &Filter, thing: ThingName<'_>, topic: &str) -> bool {
    let mut out = [0; Filter::LEN_MAX];
    let filter = filter.encode(thing, &mut out).expect("room");
    let (mut wanted, mut given) = (filter.split('/'), topic.split('/'));
    loop {
        match (wanted.next(), given.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted == "+" || wanted == given => {}
            _ => return false,
        }
    }
}
