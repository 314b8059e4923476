//! `cargo xtask size`: what each part of the crates costs in flash, against a committed table.
//!
//! Builds the images of `benches/size` for the bare-metal targets and weighs the sections that go
//! into flash. The numbers are bytes over the image that does nothing, and they include what the
//! compiler adds on its own to move and compare memory (`memcpy` and the like), which a firmware
//! has anyway; the table names that part. The calls that an image makes are in its number too: how
//! much that is, the source lines tell (`owners`).
//!
//! Also what the agent takes of RAM (`memory`).

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

mod memory;
mod owners;

use crate::{
    elf::Elf,
    lines, packages,
    run::{captured, cargo, root, target},
    tools,
};

/// The images, the one that does nothing first.
const IMAGES: [&str; 11] = [
    "base",
    "topics",
    "decode_execution",
    "decode_all",
    "decode_structs",
    "encode_all",
    "document",
    "proto_all",
    "record",
    "agent_jobs1",
    "agent_jobs4",
];

/// Optimization levels, as in a Cargo profile.
const LEVELS: [&str; 3] = ["z", "s", "3"];

/// Growth that is not worth a word: one part in this many.
const GROWTH_ALLOWED: u32 = 50;

/// Bytes by image, by level, by target.
type Table = BTreeMap<String, BTreeMap<String, BTreeMap<String, u32>>>;

/// Weighs everything, writes `target/size.json` and compares it with `benches/size/table.json`;
/// with `change`, makes that the new table instead.
///
/// # Errors
/// If an image cannot be built or read, can panic, or has grown by more than 2 %.
pub(crate) fn all(change: bool) -> Result<(), String> {
    tools::targets()?;
    packages::bring_in(&[lines::PROGRAM])?;
    let mut table = Table::new();
    let mut faults = Vec::new();
    for triple in tools::BARE_TARGETS {
        for level in LEVELS {
            let weights = build(triple, level)?;
            print(triple, level, &weights);
            if level == "z" && triple.starts_with("thumb") {
                owners::print(&folder(triple))?;
            }
            for (image, weight) in &weights {
                if weight.panics && image.as_str() != "base" {
                    faults.push(format!("{triple} {level}: {image} can panic"));
                }
            }
            let over_base = over_base(&weights);
            let levels = table.entry(triple.into()).or_default();
            levels.insert(level.into(), over_base);
        }
    }
    let text = json(&table);
    fs::create_dir_all(target()).map_err(|error| format!("target: {error}"))?;
    let written = target().join("size.json");
    fs::write(&written, &text).map_err(|error| format!("size.json: {error}"))?;
    let committed = root().join("benches/size/table.json");
    if change {
        fs::write(&committed, &text).map_err(|error| format!("table.json: {error}"))?;
    } else {
        let old = fs::read_to_string(&committed).map_err(|error| format!("table.json: {error}"))?;
        faults.extend(grown(&parse(&old)?, &table));
    }
    faults.extend(memory::all()?);
    if faults.is_empty() {
        println!("\n== size: as in benches/size/table.json, or smaller");
        Ok(())
    } else {
        Err(format!(
            "{}\nif this is meant, `cargo xtask size --change` makes it the new table",
            faults.join("\n")
        ))
    }
}

/// What one image weighs.
struct Weight {
    /// Code and constants, in bytes.
    flash: u32,
    /// The part of it that moves, clears and compares memory, in bytes.
    memory_routines: u32,
    /// Whether the panic machinery is in it.
    panics: bool,
}

fn build(triple: &str, level: &str) -> Result<BTreeMap<String, Weight>, String> {
    let mut build = cargo(&["build", "--locked", "--release", "--target", triple]);
    build
        .current_dir(root().join("benches/size"))
        .env("CARGO_TARGET_DIR", target().join("size"))
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", level);
    let output = captured(&mut build)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let mut weights = BTreeMap::new();
    for image in IMAGES {
        let path = folder(triple).join(image);
        weights.insert(image.to_string(), weigh(&path)?);
    }
    Ok(weights)
}

/// Where the images of a target are built.
fn folder(triple: &str) -> PathBuf {
    target().join("size").join(triple).join("release")
}

fn weigh(path: &Path) -> Result<Weight, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Elf::new(&bytes)
        .and_then(|elf| weight(&elf))
        .ok_or_else(|| format!("{}: no ELF file of 32 bits", path.display()))
}

fn weight(elf: &Elf<'_>) -> Option<Weight> {
    let mut weight = Weight {
        flash: elf.flash_len()?,
        memory_routines: 0,
        panics: false,
    };
    for symbol in elf.symbols()? {
        let name = symbol.name.as_str();
        weight.panics |= name.contains("panicking");
        let routine = name.starts_with("__aeabi_mem")
            || name.contains("compiler_builtins3mem")
            || matches!(name, "memcpy" | "memmove" | "memset" | "memcmp" | "bcmp");
        if routine {
            weight.memory_routines += symbol.len;
        }
    }
    Some(weight)
}

fn over_base(weights: &BTreeMap<String, Weight>) -> BTreeMap<String, u32> {
    let base = weights.get("base").map_or(0, |weight| weight.flash);
    let parts = weights.iter().filter(|(image, _)| *image != "base");
    parts
        .map(|(image, weight)| (image.clone(), weight.flash.saturating_sub(base)))
        .collect()
}

fn print(triple: &str, level: &str, weights: &BTreeMap<String, Weight>) {
    println!("\n== {triple}, opt-level {level}: bytes over the base image (memory routines in it)");
    for (image, bytes) in over_base(weights) {
        let memory = weights
            .get(&image)
            .map_or(0, |weight| weight.memory_routines);
        println!("{image:<18} {bytes:>7} ({memory})");
    }
}

/// What has grown, or is missing, since `old`.
fn grown(old: &Table, new: &Table) -> Vec<String> {
    let mut faults = Vec::new();
    for (triple, levels) in new {
        for (level, images) in levels {
            for (image, bytes) in images {
                let place = format!("{triple} {level}: {image}");
                let before = old
                    .get(triple)
                    .and_then(|levels| levels.get(level))
                    .and_then(|images| images.get(image));
                match before {
                    None => faults.push(format!("{place} is not in the table")),
                    Some(before) if *bytes > before + before / GROWTH_ALLOWED => {
                        faults.push(format!("{place} grew from {before} to {bytes} bytes"));
                    }
                    Some(_) => {}
                }
            }
        }
    }
    faults
}

/// One line for each target and level, so that a change is easy to read.
fn json(table: &Table) -> String {
    let mut text = String::from("{\n");
    for (nth, (triple, levels)) in table.iter().enumerate() {
        let comma = if nth == 0 { "" } else { ",\n" };
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{comma}  \"{triple}\": {{");
        for (nth, (level, images)) in levels.iter().enumerate() {
            let comma = if nth == 0 { "" } else { ",\n" };
            let members: Vec<String> = images
                .iter()
                .map(|(image, bytes)| format!("\"{image}\": {bytes}"))
                .collect();
            let _ = write!(text, "{comma}    \"{level}\": {{{}}}", members.join(", "));
        }
        text.push_str("\n  }");
    }
    text.push_str("\n}\n");
    text
}

/// Reads what [`json`] writes: names in quotes, three levels deep, and whole numbers.
fn parse(text: &str) -> Result<Table, String> {
    let mut table = Table::new();
    let mut path: Vec<&str> = Vec::new();
    let mut name = "";
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let broken = || format!("table.json: cannot read {:?}", rest.lines().next());
        match first {
            '"' => {
                let (inside, tail) = rest[1..].split_once('"').ok_or_else(broken)?;
                name = inside;
                rest = tail;
                continue;
            }
            '{' => path.push(name),
            '}' => {
                path.pop().ok_or_else(broken)?;
            }
            '0'..='9' => {
                let end = rest
                    .find(|c: char| !c.is_ascii_digit())
                    .ok_or_else(broken)?;
                let bytes = rest[..end].parse().map_err(|_| broken())?;
                let [_, triple, level] = path[..] else {
                    return Err(broken());
                };
                let levels = table.entry(triple.into()).or_default();
                let images = levels.entry(level.into()).or_default();
                images.insert(name.into(), bytes);
                rest = &rest[end..];
                continue;
            }
            _ => {}
        }
        rest = &rest[first.len_utf8()..];
    }
    Ok(table)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(bytes: u32) -> Table {
        let images = BTreeMap::from([("proto_all".to_string(), bytes), ("topics".to_string(), 7)]);
        let levels = BTreeMap::from([("3".to_string(), images.clone()), ("z".to_string(), images)]);
        BTreeMap::from([
            ("thumbv6m-none-eabi".to_string(), levels.clone()),
            ("thumbv7em-none-eabi".to_string(), levels),
        ])
    }

    #[test]
    fn a_table_is_read_as_it_was_written() {
        assert_eq!(parse(&json(&table(1_000))), Ok(table(1_000)));
    }

    #[test]
    fn growth_of_two_percent_passes_and_more_does_not() {
        assert!(grown(&table(1_000), &table(1_020)).is_empty());
        assert_eq!(grown(&table(1_000), &table(1_021)).len(), 4);
        assert!(grown(&table(1_000), &table(10)).is_empty());
        assert_eq!(grown(&Table::new(), &table(1)).len(), 8);
    }
}
