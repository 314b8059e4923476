//! Whole TLS records between a stream and `embedded-tls`, so that both sides may be interrupted.

use core::cell::Cell;

use embassy_sync::{blocking_mutex::raw::NoopRawMutex, mutex::Mutex};
use embedded_io_async::{Error, ErrorKind, ErrorType, Read, Write};

/// Bytes before a record's content: its type, a version, its length (RFC 8446, 5.1).
const HEADER_LEN: usize = 5;

/// The type of an encrypted record.
const APPLICATION_DATA: u8 = 23;

/// Least content of an encrypted record: the inner type and the tag of AES-GCM.
const SEALED_LEN_MIN: usize = 1 + 16;

/// Largest record with its header: what a server may send that was not told otherwise
/// (RFC 8446, 5.2).
pub const RECORD_LEN_MAX: usize = HEADER_LEN + 16_384 + 256;

/// A stream that is read and written by whole TLS records; lives as long as the stream, and is
/// lent to one [`TlsStream`](crate::TlsStream) after another.
///
/// `embedded-tls` forgets the part of a record that it has read or written when its future is
/// dropped. Here that part is kept: a record is handed over only when it is complete, and one that
/// is to be sent is taken whole.
#[derive(Debug)]
pub struct Records<'b, S> {
    inner: Mutex<NoopRawMutex, Inner<'b, S>>,
    out_len: Cell<usize>,
}

#[derive(Debug)]
struct Inner<'b, S> {
    stream: S,
    /// One incoming record: `taken` of `filled` bytes have been handed over.
    inbound: &'b mut [u8],
    filled: usize,
    taken: usize,
    /// Outgoing records: `sent` of `queued` bytes are with the stream.
    outbound: &'b mut [u8],
    queued: usize,
    sent: usize,
}

/// Why records cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordsError<E> {
    /// The stream's own error.
    Stream(E),
    /// The stream takes no more bytes.
    WriteZero,
    /// The server sent a record that is larger than the buffer for one.
    TooLarge,
    /// The server sent an encrypted record that cannot hold anything (`embedded-tls` 0.19 panics
    /// on it).
    Empty,
}

impl<'b, S: Read + Write> Records<'b, S> {
    /// A stream with room for one incoming and one outgoing record.
    ///
    /// `inbound` of [`RECORD_LEN_MAX`] bytes suits every server; less suits one that is known to
    /// send small records. `outbound` is as long as the `write` buffer of the
    /// [`TlsStream`](crate::TlsStream), or longer.
    pub fn new(stream: S, inbound: &'b mut [u8], outbound: &'b mut [u8]) -> Self {
        Self {
            out_len: Cell::new(outbound.len()),
            inner: Mutex::new(Inner {
                stream,
                inbound,
                filled: 0,
                taken: 0,
                outbound,
                queued: 0,
                sent: 0,
            }),
        }
    }

    /// Forgets what is in the buffers, for a new connection, and lends the stream to open it.
    pub fn renew(&mut self) -> &mut S {
        let inner = self.inner.get_mut();
        (inner.filled, inner.taken) = (0, 0);
        (inner.queued, inner.sent) = (0, 0);
        &mut inner.stream
    }

    /// The longest record that can be sent, with its header, in bytes.
    pub(crate) const fn out_len(&self) -> usize {
        self.out_len.get()
    }

    /// Sends what is queued, and has the stream send it.
    ///
    /// # Cancel safety
    /// Cancel safe: the next call goes on.
    pub(crate) async fn drain(&self) -> Result<(), RecordsError<S::Error>> {
        let mut inner = self.inner.lock().await;
        inner.send_queued().await?;
        inner.stream.flush().await.map_err(RecordsError::Stream)
    }
}

impl<S: Read + Write> Inner<'_, S> {
    async fn send_queued(&mut self) -> Result<(), RecordsError<S::Error>> {
        while let Some(rest @ [_, ..]) = self.outbound.get(self.sent..self.queued) {
            let written = self
                .stream
                .write(rest)
                .await
                .map_err(RecordsError::Stream)?;
            if written == 0 {
                return Err(RecordsError::WriteZero);
            }
            self.sent = self.sent.saturating_add(written);
        }
        (self.queued, self.sent) = (0, 0);
        Ok(())
    }

    /// How long the record at the start of `inbound` is, as far as that is known.
    fn inbound_len(&self) -> Result<usize, RecordsError<S::Error>> {
        let Some([kind, _, _, high, low]) = self.inbound.get(..self.filled.min(HEADER_LEN)) else {
            return Ok(HEADER_LEN);
        };
        let content = usize::from(u16::from_be_bytes([*high, *low]));
        if *kind == APPLICATION_DATA && content < SEALED_LEN_MIN {
            return Err(RecordsError::Empty);
        }
        let len = HEADER_LEN.saturating_add(content);
        if len > self.inbound.len() {
            return Err(RecordsError::TooLarge);
        }
        Ok(len)
    }

    /// Reads until one record is complete; `false` at the end of the stream.
    async fn receive(&mut self) -> Result<bool, RecordsError<S::Error>> {
        loop {
            let len = self.inbound_len()?;
            let Some(missing @ [_, ..]) = self.inbound.get_mut(self.filled..len) else {
                return Ok(self.filled == len);
            };
            let read = self
                .stream
                .read(missing)
                .await
                .map_err(RecordsError::Stream)?;
            if read == 0 {
                return Ok(false);
            }
            self.filled = self.filled.saturating_add(read);
        }
    }
}

impl<S: Read + Write> ErrorType for &Records<'_, S> {
    type Error = RecordsError<S::Error>;
}

impl<S: Read + Write> Read for &Records<'_, S> {
    /// Waits only while no part of a record has been handed over.
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, Self::Error> {
        let mut inner = self.inner.lock().await;
        if inner.taken == inner.filled {
            (inner.filled, inner.taken) = (0, 0);
        }
        if inner.taken == 0 && !inner.receive().await? {
            return Ok(0);
        }
        let ready = inner.inbound.get(inner.taken..inner.filled).unwrap_or(&[]);
        let len = ready.len().min(buf.len());
        for (place, byte) in buf.iter_mut().zip(ready) {
            *place = *byte;
        }
        inner.taken = inner.taken.saturating_add(len);
        Ok(len)
    }
}

impl<S: Read + Write> Write for &Records<'_, S> {
    /// Takes all of `buf` without waiting, if the queue is empty and long enough.
    async fn write(&mut self, buf: &[u8]) -> Result<usize, Self::Error> {
        let mut inner = self.inner.lock().await;
        if inner.outbound.len().saturating_sub(inner.queued) < buf.len() {
            inner.send_queued().await?;
        }
        let queued = inner.queued;
        let room = inner.outbound.get_mut(queued..).unwrap_or(&mut []);
        let len = room.len().min(buf.len());
        for (place, byte) in room.iter_mut().zip(buf) {
            *place = *byte;
        }
        inner.queued = queued.saturating_add(len);
        Ok(len)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.drain().await
    }
}

impl<E: Error> Error for RecordsError<E> {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Stream(error) => error.kind(),
            Self::WriteZero => ErrorKind::WriteZero,
            Self::TooLarge | Self::Empty => ErrorKind::InvalidData,
        }
    }
}

impl<E: core::fmt::Debug> core::fmt::Display for RecordsError<E> {
    fn fmt(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Stream(error) => write!(formatter, "stream: {error:?}"),
            Self::WriteZero => formatter.write_str("the stream takes no more bytes"),
            Self::TooLarge => formatter.write_str("record larger than its buffer"),
            Self::Empty => formatter.write_str("empty record"),
        }
    }
}

impl<E: core::fmt::Debug> core::error::Error for RecordsError<E> {}
