//! (d) The network is cut around a PUBACK, and the broker dies: sessions are resumed, publishes
//! sent again, and no portion is poured twice.

use std::time::Duration;

use super::{
    bench::Bench,
    cuts::check_poured,
    device::{Device, Target},
    stories::document,
};
use crate::rig::{
    mosquitto::Mosquitto,
    process::until,
    proxy::{Cut, Proxy, Seen},
};

/// How long a job may take with a cut in it: the wait for a reply and a back-off.
const JOB_WAIT: Duration = Duration::from_secs(40);

/// How long a device may take to be connected.
const CONNECT_WAIT: Duration = Duration::from_secs(20);

/// Portions of a job.
const PORTIONS: usize = 2;

/// The publish that asks for the start is the first on this kind of topic, the outcome the next.
const UPDATE: &str = "/update";

/// Cuts each of the publishes of a job in each of the ways, then kills the broker under a job.
pub(super) fn run(
    bench: &Bench<'_>,
    target: Target,
    proxy: &Proxy,
    broker: Option<&mut Mosquitto>,
) -> Result<Seen, String> {
    let mut device = bench.device(target, if broker.is_some() { "cut-mq" } else { "cut" })?;
    if broker.is_some() {
        device = device.bridged();
    }
    let running = device.start(None)?;
    connected(proxy, 1)?;
    for cut in [Cut::BeforeTaken, Cut::BeforePuback, Cut::AfterPuback] {
        let before = proxy.seen();
        proxy.cut(cut, UPDATE);
        pour(bench, &device, &format!("{cut:?}"))?;
        let after = proxy.seen();
        if after.cuts != before.cuts + 1 || after.connects <= before.connects {
            return Err(format!("{cut:?}: no cut was made ({after:?})"));
        }
        if after.resumed == before.resumed {
            return Err(format!("{cut:?}: the session was not resumed"));
        }
        let was_repeated = after.repeated > before.repeated;
        if cut != Cut::AfterPuback && !was_repeated {
            return Err(format!("{cut:?}: the publish was not sent again"));
        }
    }
    if let Some(broker) = broker {
        broker_dies(bench, &device, proxy, broker)?;
    }
    drop(running);
    device.is_sound()?;
    Ok(proxy.seen())
}

/// The broker is killed while a job runs, and comes back without memory of any session.
fn broker_dies(
    bench: &Bench<'_>,
    device: &Device,
    proxy: &Proxy,
    broker: &mut Mosquitto,
) -> Result<(), String> {
    let name = bench.name(device, "broker");
    bench.job(device, "broker", &document("dispense", ",\"portions\":10"))?;
    device.await_line(&format!("EFFECT {name}"), 2, JOB_WAIT)?;
    let connects = proxy.seen().connects;
    broker.kill();
    broker.restart()?;
    connected(proxy, connects + 1)?;
    let ended = bench.end(device, "broker", JOB_WAIT)?;
    ended.succeeded()?;
    check_poured(device, &name, 10, &ended)?;
    // And the next job finds its way as before.
    pour(bench, device, "afterwards")
}

fn pour(bench: &Bench<'_>, device: &Device, job: &str) -> Result<(), String> {
    let pour = document("dispense", &format!(",\"portions\":{PORTIONS}"));
    bench.job(device, job, &pour)?;
    let ended = bench.end(device, job, JOB_WAIT)?;
    let name = bench.name(device, job);
    let faulty = |why| format!("{job}: {why}");
    ended.succeeded().map_err(faulty)?;
    check_poured(device, &name, PORTIONS, &ended).map_err(faulty)?;
    // Without a power cut nothing is uncertain.
    bench.saw(device, &format!("EFFECT {name}"), PORTIONS)
}

fn connected(proxy: &Proxy, connects: u32) -> Result<(), String> {
    let deadline = std::time::Instant::now() + CONNECT_WAIT;
    until(deadline, || {
        (proxy.seen().connects >= connects).then_some(())
    })
    .ok_or_else(|| "the device does not connect".into())
}
