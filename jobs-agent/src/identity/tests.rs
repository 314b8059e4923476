use std::{
    fs,
    os::unix::fs::PermissionsExt,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

/// More changes than any story makes.
const CHANGES_MAX: u32 = 40;

fn issue(key: &KeyPair) -> Vec<u8> {
    let params = CertificateParams::new(Vec::new()).unwrap();
    params.self_signed(key).unwrap().pem().into_bytes()
}

fn pair() -> Pair {
    let key = KeyPair::generate().unwrap();
    Pair::new(&issue(&key), key.serialize_pem().as_bytes()).unwrap()
}

struct Device {
    dir: TempDir,
    old: Option<Pair>,
    new: Pair,
}

impl Device {
    /// One whose pair in use is its own, or that of the configuration.
    fn new(rotated_before: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let old = rotated_before.then(pair);
        if let Some(old) = &old {
            Identities::at(dir.path()).put(CURRENT, old.pem()).unwrap();
        }
        Self {
            dir,
            old,
            new: pair(),
        }
    }

    fn with_power(&self, changes: u32) -> (Identities, Arc<AtomicU32>) {
        let power = Arc::new(AtomicU32::new(changes));
        let mut identities = Identities::at(self.dir.path());
        identities.power = Some(Arc::clone(&power));
        (identities, power)
    }

    /// The pair that the next connection is made with.
    fn in_use(&self) -> Option<String> {
        let current = Identities::at(self.dir.path()).current().unwrap();
        current.map(|pair| pair.id)
    }

    fn old_id(&self) -> Option<String> {
        self.old.as_ref().map(|pair| pair.id.clone())
    }
}

fn jobs() -> Vec<String> {
    vec!["rotate".to_owned()]
}

/// A whole rotation: what the handler and the start of the agent do, one after the other.
fn rotate(identities: &Identities, new: &Pair) -> io::Result<()> {
    identities.propose("rotate", new)?;
    if let Next::Probe(_) = identities.next(&jobs())? {
        identities.switch()?;
    }
    identities.next(&jobs())?;
    identities.prove()?;
    identities.end()
}

#[test]
fn a_power_cut_at_any_point_of_a_rotation_leaves_one_whole_pair_and_it_is_finished_later() {
    for rotated_before in [false, true] {
        for changes in 0..CHANGES_MAX {
            let device = Device::new(rotated_before);
            let (identities, power) = device.with_power(changes);
            let done = rotate(&identities, &device.new);
            let in_use = device.in_use();
            let new = Some(device.new.id.clone());
            assert!(in_use == device.old_id() || in_use == new, "{changes}");
            if power.load(Ordering::SeqCst) > 0 {
                done.unwrap();
                assert_eq!(in_use, new);
                let left = fs::read_dir(device.dir.path()).unwrap().count();
                assert_eq!(left, 1, "the old pair is gone");
                assert!(changes > 8, "the story has more changes than that");
                break;
            }
            assert!(changes < CHANGES_MAX - 1, "the story ends");
            // The next life goes on; its job is offered again until it is over.
            let identities = Identities::at(device.dir.path());
            if identities.trial().unwrap().is_none() {
                if identities.current().unwrap().map(|pair| pair.id) == new {
                    continue;
                }
                identities.propose("rotate", &device.new).unwrap();
            }
            if let Next::Probe(_) = identities.next(&jobs()).unwrap() {
                identities.switch().unwrap();
                identities.next(&jobs()).unwrap();
            }
            identities.prove().unwrap();
            identities.end().unwrap();
            assert_eq!(device.in_use(), new, "{changes}");
            assert!(!identities.dir.join(PREVIOUS).exists());
        }
    }
}

#[test]
fn a_power_cut_at_any_point_of_the_way_back_ends_with_the_old_pair() {
    for rotated_before in [false, true] {
        for changes in 0..CHANGES_MAX {
            let device = Device::new(rotated_before);
            let identities = Identities::at(device.dir.path());
            identities.propose("rotate", &device.new).unwrap();
            identities.switch().unwrap();
            assert!(matches!(identities.next(&jobs()), Ok(Next::Watch(_))));
            let (cut, power) = device.with_power(changes);
            let _ = cut.roll_back("no connection");
            if device.in_use() != device.old_id() {
                // Not begun: the new pair is still on trial, and time runs out again.
                assert!(matches!(identities.next(&jobs()), Ok(Next::Watch(_))));
                identities.roll_back("no connection").unwrap();
            }
            assert_eq!(identities.next(&jobs()).unwrap(), Next::Connect);
            assert_eq!(device.in_use(), device.old_id());
            let stage = identities.trial().unwrap().unwrap().stage;
            assert!(matches!(stage, Stage::Refused(_)), "{changes}: {stage:?}");
            if power.load(Ordering::SeqCst) > 0 {
                break;
            }
        }
    }
}

#[test]
fn a_pair_that_brings_the_device_down_at_each_start_is_taken_back() {
    let device = Device::new(true);
    let identities = Identities::at(device.dir.path());
    identities.propose("rotate", &device.new).unwrap();
    identities.switch().unwrap();
    for _ in 0..STARTS_MAX {
        assert!(matches!(identities.next(&jobs()), Ok(Next::Watch(_))));
    }
    assert_eq!(identities.next(&jobs()).unwrap(), Next::Connect);
    assert_eq!(device.in_use(), device.old_id());
}

#[test]
fn a_change_whose_job_is_over_is_taken_back_unless_it_is_proven() {
    let device = Device::new(true);
    let identities = Identities::at(device.dir.path());
    identities.propose("rotate", &device.new).unwrap();
    identities.switch().unwrap();
    assert_eq!(identities.next(&[]).unwrap(), Next::Connect);
    assert_eq!(device.in_use(), device.old_id());
    assert_eq!(identities.trial().unwrap(), None);
    identities.propose("rotate", &device.new).unwrap();
    identities.switch().unwrap();
    identities.prove().unwrap();
    identities.roll_back("too late").unwrap();
    assert_eq!(identities.next(&[]).unwrap(), Next::Connect);
    assert_eq!(device.in_use().unwrap(), device.new.id);
    assert_eq!(identities.trial().unwrap(), None);
}

#[test]
fn what_the_service_was_told_is_what_is_in_use() {
    for (proven, failed, new) in [
        (true, false, true),
        // Proven, and then given up: killed too often, or canceled.
        (true, true, false),
        (false, false, false),
        (false, true, false),
    ] {
        for changes in 0..CHANGES_MAX {
            let device = Device::new(true);
            let identities = Identities::at(device.dir.path());
            identities.propose("rotate", &device.new).unwrap();
            identities.switch().unwrap();
            if proven {
                identities.prove().unwrap();
            }
            assert!(!identities.over("another", true).unwrap());
            let (cut, power) = device.with_power(changes);
            let done = cut.over("rotate", failed);
            if power.load(Ordering::SeqCst) > 0 {
                assert_eq!(done.unwrap(), !new);
                let wanted = if new {
                    Some(device.new.id.clone())
                } else {
                    device.old_id()
                };
                assert_eq!(device.in_use(), wanted);
                assert_eq!(identities.trial().unwrap(), None);
                break;
            }
            // Cut before the first change, and the record of the job is gone: what is proven stays.
            assert_eq!(identities.next(&[]).unwrap(), Next::Connect);
            assert_eq!(identities.trial().unwrap(), None);
            let in_use = device.in_use();
            assert!(in_use == device.old_id() || proven, "{changes}");
        }
    }
}

#[test]
fn a_certificate_finds_its_key_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let identities = Identities::at(dir.path());
    let (requested, configured, foreign) = (
        KeyPair::generate().unwrap(),
        KeyPair::generate().unwrap(),
        KeyPair::generate().unwrap(),
    );
    identities
        .keep_request(requested.serialize_pem().as_bytes())
        .unwrap();
    let configured_pem = configured.serialize_pem().into_bytes();
    let with = |key: &KeyPair| identities.with_key(&issue(key), Some(&configured_pem));
    assert!(with(&requested).is_ok() && with(&configured).is_ok());
    assert!(
        with(&foreign)
            .unwrap_err()
            .contains("no key of this device")
    );
    assert!(identities.with_key(b"no pem", None).is_err());
    let mode = fs::metadata(dir.path().join(REQUEST))
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}
