//! What a new certificate needs between two connections, and while it is on trial.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use agent_std::{Ending, Happening};
use jobs_agent::{
    config::Config,
    doctor,
    identity::{Identities, Next},
};
use jobs_agent_core::Status;
use tokio::{
    sync::{
        Notify,
        mpsc::{Receiver, Sender, channel},
    },
    time::{Instant, sleep_until},
};
use tracing::{error, info, warn};

/// Ends of jobs that may wait to be looked at; the one that matters is looked at again at the next
/// start.
const ENDS_MAX: usize = 64;

/// Watches over a change of the certificate.
pub(super) struct Rotation {
    identities: Identities,
    trial: Duration,
    again: Arc<Notify>,
    ended: Receiver<Ended>,
    observer: Watched,
    /// When the pair in use is taken back, if it has not proven itself.
    give_up_at: Option<Instant>,
}

/// The end of a job.
#[derive(Clone, Debug)]
struct Ended {
    job: String,
    /// The service does not have it as SUCCEEDED.
    failed: bool,
}

/// What it learns from the agent.
#[derive(Clone)]
pub(super) struct Watched {
    ended: Sender<Ended>,
    /// Why there was no connection last.
    why: Arc<Mutex<String>>,
}

impl Watched {
    pub(super) fn tell(&self, what: &Happening<'_>) {
        match what {
            Happening::Ended { job_id, ending } => {
                // Where the last answer was lost, the report may have arrived.
                let kept = matches!(
                    ending,
                    Ending::Reported(Status::Succeeded) | Ending::AlreadyOver
                );
                let ended = Ended {
                    job: (*job_id).to_owned(),
                    failed: !kept,
                };
                // Full: the next start looks at what became of it.
                drop(self.ended.try_send(ended));
            }
            Happening::Disconnected { why, .. } => {
                *self.why.lock().unwrap_or_else(PoisonError::into_inner) = why.to_string();
            }
            _ => {}
        }
    }
}

impl Rotation {
    pub(super) fn of(config: &Config) -> Self {
        let (sender, ended) = channel(ENDS_MAX);
        Self {
            identities: config.identities(),
            trial: Duration::from_secs(config.certificates.trial_s),
            again: Arc::default(),
            ended,
            observer: Watched {
                ended: sender,
                why: Arc::default(),
            },
            give_up_at: None,
        }
    }

    /// Told when the connection has to be made again.
    pub(super) fn again(&self) -> Arc<Notify> {
        Arc::clone(&self.again)
    }

    pub(super) fn observer(&self) -> Watched {
        self.observer.clone()
    }

    /// Everything before an agent connects: a pair that lies ready is probed, and used if it works.
    ///
    /// Cancel safe: the next call goes on.
    pub(super) async fn prepare(&mut self, config: &Config, jobs: &[String]) {
        self.give_up_at = None;
        if let Err(error) = self.settle(config, jobs).await {
            // With what is there, the agent may still be able to connect.
            error!(%error, "the change of the certificate does not go on");
        }
    }

    async fn settle(&mut self, config: &Config, jobs: &[String]) -> io::Result<()> {
        if let Next::Probe(pair) = self.identities.next(jobs)? {
            info!(id = pair.id(), "a new certificate is tried");
            match doctor::works_with(config, &pair).await {
                Ok(()) => self.identities.switch()?,
                Err(why) => {
                    warn!(%why, "the new certificate does not work");
                    let why = format!("the new certificate does not work: {why}");
                    self.identities.refuse(&why)?;
                }
            }
        }
        if let Next::Watch(trial) = self.identities.next(jobs)? {
            info!(id = trial.id, "a new certificate is in use");
            self.give_up_at = Instant::now().checked_add(self.trial);
        }
        Ok(())
    }

    /// Ends when the connection has to be made again, with another pair or to try one.
    pub(super) async fn turn(&mut self) {
        loop {
            let time_is_up = async {
                match self.give_up_at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            let changed = tokio::select! {
                () = self.again.notified() => return,
                () = time_is_up => {
                    self.give_up_at = None;
                    self.take_back()
                }
                Some(ended) = self.ended.recv() => {
                    self.identities.over(&ended.job, ended.failed)
                }
            };
            match changed {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => error!(%error, "the certificate cannot be changed"),
            }
        }
    }

    fn take_back(&self) -> io::Result<bool> {
        let why = self.observer.why.lock();
        let why = why.unwrap_or_else(PoisonError::into_inner);
        let text = format!("not proven in {} s ({why})", self.trial.as_secs());
        self.identities.roll_back(&text)
    }
}
