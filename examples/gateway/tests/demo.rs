//! The demonstration as its user sees it: exit code, table, and nothing left behind.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

const GATEWAY: &str = env!("CARGO_BIN_EXE_gateway");

/// How long what has to happen may take before the test counts as hanging.
const HANG: Duration = Duration::from_secs(60);

/// Processes whose command line names this folder: agents of a demonstration in it.
fn processes_of(folder: &Path) -> Vec<u32> {
    let folder = folder.to_str().unwrap().as_bytes();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            let line = fs::read(entry.path().join("cmdline")).ok()?;
            let names_it = line.windows(folder.len()).any(|part| part == folder);
            let is_agent = line.windows(7).any(|part| part == b"\0agent\0");
            (names_it && is_agent).then_some(pid)
        })
        .collect()
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed() < HANG, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A demonstration that has come to its download.
fn in_the_middle(folder: &Path) -> Child {
    let mut demo = Command::new(GATEWAY)
        .args(["demo", "--dir"])
        .arg(folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("download of 1.1.0 from byte 0")));
    // Its later lines have no reader any more: that must not matter either.
    assert_eq!(processes_of(folder).len(), 1);
    demo
}

fn signal(name: &str, pid: u32) {
    let sent = Command::new("kill")
        .args([name, &pid.to_string()])
        .status()
        .unwrap();
    assert!(sent.success());
}

#[test]
fn every_job_ends_as_the_table_says() {
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new(GATEWAY)
        .args(["demo", "--dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}\n{errors}");
    let table: Vec<Vec<&str>> = told
        .lines()
        .skip_while(|line| !line.starts_with("job "))
        .skip(2)
        .take_while(|line| !line.is_empty())
        .map(|line| line.split_whitespace().take(4).collect())
        .collect();
    let row = |job, status| vec![job, status, status, "yes"];
    assert_eq!(
        table,
        [
            row("1-write-file", "SUCCEEDED"),
            row("1b-write-outside", "REJECTED"),
            row("2-update", "SUCCEEDED"),
            row("3-wrong-checksum", "FAILED"),
            row("3b-unfit", "FAILED"),
            row("4-unknown", "REJECTED"),
            row("5-cancel", "CANCELED"),
            row("6-next-job", "SUCCEEDED"),
        ],
        "{told}"
    );
    assert!(told.contains("killed by SIGKILL"));
    let written = fs::read_to_string(dir.path().join("job-files/job-output.txt")).unwrap();
    assert_eq!(written, "Hello from AWS IoT Device Management Jobs!");
    assert!(!dir.path().join("escaped.txt").exists());
    until("the agent to be gone", || {
        processes_of(dir.path()).is_empty()
    });
}

#[test]
fn an_interrupted_demonstration_takes_its_agent_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = in_the_middle(dir.path());
    signal("-TERM", demo.id());
    assert_eq!(demo.wait().unwrap().code(), Some(1));
    until("the agent to be gone", || {
        processes_of(dir.path()).is_empty()
    });
}

#[test]
fn a_killed_demonstration_leaves_no_agent_behind() {
    let dir = tempfile::tempdir().unwrap();
    let mut demo = in_the_middle(dir.path());
    demo.kill().unwrap();
    demo.wait().unwrap();
    until("the agent to be gone", || {
        processes_of(dir.path()).is_empty()
    });
}

#[test]
fn a_folder_in_use_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("thesis.txt"), "keep").unwrap();
    let output = Command::new(GATEWAY)
        .args(["demo", "--dir"])
        .arg(dir.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        errors.contains("is not empty") && errors.contains("name another folder"),
        "{errors}"
    );
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
