//! Whose code an image is, by the source lines of its instructions.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use crate::{packages, run::root};

/// What asks the image for its lines, and where Debian has it.
pub(crate) const PROGRAM: packages::Program = ("arm-none-eabi-addr2line", "binutils-arm-none-eabi");

/// Two bytes of code are one instruction of Thumb, or half of one.
pub(crate) const STEP: usize = 2;

/// The functions that two bytes of code stand in, the innermost first: each one's name, and the
/// line in it, one after the other.
pub(crate) type Frames = Vec<String>;

/// The functions of every two bytes of code from `start` on, also of those that were inlined.
///
/// # Errors
/// If the image cannot be asked.
pub(crate) fn of(image: &str, start: u32, len: u32) -> Result<Vec<Frames>, String> {
    let mut addr2line = Command::new(PROGRAM.0)
        .args(["--inlines", "--addresses", "--functions", "--exe", image])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{}: {error}", PROGRAM.0))?;
    let mut stdin = addr2line.stdin.take().ok_or("no standard input")?;
    // In a thread of its own: it answers while it is asked.
    let asking = std::thread::spawn(move || {
        let addresses = (start..start + len).step_by(STEP);
        let asked: String = addresses.map(|address| format!("{address:#x}\n")).collect();
        stdin.write_all(asked.as_bytes())
    });
    let output = addr2line.wait_with_output().map_err(|e| e.to_string())?;
    asking
        .join()
        .map_err(|_| "no addresses were asked for")?
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let answers = text.split("0x").skip(1);
    Ok(answers
        .map(|answer| answer.lines().skip(1).map(String::from).collect())
        .collect())
}

/// The crate a source file belongs to, by its folder in this repository or its name; empty for the
/// language's own.
pub(crate) fn crate_of(line: &str) -> String {
    owner(line, &root().to_string_lossy()).into()
}

fn owner<'l>(line: &'l str, own: &str) -> &'l str {
    if let Some((_, rest)) = line.split_once("/registry/src/") {
        // index/name-version/…
        let folder = rest.split('/').nth(1).unwrap_or_default();
        return folder.rsplit_once('-').map_or(folder, |(name, _)| name);
    }
    let Some((_, rest)) = line.split_once(own) else {
        return "";
    };
    let rest = rest.trim_start_matches('/');
    let rest = rest.strip_prefix("examples/").unwrap_or(rest);
    rest.split_once("/src/").map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_counts_for_the_crate_of_its_source() {
        let of = |line| owner(line, "/home/me/jobs");
        let net = "/home/me/.cargo/registry/src/index-1949cf/embassy-net-0.9.1/src/tcp.rs:7";
        assert_eq!(of(net), "embassy-net");
        let own = "/home/me/jobs/examples/qemu-cortex-m/firmware/src/net.rs:3";
        assert_eq!(of(own), "qemu-cortex-m/firmware");
        assert_eq!(
            of("/home/me/jobs/jobs-agent-core/src/poll.rs:3"),
            "jobs-agent-core"
        );
        assert_eq!(of("/rustc/0a1b/library/core/src/option.rs:1"), "");
    }
}
