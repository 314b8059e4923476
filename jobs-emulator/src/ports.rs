//! The ports of an emulator: opened before anything is served, so that a taken one stops the start.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::hub::Hub;
use crate::listen;
use crate::options::{Options, StartError};
use crate::tls::identity::{ALPN_HTTP, ALPN_MQTT, server_config};
use crate::tls::pki::Pki;

/// Where the ports are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Addresses {
    pub(crate) http: SocketAddr,
    pub(crate) mqtt: SocketAddr,
    pub(crate) mqtts: Option<SocketAddr>,
    pub(crate) data_http: Option<SocketAddr>,
    pub(crate) data_https: Option<SocketAddr>,
}

/// A port that is listened on.
struct Port {
    listener: TcpListener,
    at: SocketAddr,
}

/// A port with TLS in front.
struct TlsPort {
    port: Port,
    acceptor: TlsAcceptor,
}

/// All ports that were asked for.
pub(crate) struct Ports {
    http: Port,
    mqtt: Port,
    mqtts: Option<TlsPort>,
    data_http: Option<Port>,
    data_https: Option<TlsPort>,
    /// The authority, if there is a port with TLS.
    pub(crate) pki: Option<Arc<Pki>>,
}

impl Port {
    async fn open(front: &'static str, address: SocketAddr) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen {
            front,
            address,
            source,
        };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let at = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, at })
    }
}

impl Ports {
    /// Opens what the options ask for.
    pub(crate) async fn open(options: &Options) -> Result<Self, StartError> {
        let endpoint = &options.settings.endpoint;
        let mut ports = Self {
            http: Port::open("http", options.http).await?,
            mqtt: Port::open("mqtt", options.mqtt).await?,
            mqtts: None,
            data_http: None,
            data_https: None,
            pki: None,
        };
        if let Some(wanted) = options.data_http {
            ports.data_http = Some(Port::open("data-http", wanted).await?);
        }
        if options.mqtts.is_none() && options.data_https.is_none() {
            return Ok(ports);
        }
        let pki = Pki::open(options.state.as_deref())?;
        if let Some(wanted) = options.mqtts {
            let port = Port::open("mqtts", wanted).await?;
            ports.mqtts = Some(port.with_tls(&pki, endpoint, &ALPN_MQTT)?);
        }
        if let Some(wanted) = options.data_https {
            let port = Port::open("data-https", wanted).await?;
            ports.data_https = Some(port.with_tls(&pki, endpoint, &ALPN_HTTP)?);
        }
        ports.pki = Some(Arc::new(pki));
        Ok(ports)
    }

    pub(crate) fn addresses(&self) -> Addresses {
        Addresses {
            http: self.http.at,
            mqtt: self.mqtt.at,
            mqtts: self.mqtts.as_ref().map(|tls| tls.port.at),
            data_http: self.data_http.as_ref().map(|port| port.at),
            data_https: self.data_https.as_ref().map(|tls| tls.port.at),
        }
    }

    /// Serves them all, until the hub stops.
    pub(crate) fn serve(self, hub: &Arc<Hub>) -> JoinSet<()> {
        let mut fronts = JoinSet::new();
        fronts.spawn(listen::http(self.http.listener, Arc::clone(hub), self.pki));
        fronts.spawn(listen::mqtt(self.mqtt.listener, Arc::clone(hub)));
        if let Some(TlsPort { port, acceptor }) = self.mqtts {
            fronts.spawn(listen::mqtts(port.listener, acceptor, Arc::clone(hub)));
        }
        if let Some(port) = self.data_http {
            fronts.spawn(listen::data_http(port.listener, Arc::clone(hub)));
        }
        if let Some(TlsPort { port, acceptor }) = self.data_https {
            fronts.spawn(listen::data_https(port.listener, acceptor, Arc::clone(hub)));
        }
        fronts
    }
}

impl Port {
    /// With a certificate of its own, answering to these protocol names.
    fn with_tls(self, pki: &Pki, endpoint: &str, alpn: &[&[u8]]) -> Result<TlsPort, StartError> {
        let (chain, key) = pki.issue_server(self.at.ip(), endpoint)?;
        let config = Arc::new(server_config(chain, key, alpn)?);
        Ok(TlsPort {
            port: self,
            acceptor: TlsAcceptor::from(config),
        })
    }
}
