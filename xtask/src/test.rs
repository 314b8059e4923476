//! `cargo xtask test`: everything that must hold, in the order in which it fails fastest.

use std::path::Path;

use crate::{
    bench, boards, chaos, qemu,
    run::{captured, cargo, root, step, target},
    size, tools, verify,
};

/// The crates that must not know of an operating system.
const CORE: [&str; 3] = ["jobs-proto", "jobs-agent-core", "agent-embassy"];

/// All steps.
///
/// # Errors
/// The first step that fails.
pub(crate) fn all() -> Result<(), String> {
    step("format", &mut cargo(&["fmt", "--all", "--check"]))?;
    purity()?;
    tools::targets()?;
    bare_metal()?;
    lints()?;
    verify::all()?;
    tests()?;
    boards::all()?;
    qemu::all(&[])?;
    size::all(false)?;
    bench::all(&[])?;
    chaos::all(&[])?;
    documentation()?;
    msrv()?;
    println!("\nxtask: everything holds");
    Ok(())
}

fn lints() -> Result<(), String> {
    let args = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--locked",
        "--",
        "-D",
        "warnings",
    ];
    step("lints", &mut cargo(&args))
}

/// What `verify` has not run: nothing is run twice. The small crates by themselves, so that no
/// other crate's features leak in.
fn tests() -> Result<(), String> {
    let run = |name: &str, args: &[&str]| {
        let args = [&["test", "--locked"], args].concat();
        step(&format!("tests: {name}"), &mut cargo(&args))
    };
    let small = ["-p", "jobs-proto", "-p", "jobs-agent-core"];
    run("protocol and core without features", &small)?;
    run("emulator", &["-p", "jobs-emulator"])?;
    run(
        "Linux adapter",
        &["-p", "agent-std", "--", "--skip", verify::FILES],
    )?;
    run("gateway program", &["-p", "jobs-agent", "--all-features"])?;
    run(
        "board adapter",
        &["-p", "agent-embassy", "--", "--skip", verify::FLASH],
    )?;
    let boards = ["-p", "board-tls", "-p", "board-parts", "--all-features"];
    run("TLS and handlers for boards", &boards)?;
    let examples = ["handlers", "gateway", "linux-agents", "xtask"].map(|name| ["-p", name]);
    let examples = examples.as_flattened();
    run("examples, the main job end to end", examples)
}

fn bare_metal() -> Result<(), String> {
    for triple in tools::BARE_TARGETS {
        let mut args = vec!["build", "--locked", "--target", triple];
        args.extend(CORE.iter().flat_map(|name| ["-p", *name]));
        step(&format!("build for {triple}"), &mut cargo(&args))?;
    }
    Ok(())
}

/// What a build cannot tell: no allocator in the core, no unsafe, and no feature that makes
/// `serde_json` read a hostile document differently.
fn purity() -> Result<(), String> {
    println!("\n== purity");
    for name in CORE {
        let source = root().join(name).join("src");
        let lib = read(&source.join("lib.rs"))?;
        for wanted in ["#![no_std]", "#![forbid(unsafe_code)]"] {
            if !lib.contains(wanted) {
                return Err(format!("{name}: lib.rs lacks {wanted}"));
            }
        }
        each_file(&source, &mut |path, text| {
            let allocates = text.lines().any(|line| {
                let line = line.trim_start();
                !line.starts_with("//")
                    && (line.contains("extern crate alloc") || line.contains("alloc::"))
            });
            if allocates {
                Err(format!("{}: allocates", path.display()))
            } else {
                Ok(())
            }
        })?;
    }
    let args = [
        "tree",
        "--workspace",
        "--locked",
        "-e",
        "features",
        "-i",
        "serde_json",
    ];
    let tree = captured(&mut cargo(&args))?;
    let text = String::from_utf8_lossy(&tree.stdout).into_owned();
    for feature in ["raw_value", "arbitrary_precision"] {
        if text.contains(&format!("\"{feature}\"")) {
            return Err(format!(
                "serde_json feature {feature} is on: it re-parses a magic key"
            ));
        }
    }
    Ok(())
}

fn documentation() -> Result<(), String> {
    let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    step("documentation", doc.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Checks with the very toolchain of the stated MSRV; where it cannot be had, the lint
/// `incompatible_msrv` (part of the lints above) has to do.
fn msrv() -> Result<(), String> {
    let version = tools::stated_msrv()?;
    if !tools::msrv_toolchain(&version) {
        println!("\n== MSRV {version}: toolchain not to be had here, checked by lint only");
        return Ok(());
    }
    let toolchain = format!("+{version}");
    let args = [&toolchain, "check", "--workspace", "--locked"];
    let mut check = cargo(&args);
    check.env("CARGO_TARGET_DIR", target().join("msrv"));
    step(&format!("MSRV {version}"), &mut check)
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn each_file(
    folder: &Path,
    check: &mut dyn FnMut(&Path, &str) -> Result<(), String>,
) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            each_file(&path, check)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            check(&path, &read(&path)?)?;
        }
    }
    Ok(())
}
