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

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::PathBuf,
};

use rustls::{
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{download::Sha256Digest, durable};

/// How often the agent may start with a pair that has not proven itself: one that lets the machine
/// go down each time must not keep it for ever.
const STARTS_MAX: u8 = 5;

const REQUEST: &str = "request.pem";
const NEXT: &str = "next.pem";
const CURRENT: &str = "current.pem";
const PREVIOUS: &str = "previous.pem";
const TRIAL: &str = "trial.json";

/// A certificate chain with its key, PEM.
#[derive(Clone, PartialEq, Eq)]
pub struct Pair {
    pem: Vec<u8>,
    /// SHA-256 of the certificate's DER form: its id at AWS IoT.
    id: String,
}

impl std::fmt::Debug for Pair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Pair").field(&self.id).finish()
    }
}

impl Pair {
    /// Puts certificate and key together.
    ///
    /// # Errors
    /// One of them is none, or they do not belong together.
    pub fn new(chain_pem: &[u8], key_pem: &[u8]) -> Result<Self, String> {
        let chain = CertificateDer::pem_slice_iter(chain_pem)
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| format!("no certificate: {error}"))?;
        let first = chain.first().ok_or("there is no certificate in it")?;
        let id = Sha256Digest(Sha256::digest(first).into()).to_string();
        let key = PrivateKeyDer::from_pem_slice(key_pem);
        let key = key.map_err(|error| format!("no private key: {error}"))?;
        CertifiedKey::from_der(chain, key, &ring::default_provider())
            .map_err(|error| error.to_string())?;
        let pem = if chain_pem == key_pem {
            key_pem.to_vec()
        } else {
            [key_pem, b"\n", chain_pem].concat()
        };
        Ok(Self { pem, id })
    }

    /// Both as one PEM text.
    #[must_use]
    pub fn pem(&self) -> &[u8] {
        &self.pem
    }

    /// SHA-256 of the certificate, as AWS IoT calls it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

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
        let Some(Trial {
            stage: Stage::Running(_),
            ..
        }) = self.trial()?
        else {
            return Ok(false);
        };
        if self.dir.join(PREVIOUS).try_exists()? {
            self.rename(PREVIOUS, CURRENT)?;
        } else {
            self.remove(CURRENT)?;
        }
        self.refuse(why)?;
        Ok(true)
    }

    /// The service knows the new pair: there is no way back any more.
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

    /// A job is over: a change that it wanted is over with it, one way or the other. Answers whether
    /// another pair is in use now.
    ///
    /// # Errors
    /// A file cannot be changed; [`next`](Self::next) goes on from there.
    pub fn over(&self, job: &str) -> io::Result<bool> {
        if self.trial()?.is_none_or(|trial| trial.job != job) {
            return Ok(false);
        }
        let back = self.roll_back("its job is over")?;
        self.end()?;
        Ok(back)
    }

    fn pair(&self, name: &str) -> io::Result<Option<Pair>> {
        let wrong = |why| io::Error::new(io::ErrorKind::InvalidData, format!("{name}: {why}"));
        let pem = self.read(name)?;
        pem.map(|pem| Pair::new(&pem, &pem).map_err(wrong))
            .transpose()
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.dir.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn note(&self, job: &str, id: &str, stage: Stage) -> io::Result<()> {
        let trial = Trial {
            job: job.to_owned(),
            id: id.to_owned(),
            stage,
        };
        self.put(TRIAL, &serde_json::to_vec(&trial)?)
    }

    fn put(&self, name: &str, content: &[u8]) -> io::Result<()> {
        self.power()?;
        let mut make = fs::DirBuilder::new();
        make.recursive(true).mode(0o700).create(&self.dir)?;
        durable::replace_as(&self.dir.join(name), content, |file| {
            file.set_permissions(fs::Permissions::from_mode(0o600))
        })
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.power()?;
        fs::rename(self.dir.join(from), self.dir.join(to))?;
        File::open(&self.dir)?.sync_all()
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.power()?;
        match fs::remove_file(self.dir.join(name)) {
            Ok(()) => File::open(&self.dir)?.sync_all(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    #[cfg(not(test))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "for tests only"
    )]
    fn power(&self) -> io::Result<()> {
        Ok(())
    }

    #[cfg(test)]
    fn power(&self) -> io::Result<()> {
        use std::sync::atomic::Ordering;
        let Some(power) = &self.power else {
            return Ok(());
        };
        let spend = |left: u32| left.checked_sub(1);
        let left = power.fetch_update(Ordering::SeqCst, Ordering::SeqCst, spend);
        left.map(|_| ())
            .map_err(|_| io::Error::other("the power is gone"))
    }
}

#[cfg(test)]
mod tests;
