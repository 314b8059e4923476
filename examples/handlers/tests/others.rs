//! The handlers that are done in one go.

mod support;

use std::cell::RefCell;

use handlers::{Diagnostics, Files, Probe, Reboot, RelativePath, WriteFile};
use jobs_agent_core::{
    Checkpoint, JobHandler, NoRoute, OperationTag, Outcome, Refusal, StopReason,
};
use support::{Device, detail, drive, offer, refusal};

#[derive(Default)]
struct Disk {
    written: RefCell<Vec<(String, Vec<u8>)>>,
    full: bool,
}

impl Files for &Disk {
    type Error = &'static str;

    async fn replace(&self, path: &RelativePath, content: &[u8]) -> Result<(), &'static str> {
        if self.full {
            return Err("no space left");
        }
        self.written
            .borrow_mut()
            .push((path.as_str().to_owned(), content.to_vec()));
        Ok(())
    }
}

fn write(path: &str, content: &str) -> String {
    format!(r#"{{"operation":"write_file","path":{path},"content":{content}}}"#)
}

#[test]
fn a_file_is_written_with_its_escapes_resolved() {
    let disk = Disk::default();
    let handler = WriteFile::<_>::new(&disk);
    let document = write(r#""a\/b.txt""#, r#""one\ntwo \u00e9""#);
    let (_, plan) = handler.plan(&offer(&document)).unwrap();
    let outcome = drive(handler.run(plan, &mut Device::new(0))).unwrap();
    assert_eq!(detail(&outcome, "path").as_deref(), Some("a/b.txt"));
    assert_eq!(detail(&outcome, "bytes").as_deref(), Some("10"));
    let written = disk.written.borrow();
    assert_eq!(
        *written,
        [("a/b.txt".to_owned(), "one\ntwo é".as_bytes().to_vec())]
    );
}

#[test]
fn documents_that_name_no_file_or_no_text_are_refused_in_words() {
    let disk = Disk::default();
    let handler = WriteFile::<_, 8>::new(&disk);
    for (document, named) in [
        (write(r#""../x""#, r#""y""#), "`path`: must stay inside"),
        (
            write(r#""\u002e\u002e/x""#, r#""y""#),
            "`path`: must stay inside",
        ),
        (
            write(r#""/etc/passwd""#, r#""y""#),
            "`path`: must be relative",
        ),
        (write(r#""..\\x""#, r#""y""#), "`path`: has a backslash"),
        (write(r#""a\u0000b""#, r#""y""#), "`path`: has a backslash"),
        (write(r#""""#, r#""y""#), "`path`: name a file"),
        (write("7", r#""y""#), "`path` must be a string"),
        (
            write(&format!("\"{}\"", "x".repeat(129)), r#""y""#),
            "`path` is longer than 128",
        ),
        (write(r#""x""#, "{}"), "`content` must be a string"),
        (
            write(r#""x""#, r#""123456789""#),
            "`content` is longer than 8",
        ),
        (r#"{"path":"x"}"#.to_owned(), "`content` is missing"),
        (
            r#"{"path":"x","path":"y","content":""}"#.to_owned(),
            "`path` is missing, or there twice",
        ),
    ] {
        let reason = refusal(&handler, &document);
        assert!(reason.starts_with(named), "{document}: {reason}");
    }
    assert!(disk.written.borrow().is_empty());
}

#[test]
fn a_full_disk_fails_the_job_with_its_reason() {
    let disk = Disk {
        full: true,
        ..Disk::default()
    };
    let handler = WriteFile::<_>::new(&disk);
    let (_, plan) = handler.plan(&offer(&write(r#""x""#, r#""y""#))).unwrap();
    let outcome = drive(handler.run(plan, &mut Device::new(0))).unwrap();
    assert!(matches!(outcome, Outcome::Failed(_)));
    assert_eq!(
        detail(&outcome, "reason").as_deref(),
        Some("could not write x: no space left")
    );
}

#[test]
fn a_job_canceled_before_its_turn_writes_nothing() {
    let (disk, device) = (Disk::default(), Device::new(0));
    let handler = WriteFile::<_>::new(&disk);
    let (_, plan) = handler.plan(&offer(&write(r#""x""#, r#""y""#))).unwrap();
    device.0.stop.set(Some(StopReason::Canceled));
    drive(handler.run(plan, &mut device.clone())).unwrap();
    assert!(disk.written.borrow().is_empty());
}

struct Thermometer(RefCell<Vec<Result<i32, &'static str>>>);

impl Probe for Thermometer {
    type Error = &'static str;

    fn name(&self) -> &'static str {
        "die-celsius"
    }

    async fn sample(&self) -> Result<i32, &'static str> {
        self.0.borrow_mut().pop().unwrap()
    }
}

#[test]
fn diagnostics_report_least_greatest_and_mean() {
    let device = Device::new(0);
    let probe = Thermometer(RefCell::new(vec![Ok(30), Ok(-10), Ok(20), Ok(60)]));
    let handler = Diagnostics::new(probe, device.clone());
    let (_, plan) = handler.plan(&offer(r#"{"seconds":4}"#)).unwrap();
    let outcome = drive(handler.run(plan, &mut device.clone())).unwrap();
    for (key, value) in [
        ("probe", "die-celsius"),
        ("samples", "4"),
        ("least", "-10"),
        ("greatest", "60"),
        ("mean", "25"),
    ] {
        assert_eq!(detail(&outcome, key).as_deref(), Some(value), "{key}");
    }
    let reports = device.0.reports.borrow();
    let first: Vec<_> = reports[0].iter().collect();
    assert_eq!(first, [("progress", "25"), ("latest", "60")]);
}

#[test]
fn a_cancel_ends_diagnostics_within_a_pause() {
    let device = Device::new(0);
    let handler = Diagnostics::new(Thermometer(RefCell::new(vec![Ok(1)])), device.clone());
    let (_, plan) = handler.plan(&offer(r#"{"seconds":600}"#)).unwrap();
    device.0.stop.set(Some(StopReason::Canceled));
    // A second sample would panic.
    drive(handler.run(plan, &mut device.clone())).unwrap();
    assert_eq!(
        *device.0.notes.borrow(),
        ["diagnostics stopped after 1 s: Canceled"]
    );
}

#[test]
fn a_probe_that_fails_fails_the_job() {
    let device = Device::new(0);
    let handler = Diagnostics::new(Thermometer(RefCell::new(vec![Err("i2c")])), device.clone());
    let (_, plan) = handler.plan(&offer("{}")).unwrap();
    let outcome = drive(handler.run(plan, &mut device.clone())).unwrap();
    assert_eq!(
        detail(&outcome, "reason").as_deref(),
        Some("no die-celsius: i2c")
    );
    assert!(refusal(&handler, r#"{"seconds":3601}"#).contains("from 1 to 3600"));
}

#[test]
fn a_reboot_succeeds_only_after_the_reset() {
    let mut device = Device::new(0);
    let (tag, ()) = Reboot.plan(&offer("{}")).unwrap();
    let Some(Outcome::Reboot(checkpoint)) = drive(Reboot.run((), &mut device)) else {
        panic!("no reboot wanted");
    };
    assert!(!checkpoint.needs_document());
    let after = drive(Reboot.resume(tag, &checkpoint, None, &mut device));
    assert_eq!(after, Some(Outcome::succeeded()));
    let foreign = Checkpoint::new(&[]).unwrap();
    let after = drive(Reboot.resume(tag, &foreign, None, &mut device)).unwrap();
    assert!(matches!(after, Outcome::Failed(_)));
}

#[test]
fn the_handlers_stand_side_by_side_and_leave_other_operations_alone() {
    let (disk, device) = (Disk::default(), Device::new(0));
    let handlers = NoRoute
        .on(handlers::operation::WRITE_FILE, WriteFile::<_>::new(&disk))
        .on(handlers::operation::FIRMWARE_UPDATE, device.handler())
        .on(handlers::operation::REBOOT, Reboot);
    let (tag, plan) = handlers.plan(&offer(&write(r#""x""#, r#""y""#))).unwrap();
    assert_eq!(tag, OperationTag::of("write_file"));
    drive(handlers.run(plan, &mut device.clone())).unwrap();
    assert_eq!(disk.written.borrow().len(), 1);
    let update = device.document();
    let (tag, plan) = handlers.plan(&offer(&update)).unwrap();
    assert_eq!(handlers.policy(tag, &plan).time_limit_ms, Some(300_000));
    let refused = handlers
        .plan(&offer(r#"{"operation":"selfDestruct"}"#))
        .map(|_| ());
    assert_eq!(refused, Err(Refusal::Unknown));
}
