//! What can go wrong on a link, grouped by whose fault it is; each text says what to do.

use std::path::PathBuf;

/// A send was not taken. Nothing was sent and no event will follow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no connection now.
    #[error("no connection: send again after the next Connected event")]
    Offline,
    /// Too many sends have no answer yet.
    #[error(
        "{outstanding} sends have no answer yet, which is the limit: send again after the next \
         Acked, SubAck or Lost event"
    )]
    Busy {
        /// Sends without an answer.
        outstanding: usize,
    },
    /// The caller asked for something no broker accepts.
    #[error("not a valid MQTT request ({what}): fix the caller")]
    Invalid {
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The options of a link cannot work. Found before the first connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A file with a certificate or key cannot be read.
    #[error("cannot read the {what} from {}: {cause}; check the path and its permissions", path.display())]
    Unreadable {
        /// Which of the files.
        what: &'static str,
        /// Where it should be.
        path: PathBuf,
        /// The operating system's words.
        cause: String,
    },
    /// A certificate or key is not usable PEM.
    #[error("the {what} is not usable: {cause}; give it in PEM form, as AWS IoT hands it out")]
    BadPem {
        /// Which of them.
        what: &'static str,
        /// What the parser or rustls said.
        cause: String,
    },
    /// One thing more than may share a connection.
    #[error(
        "{things_max} things share this connection, and no more may: AWS IoT takes 50 \
         subscriptions on a connection, two for each thing. Give the others another hub"
    )]
    HubFull {
        /// Things that may share it.
        things_max: usize,
    },
    /// A value is out of the range MQTT or AWS IoT allows.
    #[error("{what}")]
    BadValue {
        /// Which value, and what is allowed.
        what: &'static str,
    },
}

/// Why a broker refused a CONNECT (return codes 1 to 5 of MQTT 3.1.1, table 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RefusedReason {
    /// 1: the protocol level is not supported.
    ProtocolVersion,
    /// 2: the client id is not allowed.
    ClientId,
    /// 3: the service is not available now. The only one that passes by itself.
    Unavailable,
    /// 4: bad user name or password.
    Credentials,
    /// 5: not authorised.
    NotAuthorized,
}

impl RefusedReason {
    fn advice(self) -> &'static str {
        match self {
            Self::ProtocolVersion => {
                "it does not speak MQTT 3.1.1: check host and port of the endpoint"
            }
            Self::ClientId => {
                "it does not accept this client id: check the policy's iot:Connect resource"
            }
            Self::Unavailable => "the service is not available now: waiting and trying again",
            Self::Credentials => "bad credentials: check the certificate or the authorizer",
            Self::NotAuthorized => {
                "not authorised: check that the certificate is active and that its policy allows \
                 iot:Connect for this client id"
            }
        }
    }
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The network or the broker cannot be reached.
    #[error("cannot reach the service ({cause}): check network, name resolution and firewall")]
    Unreachable {
        /// The operating system's words.
        cause: String,
    },
    /// The connection was not ready within the time allowed for TCP, TLS and CONNACK together.
    #[error("the service did not finish connecting in {limit_s} s: trying again")]
    ConnectTimeout {
        /// The limit, in seconds.
        limit_s: u64,
    },
    /// The broker is not who it should be, or does not accept who we are.
    #[error(
        "TLS with the service failed ({cause}): check the CA file, the endpoint name, the clock of \
         this machine, and that our certificate is registered and active"
    )]
    Identity {
        /// What rustls said.
        cause: String,
    },
    /// The other side's certificate is not valid yet, or not any more, by the clock of this machine.
    #[error(
        "the certificate of the service is not valid at the time of this machine ({cause}): check \
         that its clock is set (without a battery it is wrong until the network has told the \
         time); trying again"
    )]
    Untimely {
        /// What rustls said.
        cause: String,
    },
    /// The broker answered CONNECT with a refusal.
    #[error("the service refused the connection: {}", reason.advice())]
    Refused {
        /// The reason it gave.
        reason: RefusedReason,
    },
    /// The other side closed the connection.
    #[error("the connection was closed by the other side ({cause}): reconnecting")]
    PeerClosed {
        /// The operating system's words.
        cause: String,
    },
    /// The other side closed the connection right after accepting it, several times in a row.
    #[error(
        "the broker accepted and then closed the connection {times} times in a row. Either another \
         client uses the same client id (each connect then closes the other's connection): give \
         every client its own; or the policy denies something sent right after connecting: AWS \
         IoT closes the connection then. The fleet's AWSIotLogsV2 log group or the lifecycle event \
         `disconnected` names the reason (DUPLICATE_CLIENTID, AUTH_ERROR)"
    )]
    Kicked {
        /// Connections in a row that ended like this.
        times: u32,
    },
    /// The other side stopped answering.
    #[error("the broker did not answer a ping within the keep-alive time: reconnecting")]
    PeerSilent,
    /// What arrived is not MQTT, not in the right place, or too large.
    #[error(
        "the broker broke the protocol ({cause}): check that the endpoint is an MQTT 3.1.1 broker"
    )]
    Protocol {
        /// What was wrong.
        cause: String,
    },
    /// The agent did not take its messages from a connection that it shares, and has missed some.
    #[error(
        "more than {held} messages waited for the agent, and some are lost: asking again. A handler \
         that blocks its thread does this: put such work into spawn_blocking"
    )]
    Overrun {
        /// Messages that are held.
        held: usize,
    },
    /// The program that lent its connection took it back.
    #[error("the program ended the connection that it had lent: lend another one to a new agent")]
    Withdrawn,
    /// The service refuses an action for good: HTTP status 401 or 403, or a certificate it does not
    /// take.
    #[error(
        "the service denied {action} ({cause}): check that the certificate is active and that its \
         policy allows {action} on this thing; actions over HTTPS begin with `iotjobsdata:`"
    )]
    Denied {
        /// The policy action that was denied.
        action: &'static str,
        /// What the service said.
        cause: String,
    },
    /// The service asked for a pause (`Retry-After`).
    #[error("the service asked for a pause of {wait_s} s: waiting")]
    Throttled {
        /// The pause, in seconds.
        wait_s: u64,
    },
    /// What answers a request over HTTPS is not the service, or does not know this thing.
    #[error(
        "what answers does not serve the jobs of this thing over HTTPS ({cause}): check host, port \
         and thing name"
    )]
    NotJobs {
        /// What was wrong.
        cause: String,
    },
    /// A request had no answer in time.
    #[error("the service did not answer a request in {limit_ms} ms: connecting anew")]
    NoAnswer {
        /// The limit, in milliseconds.
        limit_ms: u64,
    },
    /// The link was closed by [`Link::close`](super::Link::close).
    #[error("the link is closed: make a new one to connect again")]
    Closed,
}

impl LinkError {
    /// Whether only a person can remove the cause, so that trying again soon is pointless.
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        match self {
            Self::Identity { .. } | Self::Denied { .. } | Self::Withdrawn | Self::Closed => true,
            Self::Refused { reason } => *reason != RefusedReason::Unavailable,
            Self::Unreachable { .. }
            | Self::ConnectTimeout { .. }
            | Self::Untimely { .. }
            | Self::PeerClosed { .. }
            | Self::Kicked { .. }
            | Self::PeerSilent
            | Self::Overrun { .. }
            | Self::Throttled { .. }
            | Self::NotJobs { .. }
            | Self::NoAnswer { .. }
            | Self::Protocol { .. } => false,
        }
    }
}
