//! How an emulator is started, and why it may not start.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use thiserror::Error;

use crate::clock::Clock;
use crate::faults::Faults;
use crate::model::Settings;

/// How an emulator is started. The default listens on free ports of 127.0.0.1, without TLS, and
/// keeps its state in memory.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address of the HTTP front; port 0 takes a free one.
    pub http: SocketAddr,
    /// Address of the MQTT front without TLS; port 0 takes a free one.
    pub mqtt: SocketAddr,
    /// Address of the MQTT front with mutual TLS, if wanted.
    pub mqtts: Option<SocketAddr>,
    /// Address of the HTTP data plane without TLS or signature, if wanted: for trials of devices that
    /// have no MQTT.
    pub data_http: Option<SocketAddr>,
    /// Address of the HTTP data plane with mutual TLS, if wanted.
    pub data_https: Option<SocketAddr>,
    /// Folder that the state is kept in across restarts; made if missing.
    pub state: Option<PathBuf>,
    /// Rules of the service. They win over those a kept state was made with.
    pub settings: Settings,
    /// The clock of the service.
    pub clock: Clock,
    /// Faults in force from the start.
    pub faults: Faults,
}

impl Default for Options {
    fn default() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self {
            http: free,
            mqtt: free,
            mqtts: None,
            data_http: None,
            data_https: None,
            state: None,
            settings: Settings::default(),
            clock: Clock::System,
            faults: Faults::default(),
        }
    }
}

/// Why an emulator does not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address cannot be listened on.
    #[error("cannot listen on {address} for {front}: {source}; choose a free port, or port 0")]
    Listen {
        /// Which front: `http`, `mqtt`, `mqtts`, `data-http` or `data-https`.
        front: &'static str,
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The state folder cannot be used.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// Keys or certificates cannot be made or read.
    #[error("{0}")]
    Pki(#[from] PkiError),
}

/// Why keys or certificates cannot be made, read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PkiError {
    /// A file cannot be read or written.
    #[error("cannot use key or certificate file {path}: {source}; check folder and rights")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate cannot be made from what the folder holds.
    #[error("cannot make a certificate: {0}; remove the `pki` folder to have all made anew")]
    Issue(String),
    /// TLS does not take the certificate.
    #[error("TLS does not take the server certificate: {0}; remove the `pki` folder")]
    Tls(String),
}

/// Why a state cannot be read or kept.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The folder or its database cannot be opened.
    #[error("cannot use state folder {path}: {reason}; is another emulator using it?")]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the system or the database says.
        reason: String,
    },
    /// The database holds something this version cannot read.
    #[error("state in {path} cannot be read: {reason}; use another folder or remove this one")]
    Unreadable {
        /// The folder.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// Writing failed; what was kept before is still there.
    #[error("state cannot be written to {path}: {reason}; check space and rights")]
    Write {
        /// The folder.
        path: PathBuf,
        /// What the system or the database says.
        reason: String,
    },
}
