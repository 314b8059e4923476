//! A day without a job, in virtual time: the real core, the real service model, and the keep-alive
//! of the shipped MQTT client.

use agent_std::link::DEFAULT_KEEP_ALIVE_S;
use jobs_agent_core::{Agent, Boot, BootId, Completion, Config, Handled, Millis, Output, Scratch};
use jobs_emulator::model::{Service, Settings};
use jobs_emulator::{Direction, PacketKind, TraceEntry};
use jobs_proto::ThingName;

use crate::Failure;
use crate::wire::Cost;

const DAY_MS: u64 = 24 * 60 * 60 * 1_000;

/// Where the clock of the service stands when the day begins (epoch, milliseconds).
const EPOCH_MS: u64 = 1_700_000_000_000;

/// The first connection is not part of the day.
const SETTLED_MS: u64 = 60_000;

pub fn day() -> Result<Cost, Failure> {
    let config = Config::new(ThingName::new("thing-0")?);
    let boot = Boot {
        id: BootId([1; 16]),
        entropy: 0x5EED,
    };
    let mut service = Service::new(Settings::default());
    service.create_thing(EPOCH_MS, "thing-0")?;
    let mut agent: Agent<'_, 1> = Agent::new(&config, boot);
    agent.handle_connected(Millis(0));
    let mut scratch = Scratch::new();
    let mut cost = Cost::default();
    let mut now_ms = 0;
    while now_ms < SETTLED_MS + DAY_MS {
        let now = Millis(now_ms);
        let (receipt, asked) = match agent.poll(now, &mut scratch) {
            Output::Wait(Some(until)) => {
                now_ms = until.0;
                continue;
            }
            Output::Wait(None) => break,
            Output::Subscribe { receipt, .. } => (receipt, None),
            Output::Transmit {
                receipt,
                topic,
                payload,
                ..
            } => (receipt, Some((topic.to_string(), payload.to_vec()))),
            other => return Err(format!("an idle agent asks for {other:?}").into()),
        };
        agent.handle_done(now, receipt, Completion::Done);
        let Some((topic, payload)) = asked else {
            continue;
        };
        let counts = now_ms >= SETTLED_MS;
        if counts {
            for packet in exchange(Direction::FromDevice, &topic, payload.len()) {
                cost.add(&packet);
            }
        }
        for message in service.publish(EPOCH_MS + now_ms, &topic, &payload) {
            if counts {
                for packet in exchange(Direction::ToDevice, &message.topic, message.payload.len()) {
                    cost.add(&packet);
                }
            }
            match agent.handle_publish(now, &message.topic, &message.payload) {
                Handled::Offer(..) => return Err("an offer on an idle day".into()),
                Handled::Taken | Handled::Ignored(_) => {}
            }
        }
    }
    // The client pings when nothing else was sent for so long; 24 requests a day change nothing.
    for _ in 0..DAY_MS / (u64::from(DEFAULT_KEEP_ALIVE_S) * 1_000) {
        cost.add(&packet(Direction::FromDevice, PacketKind::Pingreq, None));
        cost.add(&packet(Direction::ToDevice, PacketKind::Pingresp, None));
    }
    Ok(cost)
}

/// A PUBLISH with QoS 1 and its PUBACK.
fn exchange(direction: Direction, topic: &str, payload_bytes: usize) -> [TraceEntry; 2] {
    let answer = match direction {
        Direction::FromDevice => Direction::ToDevice,
        Direction::ToDevice => Direction::FromDevice,
    };
    let mut publish = packet(direction, PacketKind::Publish, Some(topic));
    publish.payload_bytes = payload_bytes;
    [publish, packet(answer, PacketKind::Puback, None)]
}

fn packet(direction: Direction, kind: PacketKind, topic: Option<&str>) -> TraceEntry {
    TraceEntry {
        at_ms: 0,
        connection: 1,
        client_id: "thing-0".into(),
        direction,
        kind,
        topic: topic.map(str::to_string),
        qos: topic.map(|_| 1),
        dup: false,
        packet_id: topic.map(|_| 1),
        payload_bytes: 0,
    }
}
