use std::net::Ipv4Addr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

fn exporter() -> Exporter {
    let exporter = Exporter::new();
    exporter.tell(&Happening::Connected {
        session_present: false,
    });
    exporter
}

async fn started(exporter: Exporter) -> SocketAddr {
    let listener = listen((Ipv4Addr::LOCALHOST, 0).into()).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(Arc::new(exporter).serve(listener));
    address
}

async fn asked(address: SocketAddr, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[test]
fn every_sample_has_its_type_and_help_before_it() {
    let text = exporter().text();
    let mut described = Vec::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            described.push(rest.split(' ').next().unwrap());
        } else if !line.starts_with('#') {
            let name = line.split(['{', ' ']).next().unwrap();
            assert_eq!(described.last(), Some(&name), "{line}");
            let value = line.rsplit(' ').next().unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
        }
    }
    assert_eq!(described.len(), 9, "{text}");
    assert!(text.contains("jobs_agent_jobs_total{outcome=\"succeeded\"} 0\n"));
    assert!(text.contains("jobs_agent_connected 1\n"));
}

#[tokio::test]
async fn only_the_page_is_there_and_only_to_be_read() {
    let address = started(exporter()).await;
    let page = asked(address, "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(
        page.starts_with("HTTP/1.1 200") && page.contains(FORMAT),
        "{page}"
    );
    assert!(page.ends_with("} 1\n"), "{page}");
    let head = asked(address, "HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert!(
        head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"),
        "{head}"
    );
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "404"),
        (
            "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            "405",
        ),
        ("no request\r\n\r\n", "400"),
    ] {
        let answer = asked(address, request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
    let endless = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(2 * HEAD_MAX));
    let answer = asked(address, &endless).await;
    assert!(answer.starts_with("HTTP/1.1 4"), "{answer}");
}

#[tokio::test]
async fn who_holds_every_place_loses_it_again() {
    let mut exporter = exporter();
    exporter.connection_timeout = Duration::from_millis(200);
    let address = started(exporter).await;
    let mut held = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    // The others hold on to their connections, and it comes to an answer all the same.
    let page = asked(address, "GET /metrics HTTP/1.0\r\n\r\n").await;
    assert!(page.contains("200 OK"), "{page}");
    for mut stream in held {
        let mut rest = Vec::new();
        assert_eq!(stream.read_to_end(&mut rest).await.unwrap(), 0);
    }
}
