//! The certificate and key of the device, over a rotation.
//!
//! A pair is one file, so that there is no moment at which a new certificate stands beside an old
//! key. The pair of the configuration is the first one and is never touched; the files here go
//! before it.
//!
//! | file | holds |
//! |---|---|
//! | `request.pem` | the key of the last request, whose certificate has not come yet |
//! | `next.pem` | a pair that was never used |
//! | `current.pem` | the pair in use; not there: that of the configuration |
//! | `previous.pem` | the pair before it, as long as there is a way back |
//! | `trial.json` | which job changes the pair, and how far it is |
//!
//! Each change is one rename or one removal, made durable, and each row can be the last one before
//! the power goes:
//!
//! | trial | in use | after a restart |
//! |---|---|---|
//! | wanted | old | the new pair is probed |
//! | running, `next.pem` there | old | the switch is finished |
//! | running | new | the new pair has to prove itself |
//! | running, not in use | old | refused: it was taken back |
//! | refused | old | the job says why |
//! | proven | new | the old pair goes when the job is over |

mod files;
mod pair;

use std::{io, path::PathBuf};

use serde::{Deserialize, Serialize};

pub use pair::Pair;

/// How often the agent may start with a pair that has not proven itself: one that lets the machine
/// go down each time must not keep it for ever.
const STARTS_MAX: u8 = 5;

const REQUEST: &str = "request.pem";
const NEXT: &str = "next.pem";
const CURRENT: &str = "current.pem";
const PREVIOUS: &str = "previous.pem";
const TRIAL: &str = "trial.json";

/// A change of the pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The job that wants it.
    pub job: String,
    /// The new certificate.
    pub id: String,
    /// How far it is.
    pub stage: Stage,
}

/// How far a change is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// It lies ready.
    Wanted,
    /// It is in use, or about to be; the agent started with it so often.
    Running(u8),
    /// It is not in use, for this reason.
    Refused(String),
    /// The service knows it.
    Proven,
}

/// What has to be done before the agent connects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    Connect,
    /// See whether this pair works, then [`Identities::switch`] or [`Identities::refuse`].
    Probe(Pair),
    /// Take the change back unless it is proven in time.
    Watch(Trial),
}

/// The folder of the pairs.
#[derive(Clone, Debug)]
pub struct Identities {
    dir: PathBuf,
    /// Changes before the power goes.
    #[cfg(test)]
    power: Option<std::sync::Arc<std::sync::atomic::AtomicU32>>,
}

impl Identities {
    /// The pairs in this folder, which need not be there.
    #[must_use]
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            #[cfg(test)]
            power: None,
        }
    }

    /// The pair in use; `None`: that of the configuration.
    ///
    /// # Errors
    /// It is there, and cannot be read or is none.
    pub fn current(&self) -> io::Result<Option<Pair>> {
        self.pair(CURRENT)
    }

    /// The path of the pair in use, for messages.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.join(CURRENT)
    }

    /// The change on its way.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn trial(&self) -> io::Result<Option<Trial>> {
        match self.read(TRIAL)? {
            Some(json) => Ok(Some(serde_json::from_slice(&json)?)),
            None => Ok(None),
        }
    }

    /// Keeps the key of a request.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep_request(&self, key_pem: &[u8]) -> io::Result<()> {
        self.put(REQUEST, key_pem)
    }

    /// The certificate with the key it belongs to: that of the last request, or the one in use.
    ///
    /// # Errors
    /// It belongs to neither.
    pub fn with_key(&self, chain_pem: &[u8], configured: Option<&[u8]>) -> Result<Pair, String> {
        let read = |name| self.read(name).map_err(|error| error.to_string());
        let keys = [
            read(REQUEST)?,
            read(CURRENT)?,
            configured.map(<[u8]>::to_vec),
        ];
        let mut why = "no key was requested".to_owned();
        for key in keys.iter().flatten() {
            match Pair::new(chain_pem, key) {
                Ok(pair) => return Ok(pair),
                Err(fault) => why = fault,
            }
        }
        Err(format!(
            "the certificate belongs to no key of this device: {why}"
        ))
    }

    /// Lays a pair ready.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn propose(&self, job: &str, pair: &Pair) -> io::Result<()> {
        self.put(NEXT, pair.pem())?;
        self.note(job, pair.id(), Stage::Wanted)
    }

    /// What has to be done before the agent connects. `jobs` are the jobs on their way.
    ///
    /// # Errors
    /// The folder cannot be read or written.
    pub fn next(&self, jobs: &[String]) -> io::Result<Next> {
        let Some(trial) = self.trial()? else {
            return Ok(Next::Connect);
        };
        let lives = jobs.contains(&trial.job);
        match trial.stage {
            Stage::Wanted if lives => match self.pair(NEXT)? {
                Some(pair) if pair.id == trial.id => Ok(Next::Probe(pair)),
                Some(_) | None => self.refuse("the new pair is gone").map(|()| Next::Connect),
            },
            Stage::Wanted | Stage::Refused(_) if !lives => self.end().map(|()| Next::Connect),
            Stage::Proven if !lives => self.end().map(|()| Next::Connect),
            Stage::Wanted | Stage::Refused(_) | Stage::Proven => Ok(Next::Connect),
            Stage::Running(starts) => {
                self.finish_switch(&trial)?;
                if self.current()?.is_none_or(|pair| pair.id != trial.id) {
                    self.refuse("it was taken back")?;
                    return self.next_if_over(lives);
                }
                if !lives {
                    self.roll_back("its job is over")?;
                    return self.next_if_over(lives);
                }
                if starts >= STARTS_MAX {
                    self.roll_back(&format!("not proven after {STARTS_MAX} starts"))?;
                    return Ok(Next::Connect);
                }
                let stage = Stage::Running(starts + 1);
                self.note(&trial.job, &trial.id, stage)?;
                Ok(Next::Watch(trial))
            }
        }
    }

    fn next_if_over(&self, lives: bool) -> io::Result<Next> {
        if !lives {
            self.end()?;
        }
        Ok(Next::Connect)
    }

    /// Uses the pair that lies ready; the one in use is kept.
    ///
    /// # Errors
    /// A file cannot be written; [`next`](Self::next) goes on from there.
    pub fn switch(&self) -> io::Result<()> {
        let Some(trial) = self.trial()? else {
            return Ok(());
        };
        match self.read(CURRENT)? {
            Some(pem) => self.put(PREVIOUS, &pem)?,
            None => self.remove(PREVIOUS)?,
        }
        self.note(&trial.job, &trial.id, Stage::Running(0))?;
        self.rename(NEXT, CURRENT)
    }

    fn finish_switch(&self, trial: &Trial) -> io::Result<()> {
        match self.pair(NEXT)? {
            Some(pair) if pair.id == trial.id => self.rename(NEXT, CURRENT),
            Some(_) | None => Ok(()),
        }
    }

    /// Leaves the pair that lies ready.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn refuse(&self, why: &str) -> io::Result<()> {
        if let Some(trial) = self.trial()? {
            self.note(&trial.job, &trial.id, Stage::Refused(why.to_owned()))?;
        }
        self.remove(NEXT)
    }

    /// Uses the pair from before the change, for this reason; answers whether it does. Nothing to do
    /// once the new one is proven.
    ///
    /// # Errors
    /// A file cannot be written; [`next`](Self::next) goes on from there.
    pub fn roll_back(&self, why: &str) -> io::Result<bool> {
        let running = |trial: Trial| matches!(trial.stage, Stage::Running(_));
        let back = self.trial()?.is_some_and(running);
        if back {
            self.restore(why)?;
        }
        Ok(back)
    }

    fn restore(&self, why: &str) -> io::Result<()> {
        if self.dir.join(PREVIOUS).try_exists()? {
            self.rename(PREVIOUS, CURRENT)?;
        } else {
            self.remove(CURRENT)?;
        }
        self.refuse(why)
    }

    /// The service knows the new pair. Only the end of its job leads back now, if it is not success.
    ///
    /// # Errors
    /// It cannot be written down.
    pub fn prove(&self) -> io::Result<()> {
        match self.trial()? {
            Some(trial) => self.note(&trial.job, &trial.id, Stage::Proven),
            None => Ok(()),
        }
    }

    /// Forgets a change that is over: if it is proven, with the old pair and the key that is now
    /// in use.
    ///
    /// # Errors
    /// A file cannot be removed.
    pub fn end(&self) -> io::Result<()> {
        if let Some(Trial {
            stage: Stage::Proven,
            ..
        }) = self.trial()?
        {
            self.remove(PREVIOUS)?;
            self.remove(REQUEST)?;
        }
        self.remove(NEXT)?;
        self.remove(TRIAL)
    }

    /// A job is over: a change that it wanted is over with it, and what the service was told is what
    /// holds: the new pair unless it `failed`. Answers whether another pair is in use now.
    ///
    /// # Errors
    /// A file cannot be changed; [`next`](Self::next) goes on from there.
    pub fn over(&self, job: &str, failed: bool) -> io::Result<bool> {
        let Some(trial) = self.trial()?.filter(|trial| trial.job == job) else {
            return Ok(false);
        };
        let back = match trial.stage {
            Stage::Running(_) => true,
            Stage::Proven => failed,
            Stage::Wanted | Stage::Refused(_) => false,
        };
        if back {
            self.restore("its job is over")?;
        }
        self.end()?;
        Ok(back)
    }

    fn pair(&self, name: &str) -> io::Result<Option<Pair>> {
        let wrong = |why| io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {why}"));
        let pem = self.read(name)?;
        pem.map(|pem| Pair::new(&pem, &pem).map_err(wrong))
            .transpose()
    }

    fn note(&self, job: &str, id: &str, stage: Stage) -> io::Result<()> {
        let trial = Trial {
            job: job.to_owned(),
            id: id.to_owned(),
            stage,
        };
        self.put(TRIAL, &serde_json::to_vec(&trial)?)
    }
}

#[cfg(test)]
mod tests;
