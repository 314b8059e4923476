//! `cargo xtask chaos`: the program `jobs-agent` is killed and cut off again and again while it does
//! jobs, and an outside observer counts what came of each.
//!
//! What the steps of a job do is counted by their own marks in a file, what is reported by the
//! service's own books. Against the emulator and against mosquitto before it, both with mutual TLS;
//! the faults of the network also without TLS, so that they reach the MQTT client.

mod device;
mod faults;
mod jobs;
mod kills;
mod memory;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use self::device::Device;
use crate::{
    packages,
    rig::{
        dice::Dice,
        mosquitto::Mosquitto,
        relay::Framing,
        service::{Pki, Service},
        table::Table,
        weather::Weather,
    },
    run::{cargo, step, target},
};

/// What the machine has to have, and where Debian has it.
const PROGRAMS: [packages::Program; 2] = [("mosquitto", "mosquitto"), ("setpriv", "util-linux")];

/// How much is done.
#[derive(Clone, Copy, Debug)]
struct Plan {
    /// Kills on each way to the service.
    kills: u32,
    /// Kills while the network fails, too.
    storm: u32,
    /// Rounds of all faults of the network.
    rounds: u32,
    /// Whether the program is the one that ships: its build alone takes minutes.
    ships: bool,
}

/// What CI runs.
const SHORT: Plan = Plan {
    kills: 20,
    storm: 0,
    rounds: 1,
    ships: false,
};

/// What a release wants.
const LONG: Plan = Plan {
    kills: 200,
    storm: 100,
    rounds: 6,
    ships: true,
};

/// How long one more job may take before it counts as lost: a keep-alive, a time-out of a request
/// and a wait, several times over.
const PATIENCE: Duration = Duration::from_secs(120);

const USAGE: &str = "chaos takes [--long] [--seed N], or --memory";

/// Runs everything, or measures the idle program alone.
///
/// # Errors
/// A job was lost, or something was done twice; or an argument is unknown.
pub(crate) fn all(arguments: &[String]) -> Result<(), String> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (plan, seed) = match *words {
        ["--memory"] => return memory::all(),
        [] => (SHORT, None),
        ["--long"] => (LONG, None),
        ["--seed", seed] => (SHORT, Some(seed)),
        ["--long", "--seed", seed] => (LONG, Some(seed)),
        _ => return Err(USAGE.to_owned()),
    };
    let seed = seed.map_or_else(|| Ok(moment()), |seed| seed.parse().map_err(|_| USAGE))?;
    packages::bring_in(&PROGRAMS)?;
    let agent = if plan.ships {
        build_shipped()?
    } else {
        build_agent()?
    };
    let folder = folder()?;
    let service = Service::start(&build_emulator()?)?;
    println!("\nchaos: seed {seed}");
    let table = Route::all().into_iter().enumerate();
    let table = std::thread::scope(|scope| {
        // Waiting is most of it: all at once.
        let routes: Vec<_> = table
            .map(|(nth, route)| {
                let (agent, folder, service) = (&agent, &folder, &service);
                let dice = Dice::new(seed.wrapping_add(nth as u64));
                scope.spawn(move || route.run(plan, agent, folder, service, dice))
            })
            .collect();
        let mut table = Table::default();
        for route in routes {
            match route.join() {
                Ok(rows) => table.append(rows),
                Err(_) => table.attempt("", "a test panicked", || Err(String::new())),
            }
        }
        table
    });
    table.conclude()?;
    if plan.ships { memory::all() } else { Ok(()) }
}

/// The program as packages have it.
///
/// # Errors
/// It does not build.
pub(crate) fn build_shipped() -> Result<PathBuf, String> {
    memory::build(&memory::SHIPPED)
}

/// A number that differs from run to run; printed, so that a run can be repeated as far as the
/// machine's own timing can be.
fn moment() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(1, |now| u64::from(now.subsec_nanos()) ^ now.as_secs())
}

/// The program as the tests have it built: with these very features, so that nothing is built twice.
fn build_agent() -> Result<PathBuf, String> {
    let args = [
        "test",
        "--no-run",
        "--locked",
        "-p",
        "jobs-agent",
        "--all-features",
    ];
    let args = [&args[..], &["--test", "program"]].concat();
    step("chaos: the program", &mut cargo(&args))?;
    Ok(target().join("debug/jobs-agent"))
}

fn build_emulator() -> Result<PathBuf, String> {
    let args = ["build", "--locked", "-p", "jobs-emulator"];
    step("chaos: the service", &mut cargo(&args))?;
    Ok(target().join("debug/jobs-emulator"))
}

/// An empty folder for everything that devices keep.
fn folder() -> Result<PathBuf, String> {
    let folder = target().join("chaos");
    // What an earlier run left.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder)
}

/// What happens, and on which way to the service.
#[derive(Clone, Copy, Debug)]
struct Route {
    /// Also the name of the thing.
    name: &'static str,
    what: &'static str,
    mosquitto: bool,
    tls: bool,
    work: Work,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Kills,
    Faults,
    Storm,
}

impl Route {
    fn all() -> [Self; 5] {
        let route = |name, what, mosquitto, tls, work| Self {
            name,
            what,
            mosquitto,
            tls,
            work,
        };
        let (kills, faults) = ("kills, mutual TLS", "network faults, mutual TLS");
        let storm = "kills and network faults";
        [
            route("emulator", kills, false, true, Work::Kills),
            route("mosquitto", kills, true, true, Work::Kills),
            route(
                "emulator-net",
                "network faults, no TLS",
                false,
                false,
                Work::Faults,
            ),
            route("mosquitto-net", faults, true, true, Work::Faults),
            route("mosquitto-storm", storm, true, true, Work::Storm),
        ]
    }

    fn run(
        self,
        plan: Plan,
        agent: &Path,
        folder: &Path,
        service: &Service,
        mut dice: Dice,
    ) -> Table {
        let mut table = Table::default();
        if self.work == Work::Storm && plan.storm == 0 {
            return table;
        }
        table.attempt(self.name, self.what, || {
            let mosquitto = self.mosquitto(folder, service)?;
            let broker = match &mosquitto {
                Some(mosquitto) => mosquitto.address(),
                None if self.tls => service.mqtts(),
                None => service.mqtt(),
            };
            let weather = self.weather(broker, &mut dice)?;
            let address = weather.as_ref().map_or(broker, Weather::address);
            let pki: Option<&Pki> = self.tls.then(|| service.pki());
            let mut device = Device::new(
                service,
                folder,
                self.name,
                agent,
                address,
                pki,
                self.mosquitto,
            )?;
            match (self.work, &weather) {
                (Work::Faults, Some(weather)) => {
                    faults::run(&mut device, plan.rounds, &mut dice, weather)
                }
                (Work::Storm, weather) => {
                    kills::run(&mut device, plan.storm, &mut dice, weather.as_ref())
                }
                (Work::Kills | Work::Faults, _) => {
                    kills::run(&mut device, plan.kills, &mut dice, None)
                }
            }
        });
        table
    }

    fn mosquitto(self, folder: &Path, service: &Service) -> Result<Option<Mosquitto>, String> {
        if !self.mosquitto {
            return Ok(None);
        }
        let folder = folder.join(format!("{}-broker", self.name));
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        Mosquitto::start_mtls(&folder, service.mqtt(), service.pki()).map(Some)
    }

    fn weather(self, broker: SocketAddr, dice: &mut Dice) -> Result<Option<Weather>, String> {
        if self.work == Work::Kills {
            return Ok(None);
        }
        let framing = if self.tls {
            Framing::Tls
        } else {
            Framing::Mqtt
        };
        Weather::start(broker, framing, dice.below(u64::MAX)).map(Some)
    }
}
