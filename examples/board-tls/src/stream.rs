//! A TLS connection as a stream.

use embedded_io_async::{Error as _, ErrorType, Read, Write};
use embedded_tls::{
    Aes128GcmSha256, CryptoRngCore, FlushPolicy, TLS_RECORD_OVERHEAD, TlsConfig, TlsConnection,
    TlsError,
};

use crate::{Client, OpenError, Records, client::handshake};

/// A TLS 1.3 connection to a server that has proven its name.
///
/// # Cancel safety
/// `read`, `write` and `flush` are cancel safe if those of the stream below are: a dropped `read`
/// has taken nothing, a dropped `write` has written nothing, and a dropped `flush` goes on with
/// the next one.
pub struct TlsStream<'a, 'b, S: Read + Write> {
    tls: TlsConnection<'a, &'a Records<'b, S>, Aes128GcmSha256>,
    records: &'a Records<'b, S>,
}

impl<'a, 'b, S: Read + Write> TlsStream<'a, 'b, S> {
    /// Performs the handshake on a stream that has just been opened; returns once the server has
    /// proven who it is, and it knows who we are if it has asked.
    ///
    /// `read` is as long as the `inbound` buffer of `records`, `write` at most as long as its
    /// `outbound` buffer.
    ///
    /// A server that refuses the device's certificate says so after the handshake: the first read
    /// fails then.
    ///
    /// # Errors
    /// [`OpenError::Refused`] if the server did not prove its name, [`OpenError::Buffers`] if the
    /// buffers do not fit each other, else what went wrong with the stream or the protocol.
    ///
    /// # Cancel safety
    /// Not cancel safe: drop the connection of the stream below together with this future.
    pub async fn open<R: CryptoRngCore>(
        records: &'a Records<'b, S>,
        read: &'a mut [u8],
        write: &'a mut [u8],
        config: &TlsConfig<'_>,
        client: &mut Client<'_, R>,
    ) -> Result<Self, OpenError> {
        if write.len() <= TLS_RECORD_OVERHEAD || write.len() > records.out_len() {
            return Err(OpenError::Buffers);
        }
        let mut tls = TlsConnection::new(records, read, write);
        handshake(&mut tls, config, client).await?;
        // From here on, records are sent by `drain` alone: waiting inside `tls` cannot be resumed.
        tls.set_flush_policy(FlushPolicy::Relaxed);
        Ok(Self { tls, records })
    }

    async fn drain(&self) -> Result<(), TlsError> {
        let drained = self.records.drain().await;
        drained.map_err(|error| TlsError::Io(error.kind()))
    }
}

impl<S: Read + Write> ErrorType for TlsStream<'_, '_, S> {
    type Error = TlsError;
}

impl<S: Read + Write> Read for TlsStream<'_, '_, S> {
    async fn read(&mut self, buf: &mut [u8]) -> Result<usize, TlsError> {
        match self.tls.read(buf).await {
            // The server's close_notify is the end of the stream.
            Err(TlsError::ConnectionClosed) => Ok(0),
            read => read,
        }
    }
}

impl<S: Read + Write> Write for TlsStream<'_, '_, S> {
    async fn write(&mut self, buf: &[u8]) -> Result<usize, TlsError> {
        // With an empty queue, what follows does not wait, so that it cannot be interrupted.
        self.drain().await?;
        self.tls.write(buf).await
    }

    async fn flush(&mut self) -> Result<(), TlsError> {
        self.drain().await?;
        self.tls.flush().await?;
        self.drain().await
    }
}
