//! The emulator as a library: start it, use the service, look at it, stop it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

use crate::call::ServiceCall;
use crate::certificates::{Certificate, Certificates, Identity, certificate_id};
use crate::clock::RunningClock;
use crate::faults::Faults;
use crate::hub::Hub;
use crate::listen;
use crate::model::Service;
use crate::mqtt::broker::BrokerSnapshot;
use crate::options::{Options, StartError, StoreError};
use crate::ports::{Addresses, Ports};
use crate::store::{self, Store};
use crate::tls::pki::{Pki, PkiFiles};
use crate::trace::Trace;

/// A running emulator.
///
/// Dropping it stops it too, without waiting; [`shutdown`](Self::shutdown) waits and tells whether
/// the state was kept.
///
/// ```
/// use jobs_emulator::{Emulator, Options};
/// use serde_json::json;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let emulator = Emulator::start(Options::default()).await?;
/// emulator.with_service(|service, now_ms| service.create_thing(now_ms, "pump-7"))?;
/// emulator.with_service(|service, now_ms| {
///     service.create_job(now_ms, "reboot-1", &["pump-7"], &json!({"operation": "reboot"}))
/// })?;
/// assert!(emulator.service().execution("pump-7", "reboot-1", None).is_some());
/// println!("point devices at {}", emulator.mqtt_addr());
/// emulator.shutdown().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Emulator {
    hub: Arc<Hub>,
    at: Addresses,
    pki: Option<Arc<Pki>>,
    fronts: JoinSet<()>,
    keeper: Option<Keeper>,
}

/// The task that saves the state: dropping `finish` makes it save a last time and end.
#[derive(Debug)]
struct Keeper {
    finish: oneshot::Sender<()>,
    saved: JoinHandle<Result<(), StoreError>>,
}

impl Emulator {
    /// Starts an emulator; on return all its ports accept connections.
    ///
    /// # Errors
    /// If an address is taken, the state folder is unusable, or keys cannot be made or read.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping it closes whatever was opened.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let store = options.state.as_deref().map(Store::open).transpose()?;
        let kept = match &store {
            Some(store) => store.load()?,
            None => None,
        };
        let not_before_ms = kept.as_ref().map_or(0, |kept| kept.now_ms);
        let ports = Ports::open(&options).await?;
        let clock = RunningClock::start(options.clock, not_before_ms);
        let (service, broker, mut certificates) = match kept {
            Some(mut kept) => {
                kept.service.set_settings(options.settings);
                (kept.service, kept.broker, kept.certificates)
            }
            None => {
                let service = Service::new(options.settings);
                (service, BrokerSnapshot::default(), Certificates::default())
            }
        };
        if let Some(pki) = &ports.pki {
            register_device(&mut certificates, pki, clock.now_ms());
        }
        let hub = Hub::new(clock, service, broker, certificates, options.faults);
        let hub = Arc::new(hub);

        let (at, pki) = (ports.addresses(), ports.pki.clone());
        let mut fronts = ports.serve(&hub);
        fronts.spawn(listen::run_timers(Arc::clone(&hub)));
        let keeper = store.map(|store| {
            let (finish, finished) = oneshot::channel();
            let keep = store::keep_saved(Arc::new(store), Arc::clone(&hub), finished);
            let saved = tokio::spawn(keep);
            Keeper { finish, saved }
        });
        hub.changed();
        Ok(Self {
            hub,
            at,
            pki,
            fronts,
            keeper,
        })
    }

    /// Address of the HTTP front.
    #[must_use]
    pub const fn http_addr(&self) -> SocketAddr {
        self.at.http
    }

    /// Address of the MQTT front without TLS.
    #[must_use]
    pub const fn mqtt_addr(&self) -> SocketAddr {
        self.at.mqtt
    }

    /// Address of the MQTT front with mutual TLS, if it was asked for.
    #[must_use]
    pub const fn mqtts_addr(&self) -> Option<SocketAddr> {
        self.at.mqtts
    }

    /// Address of the HTTP data plane without TLS, if it was asked for.
    #[must_use]
    pub const fn data_http_addr(&self) -> Option<SocketAddr> {
        self.at.data_http
    }

    /// Address of the HTTP data plane with mutual TLS, if it was asked for.
    #[must_use]
    pub const fn data_https_addr(&self) -> Option<SocketAddr> {
        self.at.data_https
    }

    /// Files a TLS client needs, if TLS was asked for.
    #[must_use]
    pub fn pki(&self) -> Option<&PkiFiles> {
        self.pki.as_deref().map(Pki::files)
    }

    /// Makes a client certificate that may act for one thing only, and registers it.
    ///
    /// Returns certificate and private key as PEM, or `None` if TLS was not asked for.
    ///
    /// # Errors
    /// If the certificate cannot be made.
    pub fn issue_certificate(&self, thing: &str) -> Result<Option<(String, String)>, StartError> {
        let Some(pki) = &self.pki else {
            return Ok(None);
        };
        let issued = pki.issue_client()?;
        let certificate = Certificate {
            pem: issued.certificate_pem.clone(),
            active: true,
            created_ms: self.hub.clock.now_ms(),
            things: BTreeSet::from([thing.to_owned()]),
            any_thing: false,
        };
        self.hub
            .lock()
            .certificates
            .register(issued.id, certificate);
        self.hub.changed();
        Ok(Some((issued.certificate_pem, issued.private_key_pem)))
    }

    /// Registers a certificate that somebody else issued, in DER form, for one thing only; answers
    /// its id. One that is known already is replaced, so this also makes it inactive. Its text is
    /// not kept.
    pub fn register_certificate(&self, der: &[u8], thing: &str, active: bool) -> String {
        let id = certificate_id(der);
        let certificate = Certificate {
            pem: String::new(),
            active,
            created_ms: self.hub.clock.now_ms(),
            things: BTreeSet::from([thing.to_owned()]),
            any_thing: false,
        };
        self.hub
            .lock()
            .certificates
            .register(id.clone(), certificate);
        self.hub.changed();
        id
    }

    /// Lets a closure act on the service at the current time (ms since the epoch), and delivers
    /// the messages it returns to the connected devices.
    ///
    /// The closure runs under the lock that every front needs: it should not wait for anything.
    pub fn with_service<C: ServiceCall>(
        &self,
        act: impl FnOnce(&mut Service, u64) -> C,
    ) -> C::Output {
        self.hub
            .with_service(|service, now_ms| act(service, now_ms).into_parts())
    }

    /// A copy of the service as it is now.
    #[must_use]
    pub fn service(&self) -> Service {
        self.hub.lock().service.clone()
    }

    /// The time of the emulator's clock in ms since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.hub.clock.now_ms()
    }

    /// Moves a manual clock on, step by step over everything that is due, so that on return all
    /// of it has happened and its messages are on their way. Other clocks keep their own time; then
    /// it only fires what is due.
    pub fn advance_ms(&self, by_ms: u64) {
        let target_ms = self.now_ms().saturating_add(by_ms);
        loop {
            self.hub.fire_due();
            let now_ms = self.now_ms();
            let next_ms = self
                .hub
                .next_deadline_ms()
                .unwrap_or(u64::MAX)
                .min(target_ms);
            if now_ms >= target_ms || next_ms < now_ms {
                return;
            }
            self.hub.clock.advance_ms((next_ms - now_ms).max(1));
            if self.now_ms() == now_ms {
                return;
            }
        }
    }

    /// The recording of MQTT packets and of requests to the HTTP data plane.
    #[must_use]
    pub fn trace(&self) -> Trace {
        self.hub.trace.clone()
    }

    /// The faults still in force.
    #[must_use]
    pub fn faults(&self) -> Faults {
        self.hub.lock().faults.clone()
    }

    /// Replaces the faults in force.
    pub fn set_faults(&self, faults: Faults) {
        self.hub.lock().faults = faults;
    }

    /// Client ids of all MQTT connections.
    #[must_use]
    pub fn connected(&self) -> Vec<String> {
        self.hub.connected()
    }

    /// Ends the MQTT connection of a client id; false if there is none.
    pub fn disconnect(&self, client_id: &str) -> bool {
        self.hub.kick(client_id)
    }

    /// Stops: closes all connections and ports, and keeps the state if there is a folder for it.
    ///
    /// # Errors
    /// If the state cannot be written.
    ///
    /// # Cancel safety
    /// Cancel safe: once called, the emulator stops whether or not it is waited for.
    pub async fn shutdown(mut self) -> Result<(), StoreError> {
        self.hub.stop.send_replace(true);
        while self.fronts.join_next().await.is_some() {}
        let Some(Keeper { finish, saved }) = self.keeper.take() else {
            return Ok(());
        };
        drop(finish);
        match saved.await {
            Ok(saved) => saved,
            // The task ends by itself; only a runtime that is shutting down cancels it.
            Err(_) => Ok(()),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.hub.stop.send_replace(true);
        self.fronts.detach_all();
    }
}

fn register_device(certificates: &mut Certificates, pki: &Pki, now_ms: u64) {
    let (id, pem) = pki.device.clone();
    if certificates.may_connect(&Identity::Certificate(id.clone())) {
        return;
    }
    let certificate = Certificate {
        pem,
        active: true,
        created_ms: now_ms,
        things: BTreeSet::new(),
        any_thing: true,
    };
    certificates.register(id, certificate);
}
