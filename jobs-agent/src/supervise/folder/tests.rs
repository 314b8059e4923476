use super::*;

fn folder() -> (tempfile::TempDir, Folder) {
    let dir = tempfile::tempdir().unwrap();
    let folder = Folder::at(dir.path().join("step"));
    folder.create().unwrap();
    (dir, folder)
}

#[test]
fn each_stage_is_told_from_the_others() {
    let (_dir, folder) = folder();
    assert_eq!(folder.look().unwrap(), Found::Nothing);
    let held = Held::take(folder.path()).unwrap().unwrap();
    assert_eq!(folder.look().unwrap(), Found::Running);
    held.started().unwrap();
    assert_eq!(folder.look().unwrap(), Found::Running);
    drop(held);
    assert_eq!(folder.look().unwrap(), Found::Interrupted);
    folder.remove().unwrap();
    assert_eq!(folder.look().unwrap(), Found::Nothing);
    folder.remove().unwrap();
}

#[test]
fn a_result_is_found_once_the_supervisor_is_gone() {
    let (_dir, folder) = folder();
    let held = Held::take(folder.path()).unwrap().unwrap();
    let result = StepResult::not_started("no such file");
    held.started().unwrap();
    held.finished(&result).unwrap();
    assert_eq!(folder.look().unwrap(), Found::Running);
    drop(held);
    assert_eq!(folder.look().unwrap(), Found::Finished(result));
}

#[test]
fn the_longest_result_takes_no_more_room_than_was_taken_before_the_step() {
    use std::os::unix::fs::MetadataExt;
    let (_dir, folder) = folder();
    let held = Held::take(folder.path()).unwrap().unwrap();
    held.started().unwrap();
    let room = fs::metadata(folder.path().join(ROOM)).unwrap();
    let mut result = StepResult::not_started("no such file");
    result.stdout = "\u{1}".repeat(crate::supervise::TAIL_LEN);
    result.stderr = result.stdout.clone();
    held.finished(&result).unwrap();
    let found = fs::metadata(folder.path().join(RESULT)).unwrap();
    assert_eq!((found.ino(), found.len()), (room.ino(), room.len()));
    drop(held);
    assert_eq!(folder.look().unwrap(), Found::Finished(result));
}

#[test]
fn a_second_supervisor_never_gets_the_step() {
    let (_dir, folder) = folder();
    let first = Held::take(folder.path()).unwrap().unwrap();
    assert!(Held::take(folder.path()).unwrap().is_none());
    first.started().unwrap();
    drop(first);
    assert!(Held::take(folder.path()).unwrap().is_none(), "it was begun");
}

#[test]
fn a_supervisor_that_comes_too_late_finds_no_folder() {
    let (_dir, folder) = folder();
    folder.remove().unwrap();
    assert!(Held::take(folder.path()).is_err());
}

#[test]
fn a_step_that_was_stopped_before_its_supervisor_came_is_never_started() {
    let (_dir, folder) = folder();
    assert!(!folder.stop().unwrap());
    assert!(Held::take(folder.path()).unwrap().is_none());
    assert_eq!(folder.look().unwrap(), Found::Nothing);
}

#[test]
fn nobody_is_stopped_where_nobody_works() {
    let (_dir, folder) = folder();
    drop(Held::take(folder.path()).unwrap());
    // The number in the file may belong to anybody by now.
    assert!(!folder.stop().unwrap());
}
