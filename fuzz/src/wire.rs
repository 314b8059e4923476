//! The emulator's fronts: raw bytes into the MQTT and the HTTP port of a running emulator. No
//! connection may panic, and the emulator must answer the next client.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jobs_emulator::{Emulator, Options};

use crate::input::Input;

/// A connection must end this soon after the client has said its last.
const PATIENCE: Duration = Duration::from_secs(20);

/// CONNECT of MQTT 3.1.1: clean session, keep-alive 60 s, client id `pump-7`.
const CONNECT: &[u8] = b"\x10\x12\x00\x04MQTT\x04\x02\x00\x3C\x00\x06pump-7";
/// CONNECT of MQTT 5, without properties.
const CONNECT_5: &[u8] = b"\x10\x13\x00\x04MQTT\x05\x02\x00\x3C\x00\x00\x06pump-7";

struct Running {
    _runtime: tokio::runtime::Runtime,
    _emulator: Emulator,
    mqtt: SocketAddr,
    http: SocketAddr,
}

static RUNNING: OnceLock<Running> = OnceLock::new();
/// A panic on any thread; the emulator itself survives one of a connection.
static PANICKED: AtomicBool = AtomicBool::new(false);

fn start() -> Running {
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::SeqCst);
        before(info);
    }));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime");
    let emulator = runtime
        .block_on(Emulator::start(Options::default()))
        .expect("free ports");
    emulator
        .with_service(|service, now_ms| service.create_thing(now_ms, "pump-7"))
        .expect("a new thing");
    Running {
        mqtt: emulator.mqtt_addr(),
        http: emulator.http_addr(),
        _emulator: emulator,
        _runtime: runtime,
    }
}

pub(crate) fn run(data: &[u8]) {
    let running = RUNNING.get_or_init(start);
    let mut input = Input::new(data);
    let (port, greeting): (SocketAddr, &[u8]) = match input.below(4) {
        0 => (running.mqtt, b""),
        1 => (running.mqtt, CONNECT),
        2 => (running.mqtt, CONNECT_5),
        _ => (running.http, b""),
    };
    // In up to three pieces, so that packets are cut anywhere.
    let pieces = [input.short(), input.short(), input.rest()];
    talk(port, greeting, &pieces);
    let answer = talk(running.mqtt, CONNECT, &[b"\xC0\x00\xE0\x00"]);
    assert!(
        answer.ends_with(b"\xD0\x00"),
        "the next client got {}",
        answer.escape_ascii()
    );
    assert!(!PANICKED.load(Ordering::SeqCst), "a connection panicked");
}

/// Says everything, hangs up, and listens to the end.
fn talk(port: SocketAddr, greeting: &[u8], pieces: &[&[u8]]) -> Vec<u8> {
    let mut stream = TcpStream::connect(port).expect("the emulator listens");
    stream.set_nodelay(true).expect("a local socket");
    stream
        .set_read_timeout(Some(PATIENCE))
        .expect("a local socket");
    // The other side may hang up at any point: that is an answer.
    let _ = stream.write_all(greeting);
    for piece in pieces {
        let _ = stream.write_all(piece);
    }
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    if let Err(error) = stream.read_to_end(&mut answer) {
        let timed_out = matches!(
            error.kind(),
            std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
        );
        assert!(!timed_out, "the connection was left open");
    }
    answer
}
