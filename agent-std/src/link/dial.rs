//! A TCP connection to the first address of a name that answers.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// Addresses that share the time, at most: with more, each of these would have too little of it for a
/// cellular network.
const SHARERS_MAX: usize = 3;

/// Connects to a host, whose name is resolved anew each time. `limit` is the time for this and all
/// that follows; an address that swallows what is sent to it (IPv6 that leads nowhere, a broker that
/// is down) leaves most of it to the others.
///
/// # Cancel safety
/// Cancel safe: an attempt that is dropped is over.
pub(super) async fn dial(host: &str, port: u16, limit: Duration) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    first_of(&addresses, limit).await
}

async fn first_of(addresses: &[SocketAddr], limit: Duration) -> io::Result<TcpStream> {
    let sharers = u32::try_from(addresses.len().clamp(1, SHARERS_MAX)).unwrap_or(1);
    let share = limit / sharers;
    let mut why = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let connecting = timeout(share, TcpStream::connect(address));
        match connecting
            .await
            .unwrap_or(Err(io::ErrorKind::TimedOut.into()))
        {
            Ok(stream) => {
                // Small packets, each waited for by the other side.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => why = error,
        }
    }
    Err(why)
}

#[cfg(test)]
mod tests {
    use tokio::net::{TcpListener, TcpSocket};

    use super::*;

    #[tokio::test]
    async fn an_address_that_swallows_everything_leaves_time_for_the_next_one() {
        // Nobody accepts, and there is room for two to wait: what comes then is not answered.
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let deaf = socket.listen(1).unwrap();
        let deaf = (deaf.local_addr().unwrap(), deaf);
        let short = Duration::from_millis(200);
        let mut waiting = Vec::new();
        while let Ok(stream) = timeout(short, TcpStream::connect(deaf.0)).await {
            waiting.push(stream.unwrap());
        }
        let well = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let well = (well.local_addr().unwrap(), well);
        let limit = Duration::from_secs(2);
        let dialed = timeout(limit, first_of(&[deaf.0, well.0], limit)).await;
        assert_eq!(dialed.unwrap().unwrap().peer_addr().unwrap(), well.0);
    }

    #[tokio::test]
    async fn the_last_reason_is_told_when_no_address_answers() {
        let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = closed.local_addr().unwrap();
        drop(closed);
        let error = first_of(&[address, address], Duration::from_secs(9)).await;
        assert_eq!(error.unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
        let error = first_of(&[], Duration::from_secs(9)).await.unwrap_err();
        assert!(error.to_string().contains("no address"), "{error}");
    }
}
