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

/// Connects to this address over what behaves like the driver of a serial line: it takes and hands
/// on a few bytes at a time, never as many as it is asked for.
pub struct Line(pub SocketAddr);

pub struct Crumbs {
    stream: Stream,
    random: u32,
}

impl Crumbs {
    /// The next 1 to 7 bytes of so many.
    fn some(&mut self, len: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        len.min(usize::try_from(self.random % 7).unwrap() + 1)
    }
}

impl Connect for Line {
    type Stream<'a> = Crumbs;
    type Error = std::io::Error;

    async fn connect(&mut self) -> Result<Crumbs, std::io::Error> {
        let stream = Tcp(self.0).connect().await?;
        stream.0.set_nodelay(true)?;
        let random = 0x5EED;
        Ok(Crumbs { stream, random })
    }
}

impl ErrorType for Crumbs {
    type Error = ErrorKind;
}

impl Read for Crumbs {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, ErrorKind> {
        let some = self.some(buf.len());
        self.stream.read(&mut buf[..some]).await
    }
}

impl Write for Crumbs {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, ErrorKind> {
        let some = self.some(buf.len());
        self.stream.write(&buf[..some]).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        self.stream.flush().await
    }
}
