//! (e) The agent over mutual TLS: it works behind a broker that proves its name, and tells nothing
//! to any other.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    device::{Device, Target},
    stories::document,
};
use crate::{
    rig::service::Service,
    run::{cargo, root, step, target as built},
};

/// How long a handshake and a job may take: the processor is emulated, and shared with other tests.
const WAIT: Duration = Duration::from_secs(60);

/// A name that the service's certificate is for.
const HOST: &str = "localhost";

/// Builds the firmware with the service's CA and a device's identity in it.
pub(super) fn build(target: Target, service: &Service) -> Result<(), String> {
    let target_args = ["--locked", "-p", "qemu-mtls", "--target", target.triple];
    let args = [["build", "--release"].as_slice(), &target_args].concat();
    let mut build = cargo(&args);
    let folder = built().join("qemu");
    let pki = service.pki();
    build
        .current_dir(root().join("examples/qemu-cortex-m"))
        .env("CARGO_TARGET_DIR", &folder)
        .env("CA_PEM", &pki.ca)
        .env("CERT_PEM", &pki.cert)
        .env("KEY_PEM", &pki.key);
    let name = format!("build the firmware with TLS for {}", target.triple);
    step(&name, &mut build)?;
    let image = folder.join(target.triple).join("release/qemu-mtls");
    let kept = firmware(target);
    fs::copy(&image, &kept).map_err(|error| format!("{}: {error}", image.display()))?;
    Ok(())
}

fn firmware(target: Target) -> PathBuf {
    built().join("qemu").join(format!("mtls-{}", target.triple))
}

/// A job behind the broker; then the same firmware before a broker that has another name, and
/// before one that has its certificate from another CA of the same name.
pub(super) fn run(
    target: Target,
    service: &Service,
    program: &Path,
    folder: &Path,
) -> Result<String, String> {
    let device = |thing: &str, at: &Service, host: &str| {
        let thing = format!("{}-{thing}", target.machine);
        at.create_thing(&thing)?;
        at.create_job(&thing, &thing, &document("set", ",\"on\":true"))?;
        let device = Device::new(target, &firmware(target), folder, &thing, at.mqtts())?;
        Ok::<_, String>(device.with(format!("host={host}")))
    };
    let mut known = device("tls", service, HOST)?;
    let running = known.start(None)?;
    let thing = known.thing.clone();
    let job = service
        .await_end(&thing, &thing, WAIT)
        .map_err(|why| format!("{why}\n{}", known.console().join("\n")))?;
    job.succeeded()?;
    known.await_line("EFFECT led true", 1, WAIT)?;
    let stack = known
        .number_behind("TLS open, stack ")
        .ok_or("no handshake")?;
    drop(running);
    known.is_sound()?;

    let stranger = Service::start(program)?;
    for (at, host, why) in [
        (
            service,
            "broker.example.com",
            "certificate for another host",
        ),
        (&stranger, HOST, "wrong signature"),
    ] {
        let mut refusing = device("refusing", at, host)?;
        let running = refusing.start(None)?;
        refusing.await_line(&format!("TLS server refused: {why}"), 1, WAIT)?;
        drop(running);
        at.execution(&refusing.thing, &refusing.thing)?
            .is("QUEUED")?;
        refusing.is_sound()?;
    }
    Ok(format!("a job done, 2 brokers refused, stack {stack} B"))
}
