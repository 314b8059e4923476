//! What the firmware weighs, and whose code it is.
//!
//! Each instruction counts for the crate whose source line it comes from, also where it was
//! inlined into another crate's function. Generic code of the language and of small helper crates
//! counts for whoever called it, or, where it is a function of its own, for the crate of the type
//! it was made for: dropping a future of the agent is the agent's. `memcpy` itself, and what no
//! line is known for, counts as the compiler's.
//!
//! Of the RAM, what the agent keeps is what it would need with a link and a handler that keep
//! nothing: the firmware has those types, and a constant that says how large they are.

use std::{collections::BTreeMap, fmt::Write as _, fs, path::PathBuf};

use super::{
    bench::firmware,
    device::{TARGETS, Target},
};
use crate::{
    elf::Elf,
    lines,
    run::{captured, command, root},
};

/// Around the table in the example's README.
const START: &str = "<!-- size: written by `cargo xtask qemu --size` -->\n";
const END: &str = "<!-- size: end -->";

/// Change that is not worth a word: one part in this many.
const MARGIN: u32 = 33;

/// Lines of the table: a name, and the folders or crates that belong to it.
const OWNERS: [(&str, &[&str]); 8] = [
    ("`jobs-agent-core`", &["jobs-agent-core"]),
    ("`jobs-proto`", &["jobs-proto"]),
    ("`agent-embassy`", &["agent-embassy"]),
    ("handlers", &["handlers", "qemu-cortex-m/firmware"]),
    ("MQTT (`minimq`)", &["minimq", "serde_core"]),
    (
        "TCP/IP (`embassy-net`, `smoltcp`)",
        &["smoltcp", "embassy-net", "managed", "byteorder"],
    ),
    ("flash log (`sequential-storage`)", &["sequential-storage"]),
    ("everything else: executor, drivers, compiler", &[]),
];

/// The firmware's constant that says what the agent keeps in RAM, bytes each: the runner with the
/// record store, the future of its `run`, what it is lent beside the buffers; and how much of that
/// is the flash log's own, while it stores a record.
const AGENT_RAM: (&str, usize) = ("AGENT_RAM", 4);

/// How many of the owners, from the first, are the agent.
const AGENT: usize = 3;

/// Crates of generic code, which counts for its caller.
const HELPERS: [&str; 5] = [
    "heapless",
    "embassy-futures",
    "embassy-sync",
    "critical-section",
    "embedded-io-async",
];

/// The numbers of one target, in the order of the table's lines, bytes.
type Weights = Vec<u32>;

/// Weighs the built firmware and writes the table into the README.
pub(super) fn write() -> Result<(), String> {
    let table = table(&weights()?);
    print!("\n{table}");
    let text = readme()?;
    let (before, _, after) = split(&text)?;
    let text = format!("{before}{START}{table}{END}{after}");
    fs::write(path(), text).map_err(|error| format!("README.md: {error}"))
}

/// Weighs the built firmware and compares it with the table in the README.
///
/// # Errors
/// What differs by more than the margin.
pub(super) fn check() -> Result<String, String> {
    let fresh = table(&weights()?);
    let text = readme()?;
    let (_, written, _) = split(&text)?;
    let (old, new) = (numbers(written), numbers(&fresh));
    if old.len() != new.len() {
        return Err("README.md has another table: cargo xtask qemu --size".into());
    }
    for (old, new) in old.iter().zip(&new) {
        if old.abs_diff(*new) > old / MARGIN {
            return Err(format!(
                "README.md says {old}, it is {new}: cargo xtask qemu --size\n{fresh}"
            ));
        }
    }
    Ok(format!("as in README.md, within one part in {MARGIN}"))
}

fn weights() -> Result<Vec<Weights>, String> {
    TARGETS.into_iter().map(weigh).collect()
}

/// Flash and RAM of the whole, the agent's part of RAM and code, and every owner's.
fn weigh(target: Target) -> Result<Weights, String> {
    let image = firmware(target, false);
    let image = image.to_string_lossy();
    let sections = sections(&image)?;
    let sum = |names: &[&str]| -> u32 {
        let of = |name: &&str| sections.get(*name).map_or(0, |(len, _)| *len);
        names.iter().map(of).sum()
    };
    let flash = sum(&[".vector_table", ".text", ".rodata", ".data"]);
    let ram = sum(&[".data", ".bss", ".uninit"]);
    let (len, start) = sections.get(".text").ok_or("the image has no code")?;
    let owners = owners(&image, *start, *len)?;
    let agent = owners.iter().take(AGENT).sum();
    let [kept, log] = kept(&image).ok_or("the image does not say what the agent keeps")?;
    Ok([vec![flash, ram, kept, log, agent], owners].concat())
}

/// What the agent keeps in RAM without the flash log, and what that keeps for it, bytes.
fn kept(image: &str) -> Option<[u32; 2]> {
    let bytes = fs::read(image).ok()?;
    let elf = Elf::new(&bytes)?;
    let symbols = elf.symbols()?;
    let (name, words) = AGENT_RAM;
    let symbol = symbols.iter().find(|symbol| symbol.name.contains(name))?;
    let (start, constants) = elf.loaded(".rodata")?;
    let at = usize::try_from(symbol.at.checked_sub(start)?).ok()?;
    let bytes = constants.get(at..)?.get(..words * 4)?;
    let mut words = bytes
        .chunks_exact(4)
        .filter_map(|word| Some(u32::from_le_bytes(*word.first_chunk()?)));
    let [runner, run, lent, log] = [words.next()?, words.next()?, words.next()?, words.next()?];
    Some([(runner + run + lent).checked_sub(log)?, log])
}

/// Length and address of each section.
fn sections(image: &str) -> Result<BTreeMap<String, (u32, u32)>, String> {
    let output = captured(&mut command("arm-none-eabi-size", &["-A", image]))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let section = |line: &str| {
        let mut words = line.split_whitespace();
        let name = words.next()?.to_string();
        let len = words.next()?.parse().ok()?;
        Some((name, (len, words.next()?.parse().ok()?)))
    };
    Ok(text.lines().filter_map(section).collect())
}

/// Bytes of code by owner.
fn owners(image: &str, start: u32, len: u32) -> Result<Weights, String> {
    let mut owners = vec![0; OWNERS.len()];
    for frames in lines::of(image, start, len)? {
        let mut crates = frames.iter().map(|line| lines::crate_of(line));
        let owner = crates.find(|found| !is_generic(found));
        let nth = match owner {
            Some(owner) => OWNERS
                .iter()
                .position(|(_, crates)| crates.contains(&owner.as_str())),
            // The names are every other line; the outermost function has the last.
            None => frames.iter().rev().nth(1).and_then(|name| made_for(name)),
        };
        if let Some(bytes) = owners.get_mut(nth.unwrap_or(OWNERS.len() - 1)) {
            *bytes += lines::STEP as u32;
        }
    }
    Ok(owners)
}

/// Whose type a function of generic code was made for, by its mangled name: the owner that is
/// named first.
fn made_for(name: &str) -> Option<usize> {
    let first = |crates: &[&str]| {
        let places = crates.iter().filter_map(|one| {
            let (_, one) = one.rsplit_once('/').unwrap_or(("", one));
            name.find(&one.replace('-', "_"))
        });
        places.min()
    };
    let places = OWNERS.iter().enumerate();
    let places = places.filter_map(|(nth, (_, crates))| Some((first(crates)?, nth)));
    places.min().map(|(_, nth)| nth)
}

fn is_generic(owner: &str) -> bool {
    owner.is_empty() || HELPERS.contains(&owner)
}

fn table(weights: &[Weights]) -> String {
    let mut text = String::from("| bytes, `opt-level = \"z\"`, fat LTO |");
    for target in TARGETS {
        // Writing to a String cannot fail.
        let _ = write!(text, " `{}` |", target.triple);
    }
    let _ = write!(text, "\n|---|{}\n", "---:|".repeat(TARGETS.len()));
    let whole = [
        "flash, the whole firmware",
        "RAM, static (buffers and futures; no stack)",
        "RAM of the agent, beside the buffers for packets",
        "RAM of the flash log, while it stores a record",
        "code of the agent: the next three",
    ];
    let names = whole.into_iter().chain(OWNERS.map(|(name, _)| name));
    for (nth, name) in names.enumerate() {
        let _ = write!(text, "| {name} |");
        for weights in weights {
            let _ = write!(text, " {} |", weights.get(nth).copied().unwrap_or(0));
        }
        text.push('\n');
    }
    text
}

/// The numbers in the cells of a table.
fn numbers(table: &str) -> Vec<u32> {
    let cells = table.split('|');
    cells.filter_map(|cell| cell.trim().parse().ok()).collect()
}

fn split(text: &str) -> Result<(&str, &str, &str), String> {
    let parts = text.split_once(START).and_then(|(before, rest)| {
        let (table, after) = rest.split_once(END)?;
        Some((before, table, after))
    });
    parts.ok_or_else(|| "README.md has no place for the table".into())
}

fn path() -> PathBuf {
    root().join("examples/qemu-cortex-m/README.md")
}

fn readme() -> Result<String, String> {
    fs::read_to_string(path()).map_err(|error| format!("README.md: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_table_are_read_as_they_were_written() {
        let weights = vec![vec![1; 5 + OWNERS.len()], vec![2; 5 + OWNERS.len()]];
        let read = numbers(&table(&weights));
        assert_eq!(read.len(), 2 * (5 + OWNERS.len()));
        assert_eq!(read.first_chunk(), Some(&[1, 2, 1]));
    }
}
