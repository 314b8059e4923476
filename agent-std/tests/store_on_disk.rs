//! The file store on a real directory.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use agent_std::store::{AsyncStore, FileStore, MAX_RECORD_BYTES, RecordStore, StoreError};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn records_are_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = FileStore::open(dir.path()).unwrap();
    assert_eq!(store.load_all().unwrap(), []);
    store.save(10, b"ten").unwrap();
    store.save(2, b"two").unwrap();
    store.save(2, b"").unwrap();
    store.save(3, b"three").unwrap();
    store.erase(3).unwrap();
    store.erase(3).unwrap();
    drop(store);
    let mut store = FileStore::open(dir.path()).unwrap();
    assert_eq!(
        store.load_all().unwrap(),
        [(2, Vec::new()), (10, b"ten".to_vec())]
    );
}

#[test]
fn a_directory_is_for_one_thing_as_long_as_it_holds_records() {
    let dir = tempfile::tempdir().unwrap();
    // From before the name was written down.
    let mut store = FileStore::open(dir.path()).unwrap();
    store.save(0, b"one").unwrap();
    drop(store);
    drop(FileStore::open_for(dir.path(), "pump-17").unwrap());
    let error = FileStore::open_for(dir.path(), "pump-18").unwrap_err();
    assert!(error.to_string().contains("thing `pump-17`"), "{error}");
    let mut store = FileStore::open_for(dir.path(), "pump-17").unwrap();
    assert_eq!(store.load_all().unwrap(), [(0, b"one".to_vec())]);
    store.erase(0).unwrap();
    drop(store);
    drop(FileStore::open_for(dir.path(), "pump-18").unwrap());
    assert_eq!(fs::read(dir.path().join("thing")).unwrap(), b"pump-18");
}

#[test]
fn a_second_owner_is_refused_and_told_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let first = FileStore::open(dir.path()).unwrap();
    let error = FileStore::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }));
    assert!(error.to_string().contains("stop it"), "{error}");
    drop(first);
    FileStore::open(dir.path()).unwrap();
}

#[test]
fn only_the_owner_may_read_what_is_stored() {
    let parent = tempfile::tempdir().unwrap();
    let dir = parent.path().join("jobs").join("agent");
    let mut store = FileStore::open(&dir).unwrap();
    store.save(0, b"secret").unwrap();
    assert_eq!(mode(&dir), 0o700);
    assert_eq!(mode(&dir.join("slot-0.rec")), 0o600);
    assert_eq!(mode(&dir.join("lock")), 0o600);
}

#[test]
fn what_a_killed_process_left_behind_is_removed_and_the_record_is_the_old_one() {
    let dir = tempfile::tempdir().unwrap();
    FileStore::open(dir.path())
        .unwrap()
        .save(0, b"whole")
        .unwrap();
    fs::write(dir.path().join("slot-0.tmp"), b"to").unwrap();
    fs::write(dir.path().join("slot-1.tmp"), b"").unwrap();
    let mut store = FileStore::open(dir.path()).unwrap();
    assert_eq!(store.load_all().unwrap(), [(0, b"whole".to_vec())]);
    assert!(!dir.path().join("slot-0.tmp").exists());
    assert!(!dir.path().join("slot-1.tmp").exists());
}

#[test]
fn files_of_others_are_neither_read_nor_removed() {
    let dir = tempfile::tempdir().unwrap();
    let others = [
        "notes.txt",
        "slot-x.rec",
        "slot-07.rec",
        "slot-256.rec",
        "slot-1.tmp.bak",
    ];
    for name in others {
        fs::write(dir.path().join(name), b"?").unwrap();
    }
    assert_eq!(FileStore::open(dir.path()).unwrap().load_all().unwrap(), []);
    for name in others {
        assert!(dir.path().join(name).exists(), "{name}");
    }
}

#[test]
fn a_record_beyond_the_limit_is_refused_and_the_old_one_stays() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = FileStore::open(dir.path()).unwrap();
    let largest = vec![1; MAX_RECORD_BYTES];
    store.save(0, &largest).unwrap();
    let error = store.save(0, &vec![2; MAX_RECORD_BYTES + 1]).unwrap_err();
    assert!(matches!(error, StoreError::TooLarge { .. }));
    assert_eq!(store.load_all().unwrap(), [(0, largest)]);
    fs::write(dir.path().join("slot-1.rec"), vec![0; MAX_RECORD_BYTES + 1]).unwrap();
    assert!(matches!(store.load_all(), Err(StoreError::Foreign { .. })));
}

#[test]
fn a_directory_that_cannot_be_written_is_named_with_advice() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o500)).unwrap();
    let path = dir.path().join("store");
    if fs::create_dir(&path).is_ok() {
        // Permissions do not stop this user (root): use a place that stops everybody.
        let error = FileStore::open("/proc/jobs-agent").unwrap_err();
        assert!(error.to_string().contains("/proc/jobs-agent"), "{error}");
        return;
    }
    let error = FileStore::open(&path).unwrap_err();
    assert!(matches!(error, StoreError::Denied { .. }), "{error:?}");
    let text = error.to_string();
    assert!(
        text.contains("writable for the user") && text.contains("store"),
        "{text}"
    );
}

#[tokio::test]
async fn after_closing_the_directory_is_free_and_complete() {
    let dir = tempfile::tempdir().unwrap();
    let store = AsyncStore::new(FileStore::open(dir.path()).unwrap()).unwrap();
    for number in 0..20_u8 {
        drop(store.save(0, vec![number]));
    }
    store.close().await;
    assert_eq!(
        FileStore::open(dir.path()).unwrap().load_all().unwrap(),
        [(0, vec![19])]
    );
}
