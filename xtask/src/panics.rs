//! `cargo xtask panics`: an image with every public function of the two `no_std` crates holds no
//! panic.
//!
//! `fuzz/nopanic` calls them all with inputs that the optimiser cannot see through, for a core
//! without atomics. Whatever can panic ends in `core::panicking`, and that in the image's panic
//! handler; neither may be among its symbols. That the search can fail is shown each time by three
//! images with a panic put in on purpose.

use std::{collections::BTreeSet, path::Path};

use crate::{
    elf::Elf,
    run::{captured, cargo, root, step, target},
};

/// The smallest target: no atomics, no division, the least that a board can have.
const TRIPLE: &str = "thumbv6m-none-eabi";

/// How the crates are built by those who ship them.
const OPT_LEVELS: [&str; 3] = ["s", "z", "3"];

/// Panics put in on purpose, and what they leave in the image.
const SEEDS: [&str; 3] = ["seed-index", "seed-division", "seed-core"];

/// Parts of names that only a reachable panic brings into an image.
const TRACES: [&str; 5] = [
    "9panicking",
    "core::panicking",
    "rust_begin_unwind",
    "a_panic_is_reachable",
    "len_mismatch_fail",
];

/// What was found, for the table of `cargo xtask verify`.
pub(crate) struct Found {
    /// Public functions that the image calls.
    pub(crate) functions: usize,
    /// Images that were searched.
    pub(crate) images: usize,
}

/// Builds and searches all images.
///
/// # Errors
/// The panics that are reachable, a public function that the image does not call, or a panic put
/// in on purpose that was not found.
pub(crate) fn all() -> Result<Found, String> {
    bans()?;
    println!("\n== no panic in the image for {TRIPLE}");
    let functions = complete()?;
    for level in OPT_LEVELS {
        let image = image(level, None)?;
        if !image.traces.is_empty() {
            return Err(format!(
                "opt-level {level}: a panic is reachable:\n  {}",
                image.traces.join("\n  ")
            ));
        }
        println!(
            "opt-level {level}: {} bytes of code, {} functions, no panic",
            image.code_len, image.functions
        );
    }
    for seed in SEEDS {
        let image = image("s", Some(seed))?;
        if image.traces.is_empty() {
            return Err(format!("{seed}: a panic put in on purpose was not found"));
        }
        println!("{seed}: found ({})", image.traces.join(", "));
    }
    Ok(Found {
        functions,
        images: OPT_LEVELS.len() + SEEDS.len(),
    })
}

/// Names that the shipped code of the two crates must not use: clocks, allocation, atomics, and
/// methods that panic. The lists stand in `fuzz/nopanic/lints/clippy.toml`.
fn bans() -> Result<(), String> {
    let args = [
        "clippy",
        "--quiet",
        "--locked",
        "-p",
        "jobs-proto",
        "-p",
        "jobs-agent-core",
        "--lib",
        "--",
        "-D",
        "warnings",
        "-D",
        "clippy::disallowed_methods",
        "-D",
        "clippy::disallowed_types",
        "-D",
        "clippy::disallowed_macros",
    ];
    let mut clippy = cargo(&args);
    clippy
        .env("CLIPPY_CONF_DIR", root().join("fuzz/nopanic/lints"))
        .env("CARGO_TARGET_DIR", target().join("nopanic"));
    step("names that are banned from protocol and core", &mut clippy)
}

struct Image {
    code_len: u64,
    functions: usize,
    traces: Vec<String>,
}

fn image(level: &str, seed: Option<&str>) -> Result<Image, String> {
    let folder = target().join("nopanic");
    let manifest = root().join("fuzz/nopanic/Cargo.toml");
    let manifest = manifest.to_string_lossy().into_owned();
    let mut args = vec![
        "rustc",
        "--quiet",
        "--locked",
        "--release",
        "--target",
        TRIPLE,
        "--manifest-path",
        &manifest,
    ];
    args.extend(seed.iter().flat_map(|seed| ["--features", seed]));
    args.extend(["--", "-C", "link-arg=--entry=entry"]);
    let mut build = cargo(&args);
    build
        .env("CARGO_TARGET_DIR", &folder)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", level);
    let output = captured(&mut build)?;
    if !output.status.success() {
        return Err(format!(
            "image at opt-level {level}: {}",
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    let path = folder.join(TRIPLE).join("release/nopanic");
    let bytes = std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut symbols = Elf::new(&bytes)
        .and_then(|elf| elf.symbols())
        .ok_or("the image is no ELF with symbols")?;
    symbols.retain(|symbol| symbol.is_function);
    // An image without our code would be free of panics too.
    if !symbols
        .iter()
        .any(|symbol| symbol.name.contains("jobs_proto"))
    {
        return Err("the image holds no code of jobs-proto: its symbols were stripped".into());
    }
    Ok(Image {
        code_len: symbols.iter().map(|symbol| u64::from(symbol.len)).sum(),
        functions: symbols.len(),
        traces: symbols
            .into_iter()
            .filter(|symbol| TRACES.iter().any(|trace| symbol.name.contains(trace)))
            .map(|symbol| symbol.name)
            .collect(),
    })
}

/// Counts the public functions of both crates, each of which the image must name.
fn complete() -> Result<usize, String> {
    let mut called = String::new();
    for file in ["core_api.rs", "proto_api.rs"] {
        called.push_str(&read(&root().join("fuzz/nopanic/src").join(file))?);
    }
    let mut names = BTreeSet::new();
    for folder in ["jobs-proto/src", "jobs-agent-core/src"] {
        public_functions(&root().join(folder), &mut names)?;
    }
    if names.len() < 80 {
        return Err(format!("only {} public functions were found", names.len()));
    }
    let missing: Vec<&String> = names
        .iter()
        .filter(|name| {
            ![
                format!("{name}("),
                format!("{name})"),
                format!("{name},"),
                format!("{name}]"),
            ]
            .iter()
            .any(|call| called.contains(call.as_str()))
        })
        .collect();
    if missing.is_empty() {
        Ok(names.len())
    } else {
        Err(format!(
            "fuzz/nopanic does not call these public functions; add them: {missing:?}"
        ))
    }
}

fn public_functions(folder: &Path, names: &mut BTreeSet<String>) -> Result<(), String> {
    let entries = std::fs::read_dir(folder).map_err(|e| format!("{}: {e}", folder.display()))?;
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            public_functions(&path, names)?;
            continue;
        }
        // What the exploration sees is behind a hidden feature and ships with nobody.
        let hidden = path.file_name().is_some_and(|name| name == "explore.rs");
        if hidden || path.extension().is_none_or(|extension| extension != "rs") {
            continue;
        }
        for line in read(&path)?.lines() {
            let line = line.trim_start();
            let signature = ["pub fn ", "pub const fn "]
                .iter()
                .find_map(|start| line.strip_prefix(start));
            let name = signature.and_then(|rest| rest.split(['(', '<']).next());
            names.extend(name.map(String::from));
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}
