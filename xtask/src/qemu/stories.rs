//! (a) The job set, end to end: what each job leaves on the board, and at the service.

use std::time::Duration;

use super::{
    bench::Bench,
    device::{Device, Target},
};

/// How long a job may take here.
const JOB_WAIT: Duration = Duration::from_secs(20);

/// A document with this operation, and what follows it.
pub(super) fn document(operation: &str, rest: &str) -> String {
    format!("{{\"operation\":\"{operation}\"{rest}}}")
}

/// What a run of the job set showed.
pub(super) struct Shown {
    /// Jobs that ended as they should.
    pub(super) jobs: u32,
    /// Deepest use of the stack, bytes, as the firmware measured it.
    pub(super) stack: u32,
}

/// Runs the job set on one board, with the broker before the service or without.
pub(super) fn run(bench: &Bench<'_>, target: Target, bridged: bool) -> Result<Shown, String> {
    let mut device = bench.device(target, if bridged { "bridged" } else { "plain" })?;
    if bridged {
        device = device.bridged();
    }
    queued(bench, &device)?;
    let running = device.start(None)?;
    after_start(bench, &device)?;
    cancel(bench, &device)?;
    reboot(bench, &device)?;
    let stack = watch(bench, &device)?;
    drop(running);
    device.is_sound()?;
    Ok(Shown { jobs: 8, stack })
}

/// Jobs that wait for the device before it is switched on.
fn queued(bench: &Bench<'_>, device: &Device) -> Result<(), String> {
    let content = ",\"path\":\"settings.json\",\"content\":\"{\\\"interval\\\":5}\"";
    bench.job(device, "settings", &document("write_file", content))?;
    bench.job(device, "led", &document("set", ",\"led\":1,\"on\":true"))?;
    bench.job(device, "pour", &document("dispense", ",\"portions\":3"))?;
    bench.job(device, "unknown", &document("fly", ""))?;
    let elsewhere = ",\"path\":\"/etc/passwd\",\"content\":\"x\"";
    bench.job(device, "escape", &document("write_file", elsewhere))
}

fn after_start(bench: &Bench<'_>, device: &Device) -> Result<(), String> {
    let end = |job| bench.end(device, job, JOB_WAIT);
    end("settings")?.succeeded()?;
    bench.saw(device, "EFFECT settings 14 bytes", 1)?;
    end("led")?.succeeded()?;
    bench.saw(
        device,
        &format!("EFFECT {} led Second true", bench.name(device, "led")),
        1,
    )?;
    let poured = end("pour")?;
    poured.succeeded()?;
    bench.saw(device, &format!("EFFECT {}", bench.name(device, "pour")), 3)?;
    let unknown = end("unknown")?;
    unknown.is("REJECTED")?;
    if unknown.detail("reason") != Some("unsupported operation") {
        return Err(format!(
            "an unknown operation without its reason: {unknown:?}"
        ));
    }
    end("escape")?.is("REJECTED")
}

/// A job that runs is canceled, and the next one has the device at once.
fn cancel(bench: &Bench<'_>, device: &Device) -> Result<(), String> {
    bench.job(
        device,
        "watch",
        &document("diagnostics", ",\"seconds\":600"),
    )?;
    let name = bench.name(device, "watch");
    let service = bench.service();
    service.await_status(&device.thing, &name, "IN_PROGRESS", JOB_WAIT)?;
    service.cancel(&device.thing, &name)?;
    device.await_line(&format!("NOTE {name} diagnostics stopped"), 1, JOB_WAIT)?;
    bench.end(device, "watch", JOB_WAIT)?.is("CANCELED")
}

/// A reset of the machine, and the self-test in the boot after it.
fn reboot(bench: &Bench<'_>, device: &Device) -> Result<(), String> {
    let boots = device.count("BOOT");
    bench.job(device, "reboot", &document("reboot", ""))?;
    bench.end(device, "reboot", JOB_WAIT)?.succeeded()?;
    let name = bench.name(device, "reboot");
    bench.saw(device, "RESET", 1)?;
    bench.saw(device, &format!("SELFTEST {name} true"), 1)?;
    bench.saw(device, "BOOT", boots + 1)
}

/// The firmware measures its own stack, after all of the above.
fn watch(bench: &Bench<'_>, device: &Device) -> Result<u32, String> {
    bench.job(device, "stack", &document("diagnostics", ",\"seconds\":1"))?;
    let watched = bench.end(device, "stack", JOB_WAIT)?;
    watched.succeeded()?;
    let deepest = watched.number("greatest");
    deepest.ok_or_else(|| format!("no stack was measured: {watched:?}"))
}
