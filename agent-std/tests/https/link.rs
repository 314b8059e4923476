//! The link by itself, against a scripted service.

use agent_std::link::https::{BODY_MAX_BYTES, HttpsLink};
use agent_std::link::{Link, LinkError, LinkEvent, Qos, SendError, SendId};

use crate::service::{IDLE, Service, disconnected, message, options, quiet};
use crate::world::{THING, soon};

fn topic(tail: &str) -> String {
    format!("$aws/things/{THING}/jobs/{tail}")
}

fn publish(link: &mut HttpsLink, tail: &str, payload: &str) -> Result<SendId, SendError> {
    link.publish(&topic(tail), payload.as_bytes(), Qos::AtLeastOnce)
}

async fn next(link: &mut HttpsLink) -> LinkEvent {
    soon(link.next()).await
}

#[tokio::test]
async fn an_answer_comes_back_as_the_message_that_mqtt_would_have_brought() {
    let service = Service::start().await;
    let (mut link, mut peer) = service.welcome(options(service.port)).await;
    let id = publish(
        &mut link,
        "j/update",
        r#"{"status":"FAILED","clientToken":"t-1"}"#,
    )
    .unwrap();
    let asked = peer.asked().await;
    assert_eq!(asked.line, format!("POST /things/{THING}/jobs/j HTTP/1.1"));
    assert_eq!(asked.body, r#"{"status":"FAILED"}"#);
    assert!(
        asked
            .head
            .contains(&format!("host: 127.0.0.1:{}", service.port)),
        "{}",
        asked.head
    );
    peer.answer(200, "", "{}").await;
    assert_eq!(next(&mut link).await, LinkEvent::Acked(id));
    let wanted = (
        topic("j/update/accepted"),
        r#"{"clientToken":"t-1"}"#.to_owned(),
    );
    assert_eq!(message(&mut link).await, wanted);

    let id = publish(&mut link, "j/get", r#"{"clientToken":"t-2"}"#).unwrap();
    let asked = peer.asked().await;
    assert_eq!(
        asked.line,
        format!("GET /things/{THING}/jobs/j?includeJobDocument=true HTTP/1.1")
    );
    peer.answer(410, "x-amzn-ErrorType: TerminalStateException\r\n", "{}")
        .await;
    assert_eq!(next(&mut link).await, LinkEvent::Acked(id));
    let told = r#"{"clientToken":"t-2","code":"TerminalStateReached"}"#.to_owned();
    assert_eq!(message(&mut link).await, (topic("j/get/rejected"), told));
}

#[tokio::test]
async fn a_subscription_is_granted_for_what_can_come_and_for_nothing_else() {
    let service = Service::start().await;
    let (mut link, _peer) = service.welcome(options(service.port)).await;
    let filters = [
        topic("notify"),
        topic("+/get/+"),
        "$aws/things/b/jobs/notify".into(),
    ];
    let filters: Vec<&str> = filters.iter().map(String::as_str).collect();
    let id = link.subscribe(&filters).unwrap();
    let granted = vec![true, true, false];
    assert_eq!(next(&mut link).await, LinkEvent::SubAck { id, granted });
    let foreign = link.publish("$aws/things/b/jobs/get", b"{}", Qos::AtLeastOnce);
    assert!(matches!(foreign, Err(SendError::Invalid { .. })));
}

#[tokio::test]
async fn nothing_is_sent_before_the_service_has_answered_once() {
    let service = Service::start().await;
    let mut link = HttpsLink::open(options(service.port)).unwrap();
    let mut peer = service.accept().await;
    peer.asked().await;
    quiet(&mut link).await;
    assert_eq!(publish(&mut link, "get", "{}"), Err(SendError::Offline));
    peer.answer(503, "", "").await;
    let (why, permanent) = disconnected(&mut link).await;
    assert!(
        matches!(why, LinkError::Refused { .. }) && !permanent,
        "{why}"
    );
    service.let_in(&mut link).await;
    assert!(publish(&mut link, "get", "{}").is_ok());
}

#[tokio::test]
async fn a_look_at_the_queue_comes_as_a_notification() {
    let service = Service::start().await;
    let mut options = options(service.port);
    options.poll.busy_ms = 1;
    let (mut link, mut peer) = service.welcome(options).await;
    peer.asked().await;
    let list =
        r#"{"inProgressJobs":[{"jobId":"a","executionNumber":1,"queuedAt":17}],"queuedJobs":[]}"#;
    peer.answer(200, "", list).await;
    let told =
        r#"{"jobs":{"IN_PROGRESS":[{"jobId":"a","executionNumber":1,"queuedAt":17}],"QUEUED":[]}}"#;
    assert_eq!(message(&mut link).await, (topic("notify"), told.to_owned()));
    // A failure of the service is no news, and no reason to stop asking.
    for (status, body) in [(500, ""), (429, ""), (200, "<html>"), (404, "")] {
        peer.asked().await;
        peer.answer(status, "", body).await;
    }
    peer.asked().await;
    peer.answer(200, "", IDLE).await;
    let told = r#"{"jobs":{"IN_PROGRESS":[],"QUEUED":[]}}"#;
    assert_eq!(message(&mut link).await, (topic("notify"), told.to_owned()));
}

#[tokio::test]
async fn a_service_that_never_answers_costs_the_connection_and_every_request_on_it() {
    let service = Service::start().await;
    let mut options = options(service.port);
    options.exchange_timeout_ms = 100;
    let (mut link, mut peer) = service.welcome(options).await;
    let one = publish(&mut link, "get", "{}").unwrap();
    let two = publish(&mut link, "$next/get", "{}").unwrap();
    peer.asked().await;
    assert_eq!(next(&mut link).await, LinkEvent::Lost(one));
    assert_eq!(next(&mut link).await, LinkEvent::Lost(two));
    let (why, permanent) = disconnected(&mut link).await;
    assert_eq!(
        (why, permanent),
        (LinkError::NoAnswer { limit_ms: 100 }, false)
    );
    assert_eq!(publish(&mut link, "get", "{}"), Err(SendError::Offline));
    // Neither is sent again by the link.
    let mut peer = service.let_in(&mut link).await;
    publish(&mut link, "j/get", "{}").unwrap();
    assert!(peer.asked().await.line.contains("/jobs/j?"));
}

#[tokio::test]
async fn half_an_answer_is_none_however_it_breaks_off() {
    let half: [&[u8]; 6] = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"execution\":{",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        // Without a length, the end of the connection would be the end of the body.
        b"HTTP/1.1 200 OK\r\n\r\n{\"execution\":{\"jobId\":\"j\"}}",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"\x20\x02\x00\x00 not HTTP at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{}",
    ];
    let service = Service::start().await;
    for bytes in half {
        let (mut link, mut peer) = service.welcome(options(service.port)).await;
        let id = publish(&mut link, "j/get", r#"{"clientToken":"t"}"#).unwrap();
        peer.asked().await;
        peer.raw(bytes).await;
        drop(peer);
        let event = next(&mut link).await;
        assert_eq!(event, LinkEvent::Lost(id), "{}", bytes.escape_ascii());
    }
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_loses_one_request_and_nothing_else() {
    let service = Service::start().await;
    let (mut link, mut peer) = service.welcome(options(service.port)).await;
    let id = publish(&mut link, "j/update", r#"{"status":"FAILED"}"#).unwrap();
    peer.asked().await;
    drop(peer);
    assert_eq!(next(&mut link).await, LinkEvent::Lost(id));
    publish(&mut link, "get", "{}").unwrap();
    let mut peer = service.accept().await;
    peer.asked().await;
    peer.answer(200, "", IDLE).await;
    assert!(matches!(next(&mut link).await, LinkEvent::Acked(_)));
}

#[tokio::test]
async fn a_body_beyond_all_bounds_is_not_read_and_answers_nobody() {
    let service = Service::start().await;
    let (mut link, mut peer) = service.welcome(options(service.port)).await;
    let length = 4 * BODY_MAX_BYTES;
    let told = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{{");
    let endless = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for head in [told.as_str(), endless] {
        let id = publish(&mut link, "j/get", r#"{"clientToken":"t"}"#).unwrap();
        peer.asked().await;
        peer.raw(head.as_bytes()).await;
        let chunk = format!("{:x}\r\n{}\r\n", 65_536, " ".repeat(65_536));
        for _ in 0..length / 65_536 {
            peer.raw(chunk.as_bytes()).await;
        }
        assert_eq!(next(&mut link).await, LinkEvent::Acked(id));
        // The rest of it would be read as the next answer: a new connection.
        publish(&mut link, "get", "{}").unwrap();
        peer = service.accept().await;
        peer.asked().await;
        peer.answer(200, "", IDLE).await;
        assert!(matches!(next(&mut link).await, LinkEvent::Acked(_)));
        message(&mut link).await;
    }
    // A head without end is none either.
    publish(&mut link, "get", "{}").unwrap();
    peer.asked().await;
    peer.raw(format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(200_000)).as_bytes())
        .await;
    assert!(matches!(next(&mut link).await, LinkEvent::Lost(_)));
    let (why, _) = disconnected(&mut link).await;
    assert!(matches!(why, LinkError::NotJobs { .. }), "{why}");
}

#[tokio::test]
async fn a_pause_that_the_service_asks_for_is_kept() {
    let service = Service::start().await;
    let (mut link, mut peer) = service.welcome(options(service.port)).await;
    let id = publish(&mut link, "j/get", r#"{"clientToken":"t"}"#).unwrap();
    peer.asked().await;
    peer.answer(429, "Retry-After: 1\r\n", "").await;
    let before = std::time::Instant::now();
    assert_eq!(next(&mut link).await, LinkEvent::Acked(id));
    let (_, told) = message(&mut link).await;
    assert_eq!(told, r#"{"clientToken":"t","code":"RequestThrottled"}"#);
    assert_eq!(
        disconnected(&mut link).await.0,
        LinkError::Throttled { wait_s: 1 }
    );
    service.let_in(&mut link).await;
    assert!(before.elapsed().as_millis() >= 1_000);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let service = Service::start().await;
    let (mut link, mut peer) = service.welcome(options(service.port)).await;
    publish(&mut link, "j/get", "{}").unwrap();
    peer.asked().await;
    let elsewhere = format!("Location: http://127.0.0.1:{}/secret\r\n", service.port);
    peer.answer(307, &elsewhere, "").await;
    next(&mut link).await;
    let (topic, told) = message(&mut link).await;
    assert!(topic.ends_with("/rejected"), "{topic}");
    assert_eq!(told, r#"{"code":"InternalError"}"#);
    publish(&mut link, "get", "{}").unwrap();
    assert!(peer.asked().await.line.ends_with("/jobs HTTP/1.1"));
}

#[tokio::test]
async fn a_link_takes_so_many_requests_and_closes_in_order() {
    let service = Service::start().await;
    let mut options = options(service.port);
    options.max_outstanding = 2;
    let (mut link, mut peer) = service.welcome(options).await;
    let one = publish(&mut link, "get", "{}").unwrap();
    let two = publish(&mut link, "get", "{}").unwrap();
    let busy = Err(SendError::Busy { outstanding: 2 });
    assert_eq!(publish(&mut link, "get", "{}"), busy);
    let served = async {
        for _ in 0..2 {
            peer.asked().await;
            peer.answer(200, "", IDLE).await;
        }
    };
    tokio::join!(link.close(), served);
    assert_eq!(next(&mut link).await, LinkEvent::Acked(one));
    assert_eq!(next(&mut link).await, LinkEvent::Acked(two));
    assert_eq!(disconnected(&mut link).await, (LinkError::Closed, true));
    assert_eq!(disconnected(&mut link).await, (LinkError::Closed, true));
    assert_eq!(publish(&mut link, "get", "{}"), Err(SendError::Offline));
    assert!(peer.maybe_asked().await.is_none(), "closed");
}
