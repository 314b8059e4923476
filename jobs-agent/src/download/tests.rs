use std::{
    fs,
    os::unix::fs::symlink,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

/// A server that answers one connection after the other with the given bytes, and keeps what it
/// was asked.
async fn server(answers: Vec<Vec<u8>>) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!(
        "http://{}/f?X-Amz-Signature=secret",
        listener.local_addr().unwrap()
    );
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    tokio::spawn(async move {
        for answer in answers {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = vec![0; 4_096];
            let count = stream.read(&mut request).await.unwrap();
            heard
                .lock()
                .unwrap()
                .push(String::from_utf8_lossy(&request[..count]).into_owned());
            stream.write_all(&answer).await.unwrap();
        }
    });
    (url, asked)
}

fn policy(dir: &Path) -> DownloadPolicy {
    DownloadPolicy {
        dirs: vec![dir.to_owned()],
        hosts: vec!["127.0.0.1".into(), "localhost".into()],
        private_addresses: true,
        plain_http: true,
        bytes_max: Some(1_000),
    }
}

fn ok(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn get(policy: DownloadPolicy, url: &str, path: &Path) -> Result<(), DownloadFault> {
    Downloads::new(policy).get(url, path).await
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap().flatten();
    entries
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect()
}

#[tokio::test]
async fn a_file_replaces_what_was_there_and_leaves_nothing_beside_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    fs::write(&path, "old").unwrap();
    let (url, _) = server(vec![ok("new")]).await;
    get(policy(dir.path()), &url, &path).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    assert_eq!(names(dir.path()), ["f"]);
}

#[tokio::test]
async fn a_broken_line_is_gone_on_with_from_where_it_broke() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let first = b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n01234".to_vec();
    let rest = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 5-9/10\r\n\
                 Content-Length: 5\r\n\r\n56789"
        .to_vec();
    let (url, asked) = server(vec![first, rest]).await;
    get(policy(dir.path()), &url, &path).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "0123456789");
    let asked = asked.lock().unwrap();
    assert!(!asked[0].contains("range"), "{asked:?}");
    assert!(asked[1].contains("range: bytes=5-") && asked[1].contains("if-range: \"v1\""));
}

#[tokio::test]
async fn a_file_that_changed_meanwhile_is_begun_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let first = b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n01234".to_vec();
    let (url, _) = server(vec![first, ok("another")]).await;
    get(policy(dir.path()), &url, &path).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "another");
}

#[tokio::test]
async fn a_redirect_is_not_followed_wherever_it_leads() {
    let dir = tempfile::tempdir().unwrap();
    for location in [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
    ] {
        let answer =
            format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        let (url, _) = server(vec![answer.into_bytes()]).await;
        let fault = get(policy(dir.path()), &url, &dir.path().join("f")).await;
        assert!(
            matches!(fault, Err(DownloadFault::Redirect(302))),
            "{fault:?}"
        );
    }
    assert_eq!(names(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn this_machine_is_not_reached_by_its_number_nor_by_a_name() {
    let dir = tempfile::tempdir().unwrap();
    let closed = DownloadPolicy {
        private_addresses: false,
        ..policy(dir.path())
    };
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:9/f");
        let fault = get(closed.clone(), &url, &dir.path().join("f")).await;
        let private = matches!(&fault, Err(DownloadFault::Http(HttpError::Private(_))));
        assert!(private, "{host}: {fault:?}");
    }
}

#[tokio::test]
async fn a_file_that_is_too_long_is_not_kept_whether_it_says_so_or_not() {
    let dir = tempfile::tempdir().unwrap();
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(2_000));
    for answer in [ok(&"x".repeat(2_000)), endless.into_bytes()] {
        let (url, _) = server(vec![answer]).await;
        let fault = get(policy(dir.path()), &url, &dir.path().join("f")).await;
        assert!(
            matches!(fault, Err(DownloadFault::TooLong(1_000))),
            "{fault:?}"
        );
        assert_eq!(names(dir.path()), Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_file_for_which_there_is_no_room_is_not_begun() {
    let dir = tempfile::tempdir().unwrap();
    let unbounded = DownloadPolicy {
        bytes_max: None,
        ..policy(dir.path())
    };
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000000000000\r\n\r\nx".to_vec();
    let (url, _) = server(vec![answer]).await;
    let fault = get(unbounded, &url, &dir.path().join("f")).await;
    assert!(
        matches!(fault, Err(DownloadFault::NoRoom { .. })),
        "{fault:?}"
    );
}

#[tokio::test]
async fn links_pipes_and_devices_are_not_written_through() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    symlink(outside.path(), dir.path().join("door")).unwrap();
    symlink(outside.path().join("victim"), dir.path().join("link")).unwrap();
    symlink(outside.path().join("victim"), dir.path().join(".soft.part")).unwrap();
    fs::write(outside.path().join("victim"), "mine").unwrap();
    fs::hard_link(outside.path().join("victim"), dir.path().join(".hard.part")).unwrap();
    let mut pipe = std::process::Command::new("mkfifo");
    assert!(
        pipe.arg(dir.path().join("pipe"))
            .status()
            .unwrap()
            .success()
    );
    for name in ["door/f", "link", "soft", "hard", "pipe", "door"] {
        let fault = get(
            policy(dir.path()),
            "http://127.0.0.1:9/f",
            &dir.path().join(name),
        )
        .await;
        assert!(
            matches!(fault, Err(DownloadFault::Place(_))),
            "{name}: {fault:?}"
        );
    }
    let device = DownloadPolicy {
        dirs: vec!["/dev".into()],
        ..policy(dir.path())
    };
    let fault = get(device, "http://127.0.0.1:9/f", Path::new("/dev/null")).await;
    assert!(matches!(fault, Err(DownloadFault::Place(_))), "{fault:?}");
    assert_eq!(
        fs::read_to_string(outside.path().join("victim")).unwrap(),
        "mine"
    );
}

#[tokio::test]
async fn a_fault_never_tells_the_url() {
    let dir = tempfile::tempdir().unwrap();
    let answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n".to_vec();
    let (url, _) = server(vec![answer]).await;
    let fault = get(policy(dir.path()), &url, &dir.path().join("f"))
        .await
        .unwrap_err();
    assert!(!fault.to_string().contains("secret"), "{fault}");
    assert!(matches!(fault, DownloadFault::Status(403)));
}

#[tokio::test]
async fn a_part_that_ends_before_the_file_does_is_not_taken_for_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("f");
    let first = b"HTTP/1.1 200 OK\r\nETag: \"v1\"\r\nContent-Length: 10\r\n\r\n01234".to_vec();
    let part = |bytes: &str, body: &str| {
        let head = format!(
            "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {bytes}/10\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        head.into_bytes()
    };
    // A server may send less than it was asked for (RFC 9110, 15.3.7).
    let (url, asked) = server(vec![first, part("5-6", "56"), part("7-9", "789")]).await;
    get(policy(dir.path()), &url, &path).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "0123456789");
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_part_that_nobody_asked_for_is_not_taken_for_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let answer = b"HTTP/1.1 206 Partial Content\r\nContent-Range: bytes 0-4/10\r\n\
                   Content-Length: 5\r\n\r\n01234";
    let (url, _) = server(vec![answer.to_vec()]).await;
    let fault = get(policy(dir.path()), &url, &dir.path().join("f")).await;
    assert!(matches!(fault, Err(DownloadFault::Range)), "{fault:?}");
    assert_eq!(names(dir.path()), Vec::<String>::new());
}

#[tokio::test]
async fn a_file_that_does_not_say_how_long_it_is_does_not_fill_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let unbounded = DownloadPolicy {
        bytes_max: None,
        ..policy(dir.path())
    };
    let (url, _) = server(vec![b"HTTP/1.1 200 OK\r\n\r\nendless".to_vec()]).await;
    let downloads = Downloads {
        // More than any disk has.
        free_min: u64::MAX,
        ..Downloads::new(unbounded)
    };
    let fault = downloads.get(&url, &dir.path().join("f")).await;
    assert!(matches!(fault, Err(DownloadFault::Full)), "{fault:?}");
    assert_eq!(names(dir.path()), Vec::<String>::new());
}
