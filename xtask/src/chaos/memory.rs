//! What the idle program costs, beside what is published of other agents.

use std::{
    fs,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use super::{PATIENCE, build_emulator, device::Device, folder};
use crate::{
    rig::service::Service,
    run::{captured, cargo, command, step, target},
};

/// A way to build the program.
pub(super) struct Build {
    name: &'static str,
    triple: Option<&'static str>,
    flags: &'static str,
}

/// As packages have it. Relocations are packed: unpacked they are 133 KiB that are read once, at
/// the start, and stay. The program then wants glibc 2.36 (2022), which the loader checks.
pub(super) const SHIPPED: Build = Build {
    name: "glibc",
    triple: None,
    flags: "-C link-arg=-Wl,-z,pack-relative-relocs",
};

/// For any Linux: one file that needs nothing. Not relocated at start, so that its constants stay
/// clean pages of the file.
const STATIC: Build = Build {
    name: "musl, static",
    triple: Some("x86_64-unknown-linux-musl"),
    flags: "-C relocation-model=static",
};

/// The profile of the program as it ships; also the name of its folder.
const PROFILE: &str = "gateway";

/// How long the idle agent rests before its memory is looked at.
const REST: Duration = Duration::from_secs(3);

/// The goal for the proportional set size with TLS, KiB: four million bytes.
const PSS_MAX_KIB: u64 = 3_906;

/// What others publish; not measured here.
const PUBLISHED: [(&str, &str); 2] = [
    (
        "Greengrass nucleus lite: deployment and MQTT daemons",
        "7.1 MB",
    ),
    ("thin-edge.io: agent", "about 8 MiB"),
];

/// Builds the program and gives its path.
pub(super) fn build(build: &Build) -> Result<PathBuf, String> {
    let mut args = vec!["build", "--locked", "--profile", PROFILE];
    args.extend(["-p", "jobs-agent", "--bin", "jobs-agent"]);
    let mut folder = target();
    if let Some(triple) = build.triple {
        args.extend(["--target", triple]);
        folder.push(triple);
    }
    let mut cargo = cargo(&args);
    cargo.env("RUSTFLAGS", build.flags);
    step(
        &format!("chaos: the program as it ships ({})", build.name),
        &mut cargo,
    )?;
    Ok(folder.join(PROFILE).join("jobs-agent"))
}

/// Whether the static program can be built here.
fn has_static() -> bool {
    let Some(triple) = STATIC.triple else {
        return false;
    };
    let add = captured(&mut command("rustup", &["target", "add", triple]));
    let compiler = captured(&mut command("musl-gcc", &["--version"]));
    [add, compiler]
        .into_iter()
        .all(|output| output.is_ok_and(|output| output.status.success()))
}

/// Measures each build and prints the table.
///
/// # Errors
/// Something cannot be built or measured.
pub(super) fn all() -> Result<(), String> {
    let mut builds = vec![(&SHIPPED, build(&SHIPPED)?)];
    if has_static() {
        builds.push((&STATIC, build(&STATIC)?));
    } else {
        println!("no static build: it wants the target's standard library and musl-tools");
    }
    let service = Service::start(&build_emulator()?)?;
    let folder = folder()?;
    let mut lines = Vec::new();
    let mut shipped_kib = 0;
    for (build, agent) in &builds {
        let idle = measure(agent, build.triple.unwrap_or("gnu"), &folder, &service)?;
        if build.triple.is_none() {
            shipped_kib = idle.pss_kib;
        }
        lines.push(format!(
            "{:<56} {:>6} KiB  {:>10}  {:>4} ms",
            format!("jobs-agent, {}, mutual TLS", build.name),
            idle.pss_kib,
            idle.binary_len,
            idle.first_job_ms
        ));
        lines.push(format!("  of it {}", idle.parts));
    }
    println!(
        "\n{:<56} {:>10}  {:>10}  start to first job accepted",
        "idle", "PSS", "binary, B"
    );
    lines.iter().for_each(|line| println!("{line}"));
    for (name, published) in PUBLISHED {
        println!("{:<56} {published:>10}  (published)", name);
    }
    let verdict = if shipped_kib > PSS_MAX_KIB {
        "not reached"
    } else {
        "reached"
    };
    println!("goal: 4 MB ({PSS_MAX_KIB} KiB) with TLS, as packages have it: {verdict}");
    Ok(())
}

struct Idle {
    pss_kib: u64,
    /// The largest parts of it.
    parts: String,
    binary_len: u64,
    first_job_ms: u128,
}

fn measure(agent: &Path, thing: &str, folder: &Path, service: &Service) -> Result<Idle, String> {
    let (mqtts, pki) = (service.mqtts(), service.pki());
    let mut device = Device::new(service, folder, thing, agent, mqtts, Some(pki), false)?;
    make_plain(&device)?;
    let first_job_ms = first_job_ms(&mut device)?;
    // A process of its own: the first one has done something.
    device.kill();
    device.start()?;
    device.live(REST)?;
    let process_id = device.process_id().ok_or("no agent")?;
    let read = |name: &str| {
        let path = format!("/proc/{process_id}/{name}");
        fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))
    };
    let pss_kib = pss(&read("smaps_rollup")?);
    let parts = parts(&read("smaps")?);
    let binary_len = fs::metadata(agent)
        .map_err(|error| error.to_string())?
        .len();
    Ok(Idle {
        pss_kib,
        parts,
        binary_len,
        first_job_ms,
    })
}

/// Takes out of the configuration what only the other tests need: files without number, and jobs at
/// the same time.
fn make_plain(device: &Device<'_>) -> Result<(), String> {
    let path = device.path("config.toml");
    let fault = |error: std::io::Error| error.to_string();
    let text = fs::read_to_string(&path).map_err(fault)?;
    let (plain, _) = text.split_once("[config_push").ok_or("no pushed files")?;
    fs::write(&path, plain.replace("jobs = 4\n", "jobs = 1\n")).map_err(fault)
}

/// From the start of the process to the service's word that a job is in progress.
fn first_job_ms(device: &mut Device<'_>) -> Result<u128, String> {
    let job = format!("{}-first", device.thing);
    let document = "{\"version\":\"1.0\",\"steps\":[{\"action\":{\"name\":\"s\",\
        \"type\":\"runHandler\",\"input\":{\"handler\":\"work.sh\",\"args\":[\"01\",\"0\"]}}}]}";
    device.service.create_job(&device.thing, &job, document)?;
    let began = Instant::now();
    device.start()?;
    while device.status(&job)? == "QUEUED" {
        if began.elapsed() > PATIENCE {
            return Err("the first job is not taken".to_owned());
        }
        sleep(Duration::from_millis(1));
    }
    let took = began.elapsed().as_millis();
    let over = |device: &Device<'_>| Ok(device.status(&job)? == "SUCCEEDED");
    device.live_until("the first job", PATIENCE, over)?;
    Ok(took)
}

/// The sum of a file of mappings, or the number of a summary.
fn pss(text: &str) -> u64 {
    let lines = text.lines().filter_map(|line| line.strip_prefix("Pss:"));
    lines
        .filter_map(|line| {
            line.trim()
                .trim_end_matches("kB")
                .trim()
                .parse::<u64>()
                .ok()
        })
        .sum()
}

/// What the memory is made of: code, constants, heap, stacks, libraries.
fn parts(smaps: &str) -> String {
    let mut sums = [
        ("code", 0),
        ("constants", 0),
        ("heap", 0),
        ("libraries", 0),
        ("rest", 0),
    ];
    let mut part = 4;
    for line in smaps.lines() {
        let is_head = line.split('-').next().is_some_and(|word| {
            word.len() >= 6 && word.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        if is_head {
            let is_code = line.split_whitespace().nth(1) == Some("r-xp");
            part = match line.rsplit('/').next() {
                Some(name) if name.starts_with("jobs-agent") => usize::from(!is_code),
                _ if line.ends_with("[heap]") => 2,
                _ if line.contains(".so") => 3,
                _ => 4,
            };
        } else if let Some((_, sum)) = sums.get_mut(part) {
            *sum += pss(line);
        }
    }
    let parts = sums.map(|(name, kib)| format!("{name} {kib}"));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_sorted_by_what_it_is() {
        let smaps = "55d0-55e0 r-xp 0 08:01 1 /usr/bin/jobs-agent\nPss:   7 kB\n\
            555555e0-555555f0 r-xp 0 08:01 1 /usr/bin/jobs-agent\nSize: 9 kB\nPss:   7 kB\n\
            555555e0-555555f0 r--p 0 08:01 1 /usr/bin/jobs-agent\nPss:   2 kB\n\
            555555e0-555555f0 rw-p 0 00:00 0 [heap]\nPss:   3 kB\nPss_Dirty: 3 kB\n\
            7f5555e0-7f5555f0 r-xp 0 08:01 1 /lib/libc.so.6\nPss:   1 kB\n";
        let smaps = smaps.replace("55d0-55e0", "555555d0-555555e0");
        assert_eq!(
            parts(&smaps),
            "code 14, constants 2, heap 3, libraries 1, rest 0"
        );
        assert_eq!(pss("Rss: 5 kB\nPss:   4053 kB\nPss_Anon: 3 kB\n"), 4_053);
    }
}
