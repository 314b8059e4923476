//! The power is cut between any two operations; the store is opened on every disk that may remain.

use std::collections::{BTreeMap, BTreeSet};

use super::Files;
use super::volatile::VolatileFs;

type Records = BTreeMap<u8, Vec<u8>>;
type Step = (u8, Option<&'static str>);

const SCRIPT: [Step; 9] = [
    (0, Some("first record")),
    (0, Some("a second, longer record")),
    (3, Some("of another slot")),
    (0, None),
    (0, None),
    (3, Some("x")),
    (0, Some("")),
    (3, None),
    (0, Some("last")),
];

/// How often the power was cut, how many disks may remain of that, and what was wrong on them.
#[derive(Debug, Default)]
struct Findings {
    cuts: usize,
    disks: usize,
    wrong: BTreeSet<String>,
}

/// Runs the script until the power goes, and looks at every disk that may remain.
/// Returns whether the power lasted for the whole script.
fn run(disk: VolatileFs, script: &[Step], mut before: Records, findings: &mut Findings) -> bool {
    let Ok(mut files) = Files::open(disk) else {
        return false;
    };
    let mut after = before.clone();
    let mut survived = true;
    for &(slot, record) in script {
        let done = match record {
            Some(record) => {
                after.insert(slot, record.as_bytes().to_vec());
                files.save(slot, record.as_bytes())
            }
            None => {
                after.remove(&slot);
                files.erase(slot)
            }
        };
        if done.is_err() {
            survived = false;
            break;
        }
        before = after.clone();
    }
    findings.cuts += 1;
    for disk in files.fs.after_power_cut() {
        findings.disks += 1;
        let mut reopened = Files::open(disk).unwrap();
        let found: Records = reopened.load_all().unwrap().into_iter().collect();
        if found != before && found != after {
            findings
                .wrong
                .insert(format!("{found:?}, expected {before:?} or {after:?}"));
        }
        let left = reopened.fs.names_with(".tmp");
        assert!(
            left.is_empty(),
            "temporary files left after opening: {left:?}"
        );
    }
    survived
}

fn cut_everywhere(disk: &VolatileFs, script: &[Step], records: &Records) -> Findings {
    let mut findings = Findings::default();
    for power_for in 0.. {
        let disk = VolatileFs {
            power_for: Some(power_for),
            ..disk.clone()
        };
        if run(disk, script, records.clone(), &mut findings) {
            break;
        }
    }
    findings
}

#[test]
fn after_any_power_cut_each_slot_has_its_old_or_its_new_record() {
    let findings = cut_everywhere(&VolatileFs::default(), &SCRIPT, &Records::new());
    assert!(findings.wrong.is_empty(), "{findings:#?}");
    println!(
        "file store cuts: {} cuts, {} disks",
        findings.cuts, findings.disks
    );
    // Six saves of five operations, three erasures of two, and the end: no cut was left out.
    assert_eq!(findings.cuts, 6 * 5 + 3 * 2 + 1);
    assert!(
        findings.disks > 3 * findings.cuts,
        "only {} disks",
        findings.disks
    );
}

/// The first cut falls anywhere in the script, also between the two steps of an erasure; the
/// second anywhere in the life after it, on every disk that may remain.
#[test]
fn a_second_power_cut_after_the_first_changes_nothing_of_that() {
    let (mut firsts, mut pairs, mut disks) = (0, 0, 0);
    for first_cut in 0.. {
        let first = VolatileFs {
            power_for: Some(first_cut),
            ..VolatileFs::default()
        };
        let mut files = Files::open(first).unwrap();
        let mut done = |&(slot, record): &Step| match record {
            Some(record) => files.save(slot, record.as_bytes()).is_ok(),
            None => files.erase(slot).is_ok(),
        };
        let survived = SCRIPT.iter().all(&mut done);
        for disk in files.fs.after_power_cut() {
            let records = Files::open(disk.clone()).unwrap().load_all().unwrap();
            let findings = cut_everywhere(&disk, &SCRIPT, &records.into_iter().collect());
            assert!(findings.wrong.is_empty(), "{findings:#?}");
            pairs += findings.cuts;
            disks += findings.disks;
        }
        firsts += 1;
        if survived {
            break;
        }
    }
    println!("file store cuts: {firsts} first cuts, {pairs} pairs, {disks} disks");
    assert_eq!(firsts, 6 * 5 + 3 * 2 + 1);
}

// Short scripts here: what is never synced multiplies the disks.

#[test]
fn these_tests_notice_a_missing_sync_of_the_file() {
    let careless = VolatileFs {
        skip_file_sync: true,
        ..VolatileFs::default()
    };
    assert!(
        !cut_everywhere(&careless, &SCRIPT[..2], &Records::new())
            .wrong
            .is_empty()
    );
}

#[test]
fn these_tests_notice_a_missing_sync_of_the_directory() {
    let careless = VolatileFs {
        skip_dir_sync: true,
        ..VolatileFs::default()
    };
    assert!(
        !cut_everywhere(&careless, &SCRIPT[..2], &Records::new())
            .wrong
            .is_empty()
    );
    let erasing = [(0, Some("record")), (0, None)];
    assert!(
        !cut_everywhere(&careless, &erasing, &Records::new())
            .wrong
            .is_empty()
    );
}
