//! The connection, and each permission by itself.
//!
//! AWS IoT answers what a policy does not allow by closing the connection, so each question is
//! asked alone and its end is waited for: the one that ends the connection is the one that is
//! denied. Nothing is changed at the service: the questions are about a job that does not exist.

use std::time::Duration;

use agent_std::{
    boot,
    link::{Link, LinkEvent, Qos, https::HttpsLink, rumqtt::RumqttLink},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{Report, Verdict};
use crate::{
    config::{Config, TransportKind},
    journal::now_ms,
};

/// How long a connection and an answer may take, each: twice what the agent itself waits.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Difference to the service's clock that is worth a word, seconds: signatures and time-outs of
/// AWS allow five minutes.
const SKEW_MAX_S: u64 = 60;

/// The check without which there are no others.
pub(super) const CONNECTION: &str = "connection";

/// How soon the doctor comes back after a denial, milliseconds: at once for a person, and no burden.
const AGAIN_MS: u64 = 1_000;

enum Heard {
    Answer(Value),
    Denied(String),
    Nothing,
}

/// Asks everything; `brief`: only to the first thing that does not work.
pub(super) async fn examine(config: &Config, brief: bool, report: &mut Report) {
    match config.transport {
        TransportKind::Mqtt => over_mqtt(config, brief, report).await,
        TransportKind::Https => over_https(config, brief, report).await,
    }
}

/// No id that people choose, and none that exists.
fn nobody() -> String {
    format!("jobs-agent-doctor-{:x}", now_ms())
}

async fn over_https(config: &Config, brief: bool, report: &mut Report) {
    let mut options = config.https();
    options.seed = boot::process_entropy().unwrap_or(1);
    // A denial ends the connection, and the next question should not wait for minutes.
    options.backoff.permanent_ms = AGAIN_MS;
    let at = format!("HTTPS to {}:{}", options.host, options.port);
    let mut link = match HttpsLink::open(options) {
        Ok(link) => link,
        Err(fault) => return report.add(CONNECTION, Verdict::Bad, fault.to_string()),
    };
    if let Err(why) = connected(&mut link).await {
        return report.add(CONNECTION, Verdict::Bad, why);
    }
    report.add(CONNECTION, Verdict::Good, at);
    let jobs = format!("$aws/things/{}/jobs", config.thing);
    let nobody = nobody();
    for (action, topic, payload) in [
        ("GetPendingJobExecutions", "get".to_owned(), json!({})),
        (
            "DescribeJobExecution",
            format!("{nobody}/get"),
            json!({"includeJobDocument": false}),
        ),
        (
            "UpdateJobExecution",
            format!("{nobody}/update"),
            json!({"status": "IN_PROGRESS"}),
        ),
    ] {
        if brief && !report.is_well() {
            break;
        }
        let what = format!("iotjobsdata:{action} thing/{}", config.thing);
        ask(&mut link, &jobs, &topic, payload, what, report).await;
    }
    link.close().await;
}

async fn over_mqtt(config: &Config, brief: bool, report: &mut Report) {
    let mut options = config.link();
    options.seed = boot::process_entropy().unwrap_or(1);
    // What the doctor asks must not come between the agent and its session.
    options.clean_session = true;
    let mut link = match RumqttLink::open(options) {
        Ok(link) => link,
        Err(fault) => return report.add(CONNECTION, Verdict::Bad, fault.to_string()),
    };
    if let Err(why) = connected(&mut link).await {
        return report.add(CONNECTION, Verdict::Bad, why);
    }
    let client = config.client_id.as_ref().unwrap_or(&config.thing);
    report.add(
        CONNECTION,
        Verdict::Good,
        format!("iot:Connect as {client}"),
    );
    let jobs = format!("$aws/things/{}/jobs", config.thing);
    for name in ["notify", "notify-next"] {
        if brief && !report.is_well() {
            break;
        }
        subscribe(&mut link, &format!("{jobs}/{name}"), report).await;
    }
    let nobody = nobody();
    for (topic, payload) in [
        ("get".to_owned(), json!({})),
        ("$next/get".to_owned(), json!({"includeJobDocument": false})),
        (
            format!("{nobody}/get"),
            json!({"includeJobDocument": false}),
        ),
        (format!("{nobody}/update"), json!({"status": "IN_PROGRESS"})),
    ] {
        if brief && !report.is_well() {
            break;
        }
        let shown = match topic.split_once('/') {
            Some((id, tail)) if id == nobody => format!("JOB/{tail}"),
            _ => topic.clone(),
        };
        let what = format!("iot:Publish topic/{jobs}/{shown}");
        ask(&mut link, &jobs, &topic, payload, what, report).await;
    }
    link.close().await;
}

async fn connected(link: &mut impl Link) -> Result<(), String> {
    let wait = async {
        loop {
            match link.next().await {
                LinkEvent::Connected { .. } => return Ok(()),
                LinkEvent::Disconnected { why, .. } => return Err(why.to_string()),
                _ => {}
            }
        }
    };
    timeout(ANSWER_TIMEOUT, wait)
        .await
        .unwrap_or_else(|_| Err("no answer in time".to_owned()))
}

async fn subscribe(link: &mut RumqttLink, filter: &str, report: &mut Report) {
    let what = format!("iot:Subscribe topicfilter/{filter}");
    let id = match link.subscribe(&[filter]) {
        Ok(id) => id,
        Err(fault) => return report.add(what, Verdict::Skipped, fault.to_string()),
    };
    let wait = async {
        loop {
            match link.next().await {
                LinkEvent::SubAck { id: of, granted } if of == id => {
                    return if granted.first() == Some(&true) {
                        Ok(())
                    } else {
                        Err("denied: no job would be noticed".to_owned())
                    };
                }
                LinkEvent::Disconnected { why, .. } => {
                    return Err(format!("denied, it seems: {why}"));
                }
                _ => {}
            }
        }
    };
    match timeout(ANSWER_TIMEOUT, wait).await {
        Ok(Ok(())) => report.add(what, Verdict::Good, "granted"),
        Ok(Err(why)) => {
            report.add(what, Verdict::Bad, why);
            again(link).await;
        }
        Err(_) => report.add(what, Verdict::Bad, "no answer in time"),
    }
}

/// Asks and waits for the answer, which over MQTT shows `iot:Publish` and `iot:Receive` at once.
async fn ask(
    link: &mut impl Link,
    jobs: &str,
    topic: &str,
    mut payload: Value,
    what: String,
    report: &mut Report,
) {
    let token = format!("doctor-{:x}", now_ms());
    payload["clientToken"] = json!(token);
    let asked = format!("{jobs}/{topic}");
    if let Err(fault) = link.publish(&asked, payload.to_string().as_bytes(), Qos::AtLeastOnce) {
        return report.add(what, Verdict::Skipped, fault.to_string());
    }
    let wait = async {
        loop {
            match link.next().await {
                LinkEvent::Message { topic, payload } if topic.starts_with(&asked) => {
                    let answer: Value = serde_json::from_slice(&payload).unwrap_or_default();
                    if answer["clientToken"] == token.as_str() {
                        return Heard::Answer(answer);
                    }
                }
                LinkEvent::Disconnected { why, .. } => return Heard::Denied(why.to_string()),
                _ => {}
            }
        }
    };
    match timeout(ANSWER_TIMEOUT, wait)
        .await
        .unwrap_or(Heard::Nothing)
    {
        Heard::Answer(answer) => {
            let code = answer["code"].as_str().unwrap_or("accepted");
            report.add(what, Verdict::Good, format!("answered ({code})"));
            if topic == "get" {
                skew(&answer, report);
            }
        }
        Heard::Denied(why) => {
            report.add(what, Verdict::Bad, format!("denied, it seems: {why}"));
            again(link).await;
        }
        Heard::Nothing => {
            let words = "no answer: check iot:Receive on topic/…/jobs/*, and that the thing exists";
            report.add(what, Verdict::Bad, words);
        }
    }
}

fn skew(answer: &Value, report: &mut Report) {
    let Some(theirs_s) = answer["timestamp"].as_u64() else {
        return;
    };
    // Some services answer in milliseconds.
    let theirs_s = if theirs_s > 100_000_000_000 {
        theirs_s / 1_000
    } else {
        theirs_s
    };
    let apart_s = theirs_s.abs_diff(now_ms() / 1_000);
    if apart_s > SKEW_MAX_S {
        let words = format!("{apart_s} s away from the service's");
        report.add("clock", Verdict::Odd, words);
    } else {
        report.add("clock", Verdict::Good, "agrees with the service's");
    }
}

/// After a denial the connection is gone; the next question needs one.
async fn again(link: &mut impl Link) {
    // If it does not come back, the next question says so.
    let _ = connected(link).await;
}
