//! The state folder, and the program around the library.

mod front_support;

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use front_support::{Client, Hello, add_things, control, create_job, topic};
use jobs_emulator::{Emulator, Options, StartError};
use serde_json::{Value, json};

async fn start(folder: &Path, secure: bool) -> Emulator {
    let state = Some(folder.to_owned());
    let mqtts = secure.then(|| ([127, 0, 0, 1], 0).into());
    Emulator::start(Options {
        state,
        mqtts,
        ..Options::default()
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn jobs_sessions_and_certificates_survive_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let before = start(folder.path(), true).await;
    add_things(&before, &["t1"]);
    let hello = Hello::resuming("d1");
    let (mut device, _) = Client::hello(before.mqtt_addr(), &hello).await;
    device.subscribe(&[&topic("t1", "notify-next")], 1).await;
    device.leave().await;
    create_job(&before, "j1", &["t1"]);
    let (service, files) = (before.service(), before.pki().unwrap().clone());
    let device_certificate = std::fs::read(&files.cert).unwrap();
    before.shutdown().await.unwrap();

    let after = start(folder.path(), true).await;
    assert_eq!(after.service(), service);
    assert_eq!(after.pki(), Some(&files));
    assert_eq!(std::fs::read(&files.cert).unwrap(), device_certificate);
    let (mut device, present) = Client::hello(after.mqtt_addr(), &hello).await;
    assert!(present);
    let waiting = device.message().await;
    assert_eq!(waiting.json()["execution"]["jobId"], "j1");
    create_job(&after, "j2", &["t1"]);
    device.expect_silence().await;
    device
        .request(&topic("t1", "j1/update"), json!({"status": "SUCCEEDED"}))
        .await;
    assert_eq!(
        device.message().await.json()["execution"]["jobId"],
        "j2",
        "still subscribed"
    );
}

#[tokio::test]
async fn one_folder_is_for_one_emulator_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let first = start(folder.path(), false).await;
    let state = Some(folder.path().to_owned());
    let second = Emulator::start(Options {
        state,
        ..Options::default()
    })
    .await;
    assert!(matches!(second, Err(StartError::Store(_))), "{second:?}");
    first.shutdown().await.unwrap();
    start(folder.path(), false).await;
}

#[tokio::test]
async fn a_taken_port_is_told_with_its_address() {
    let first = Emulator::start(Options::default()).await.unwrap();
    let taken = Options {
        mqtt: first.mqtt_addr(),
        ..Options::default()
    };
    let error = Emulator::start(taken).await.unwrap_err().to_string();
    assert!(error.contains(&first.mqtt_addr().to_string()), "{error}");
}

/// A running program; killed if the test fails half-way.
struct Program {
    child: Child,
    ready: Value,
}

impl Program {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jobs-emulator"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let ready = serde_json::from_str(&line).unwrap();
        Self { child, ready }
    }

    fn address(&self, front: &str) -> SocketAddr {
        self.ready[front].as_str().unwrap().parse().unwrap()
    }

    /// Sends a signal and returns the exit code.
    fn signal(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args([signal, &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_program_says_where_it_listens_and_stops_cleanly_on_either_signal() {
    for signal in ["-TERM", "-INT"] {
        let program = Program::start(&["--http", "127.0.0.1:0", "--mqtt", "127.0.0.1:0"]);
        assert_eq!(program.ready.as_object().map(|ready| ready.len()), Some(2));
        let made = control(program.address("http"), "POST", "/things/t1", json!({})).await;
        assert_eq!(made.status, 200);
        let mut device = Client::connect(program.address("mqtt"), "d1").await;
        device.request(&topic("t1", "get"), json!({})).await;
        assert_eq!(program.signal(signal), Some(0), "{signal}");
        device.expect_closed().await;
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_program_comes_back_as_it_was_after_a_stop_and_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let arguments = ["--mqtts", "127.0.0.1:0", "--state", state.to_str().unwrap()];
    let program = Program::start(&arguments);
    for name in ["ca", "cert", "key"] {
        let path = Path::new(program.ready[name].as_str().unwrap()).to_owned();
        assert!(path.is_absolute() && path.is_file(), "{name}");
    }
    control(program.address("http"), "POST", "/things/t1", json!({})).await;
    assert_eq!(program.signal("-TERM"), Some(0));

    let program = Program::start(&arguments);
    let seen = control(program.address("http"), "GET", "/things/t1", Value::Null).await;
    assert_eq!(seen.status, 200);
    assert_eq!(program.signal("-KILL"), None, "ended by the signal");
    let program = Program::start(&arguments);
    let seen = control(program.address("http"), "GET", "/things/t1", Value::Null).await;
    assert_eq!(seen.status, 200);
}

#[test]
fn wrong_arguments_end_with_code_2_and_words() {
    for arguments in [
        &["--http", "nonsense"][..],
        &["--unknown"],
        &["--time-factor", "0"],
    ] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_jobs-emulator"))
            .args(arguments)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut words = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut words)
            .unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(2));
        assert!(words.contains(arguments[0]), "{words}");
    }
}
