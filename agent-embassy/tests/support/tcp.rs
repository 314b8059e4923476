//! tokio's TCP as an embedded-io-async stream, and real time behind embassy's clock.

use std::net::SocketAddr;
use std::sync::Once;
use std::time::{Duration, Instant};

use agent_embassy::Connect;
use embassy_time::MockDriver;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How often embassy's clock catches up with real time.
const TICK: Duration = Duration::from_millis(1);

/// Lets embassy's time pass as fast as ours.
pub fn let_time_pass() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        std::thread::spawn(|| {
            let mut last = Instant::now();
            loop {
                std::thread::sleep(TICK);
                let now = Instant::now();
                let passed = u64::try_from((now - last).as_micros()).unwrap();
                MockDriver::get().advance(embassy_time::Duration::from_micros(passed));
                last = now;
            }
        });
    });
}

/// Connects to this address.
pub struct Tcp(pub SocketAddr);

pub struct Stream(TcpStream);

impl Connect for Tcp {
    type Stream<'a> = Stream;
    type Error = std::io::Error;

    async fn connect(&mut self) -> Result<Stream, std::io::Error> {
        TcpStream::connect(self.0).await.map(Stream)
    }
}

impl ErrorType for Stream {
    type Error = ErrorKind;
}

impl Read for Stream {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        self.0
            .read(buf)
            .await
            .map_err(|_| ErrorKind::ConnectionReset)
    }
}

impl Write for Stream {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        self.0
            .write(buf)
            .await
            .map_err(|_| ErrorKind::ConnectionReset)
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.0.flush().await.map_err(|_| ErrorKind::ConnectionReset)
    }
}
