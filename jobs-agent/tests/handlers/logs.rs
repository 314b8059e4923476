//! Logs: the end of what the operator listed, to where he allowed, and nothing else.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::{FileExt, symlink},
    sync::{Arc, Mutex},
};

use crate::support::{Port, Room, alive, offer, soon, until};
use jobs_agent::{
    logs::{LogPolicy, LogUpload, Source},
    policy::DownloadPolicy,
};
use jobs_agent_core::{JobHandler, Outcome, Refusal};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const SECRET: &str = "X-Amz-Signature=5ec2e7";

/// What a server was sent, whole requests.
type Seen = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// A place for uploads that answers one after the other with these, and with the last for ever.
async fn server(answers: &'static [&'static str]) -> (String, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/log?{SECRET}", listener.local_addr().unwrap());
    let seen = Seen::default();
    let held = Arc::clone(&seen);
    tokio::spawn(async move {
        let mut answers = answers.iter().peekable();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let (mut bytes, mut block) = (Vec::new(), vec![0; 65_536]);
            let request = loop {
                let count = stream.read(&mut block).await.unwrap();
                bytes.extend(&block[..count]);
                let Some(at) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
                    continue;
                };
                let head = String::from_utf8(bytes[..at].to_vec()).unwrap();
                let len = head.to_ascii_lowercase();
                let len = len.split("content-length: ").nth(1).unwrap();
                let len: usize = len.lines().next().unwrap().parse().unwrap();
                if bytes.len() == at + 4 + len {
                    break (head, bytes[at + 4..].to_vec());
                }
            };
            held.lock().unwrap().push(request);
            let answer = answers.next().unwrap();
            if answers.peek().is_none() {
                answers = std::slice::from_ref(answer).iter().peekable();
            }
            let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(text.as_bytes()).await;
        }
    });
    (url, seen)
}

fn source(files: &[std::path::PathBuf]) -> Source {
    Source {
        files: files.to_vec(),
        command: Vec::new(),
        bytes_max: 100_000,
        gzip: false,
        secrets: Vec::new(),
        timeout_s: 30,
    }
}

fn upload(source: Source) -> LogUpload {
    LogUpload::new(LogPolicy {
        sources: [("pump".to_owned(), source)].into(),
        upload: DownloadPolicy {
            hosts: vec!["127.0.0.1".into()],
            private_addresses: true,
            plain_http: true,
            ..DownloadPolicy::default()
        },
    })
}

fn document(url: &str) -> String {
    format!(r#"{{"operation":"log_upload","source":"pump","url":"{url}"}}"#)
}

async fn run(upload: &LogUpload, document: &str) -> Outcome {
    let (_, plan) = upload.plan(&offer(document.as_bytes(), false)).unwrap();
    assert!(!format!("{plan:?} {plan}").contains(SECRET));
    let durable = Mutex::new(None);
    let mut port = Port {
        durable: &durable,
        lives: 9,
    };
    let outcome = soon(upload.run(plan, &mut port)).await;
    assert!(!format!("{outcome:?}").contains(SECRET), "{outcome:?}");
    outcome
}

fn detail<'o>(outcome: &'o Outcome, key: &str) -> &'o str {
    let (Outcome::Succeeded(details) | Outcome::Failed(details)) = outcome else {
        panic!("{outcome:?}");
    };
    let found = details.iter().find(|(name, _)| *name == key);
    found.map_or("", |(_, value)| value)
}

#[track_caller]
fn succeeded(outcome: &Outcome) {
    assert!(matches!(outcome, Outcome::Succeeded(_)), "{outcome:?}");
}

#[tokio::test]
async fn a_log_is_sent_without_its_secrets_in_one_put() {
    let room = Room::new();
    fs::write(room.path("a.log"), "up\npassword=hunter2\ndown\n").unwrap();
    let (url, seen) = server(&["200 OK"]).await;
    let outcome = run(&upload(source(&[room.path("a.log")])), &document(&url)).await;
    succeeded(&outcome);
    let seen = seen.lock().unwrap();
    let [(head, body)] = &seen[..] else {
        panic!("{seen:?}");
    };
    assert!(
        head.starts_with(&format!("PUT /log?{SECRET} HTTP/1.1\r\n")),
        "{head}"
    );
    assert_eq!(body, b"up\npassword=[redacted]\ndown\n");
    assert_eq!(detail(&outcome, "files"), "1");
}

#[tokio::test]
async fn gzip_is_what_a_reader_of_gzip_expects() {
    let room = Room::new();
    let text = "the same line again\n".repeat(2_000);
    fs::write(room.path("a.log"), &text).unwrap();
    let (url, seen) = server(&["200 OK"]).await;
    let mut source = source(&[room.path("a.log")]);
    source.gzip = true;
    succeeded(&run(&upload(source), &document(&url)).await);
    let body = seen.lock().unwrap().remove(0).1;
    let mut plain = String::new();
    flate2::read::GzDecoder::new(&body[..])
        .read_to_string(&mut plain)
        .unwrap();
    assert_eq!(plain, text);
    assert!(body.len() < text.len() / 20);
}

#[tokio::test]
async fn of_a_huge_log_the_end_is_sent_from_the_beginning_of_a_line() {
    let room = Room::new();
    let file = File::create(room.path("a.log")).unwrap();
    // Fifty gigabytes, of which nearly all is a hole.
    let end = 50_000_000_000;
    file.write_all_at(b"\ncut off here\nthe last line\n", end)
        .unwrap();
    let (url, seen) = server(&["200 OK"]).await;
    let mut source = source(&[room.path("a.log")]);
    source.bytes_max = 1_000;
    let upload = upload(source);
    succeeded(&run(&upload, &document(&url)).await);
    assert_eq!(
        seen.lock().unwrap().remove(0).1,
        b"cut off here\nthe last line\n"
    );
    // A document may ask for less, and not for more.
    let with = |tail: u64| document(&url).replace("{", &format!("{{\"tailBytes\":{tail},"));
    succeeded(&run(&upload, &with(20)).await);
    assert_eq!(seen.lock().unwrap().remove(0).1, b"the last line\n");
    succeeded(&run(&upload, &with(60_000_000_000)).await);
    assert!(seen.lock().unwrap().remove(0).1.len() < 1_000);
}

#[tokio::test]
async fn rotated_files_come_in_the_order_of_their_age_until_the_room_is_used_up() {
    let room = Room::new();
    for (age_s, name, text) in [
        (30, "p.log.2", "oldest\n"),
        (20, "p.log.1", "older\n"),
        (10, "p.log", "new\n"),
    ] {
        fs::write(room.path(name), text).unwrap();
        let at = std::time::SystemTime::now() - std::time::Duration::from_secs(age_s);
        File::open(room.path(name))
            .unwrap()
            .set_modified(at)
            .unwrap();
    }
    let (url, seen) = server(&["200 OK"]).await;
    let mut source = source(&[room.path("p.log*")]);
    source.bytes_max = 10;
    succeeded(&run(&upload(source), &document(&url)).await);
    let body = String::from_utf8(seen.lock().unwrap().remove(0).1).unwrap();
    let lines: Vec<_> = body
        .lines()
        .filter(|line| !line.starts_with("==>"))
        .collect();
    assert_eq!(lines, ["older", "new"]);
}

#[tokio::test]
async fn what_leads_elsewhere_or_is_no_file_is_left_out_and_named() {
    let room = Room::new();
    let secret = room.path("secret");
    fs::write(&secret, "of root").unwrap();
    let logs = room.path("logs");
    fs::create_dir(&logs).unwrap();
    fs::write(logs.join("good.log"), "good\n").unwrap();
    symlink(&secret, logs.join("link.log")).unwrap();
    fs::hard_link(&secret, logs.join("hard.log")).unwrap();
    fs::create_dir(logs.join("folder.log")).unwrap();
    let mut pipe = std::process::Command::new("mkfifo");
    assert!(pipe.arg(logs.join("pipe.log")).status().unwrap().success());
    symlink(room.path("logs"), room.path("door")).unwrap();
    let (url, seen) = server(&["200 OK"]).await;
    let outcome = run(&upload(source(&[logs.join("*.log")])), &document(&url)).await;
    succeeded(&outcome);
    assert_eq!(seen.lock().unwrap().remove(0).1, b"good\n");
    assert!(detail(&outcome, "skipped").contains("link"), "{outcome:?}");
    for alone in [
        logs.join("link.log"),
        logs.join("hard.log"),
        logs.join("folder.log"),
        logs.join("pipe.log"),
        room.path("door/good.log"),
        "/dev/zero".into(),
        // By a link of the kernel's own.
        "/proc/self/environ".into(),
        room.path("not there"),
    ] {
        let outcome = run(
            &upload(source(std::slice::from_ref(&alone))),
            &document(&url),
        )
        .await;
        let why = detail(&outcome, "reason");
        assert!(
            why.contains("can be sent"),
            "{}: {outcome:?}",
            alone.display()
        );
    }
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again_and_gets_all_of_it_again() {
    let room = Room::new();
    fs::write(room.path("a.log"), "all\n").unwrap();
    let (url, seen) = server(&["503 Busy", "200 OK"]).await;
    succeeded(&run(&upload(source(&[room.path("a.log")])), &document(&url)).await);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    assert!(seen.iter().all(|(_, body)| body == b"all\n"));
}

#[tokio::test]
async fn a_server_that_sends_the_device_elsewhere_is_not_followed() {
    let room = Room::new();
    fs::write(room.path("a.log"), "all\n").unwrap();
    for (answer, words) in [
        (&["307 Go\r\nLocation: file:///etc/passwd"], "redirects"),
        (
            &["302 Go\r\nLocation: http://169.254.169.254/"],
            "redirects",
        ),
        (&["403 No"], "403"),
    ] {
        let (url, seen) = server(answer).await;
        let outcome = run(&upload(source(&[room.path("a.log")])), &document(&url)).await;
        assert!(detail(&outcome, "reason").contains(words), "{outcome:?}");
        assert_eq!(seen.lock().unwrap().len(), 1, "not tried again");
    }
}

#[tokio::test]
async fn an_url_of_this_machine_or_of_an_unknown_host_is_refused() {
    let room = Room::new();
    fs::write(room.path("a.log"), "all\n").unwrap();
    let (url, seen) = server(&["200 OK"]).await;
    let policy = |private_addresses, host: &str| {
        LogUpload::new(LogPolicy {
            sources: [("pump".to_owned(), source(&[room.path("a.log")]))].into(),
            upload: DownloadPolicy {
                hosts: vec![host.to_owned()],
                private_addresses,
                plain_http: true,
                ..DownloadPolicy::default()
            },
        })
    };
    let outcome = run(&policy(false, "*"), &document(&url)).await;
    assert!(
        detail(&outcome, "reason").contains("not allowed"),
        "{outcome:?}"
    );
    for (upload, url) in [
        (policy(true, "bucket.example.org"), url.as_str()),
        (policy(true, "*"), "file:///etc/passwd"),
        (policy(true, "*"), "ftp://127.0.0.1/"),
    ] {
        let refusal = upload
            .plan(&offer(document(url).as_bytes(), false))
            .unwrap_err();
        assert!(matches!(&refusal, Refusal::Reject(why) if why.as_str().contains("`url`")));
    }
    assert_eq!(seen.lock().unwrap().len(), 0);
}

#[tokio::test]
async fn of_a_command_the_end_of_its_output_is_sent() {
    let (url, seen) = server(&["200 OK"]).await;
    let mut listed = source(&[]);
    let words = ["/bin/sh", "-c", "seq 200000; echo last"];
    listed.command = words.map(str::to_owned).to_vec();
    listed.bytes_max = 30;
    succeeded(&run(&upload(listed), &document(&url)).await);
    assert_eq!(
        seen.lock().unwrap().remove(0).1,
        b"199998\n199999\n200000\nlast\n"
    );
}

#[tokio::test]
async fn a_command_that_fails_or_never_ends_is_told_and_leaves_no_child() {
    let room = Room::new();
    let (url, seen) = server(&["200 OK"]).await;
    let mut listed = source(&[]);
    let text = format!(
        "sleep 1000 & echo $! > {}; wait",
        room.path("child").display()
    );
    listed.command = vec!["/bin/sh".into(), "-c".into(), text];
    listed.timeout_s = 1;
    let outcome = run(&upload(listed.clone()), &document(&url)).await;
    assert!(
        detail(&outcome, "reason").contains("longer than 1 s"),
        "{outcome:?}"
    );
    let child = room.read("child");
    until("the end of the child", || !alive(&child)).await;
    listed.command = vec!["/bin/false".into()];
    let outcome = run(&upload(listed), &document(&url)).await;
    assert!(
        detail(&outcome, "reason").contains("exit status: 1"),
        "{outcome:?}"
    );
    assert_eq!(seen.lock().unwrap().len(), 0);
}
