//! What the agent takes of RAM on the smallest target: the sizes of its states, and the deepest
//! stack of the calls that do the work.
//!
//! The frames are told by the compiler (`-Z emit-stack-sizes`, which a stable compiler only takes
//! with `RUSTC_BOOTSTRAP`; nothing that ships is built so), the calls are read from the linked
//! code: branches with link, tail branches, and addresses of functions among the constants.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::elf::{Elf, Symbol};
use crate::run::{captured, cargo, root, target};

const TRIPLE: &str = "thumbv6m-none-eabi";

/// Most bytes of an agent for one job, beside the bytes that its handler keeps in it.
const STATE_MAX: u32 = 512;

/// Most bytes of stack in the core's own frames.
const STACK_MAX: u32 = 1_024;

/// The calls that are measured, as the last part of their names.
const ROOTS: [&str; 4] = ["poll", "handle_publish", "handle_outcome", "restore"];

/// Part of the name of every function of the core.
const CORE: &str = "jobs_agent_core";

/// Prints sizes and stacks.
///
/// # Errors
/// If an image cannot be built or read.
///
/// Returns what is over its bound.
pub(super) fn all() -> Result<Vec<String>, String> {
    let mut faults = Vec::new();
    let bytes = build("state", &[])?;
    let symbols = Elf::new(&bytes).and_then(|elf| elf.symbols());
    let symbols = symbols.ok_or("state: no ELF file of 32 bits")?;
    println!("\n== {TRIPLE}: bytes of RAM");
    let mut lens = BTreeMap::new();
    for symbol in &symbols {
        if let Some(name) = symbol.name.strip_prefix("STATE_") {
            println!("{:<18} {:>7}", name.to_lowercase(), symbol.len);
            lens.insert(name, symbol.len);
        }
    }
    let len = |name| {
        lens.get(name)
            .copied()
            .ok_or_else(|| format!("no state {name}"))
    };
    let beside = len("AGENT_JOBS1")?.saturating_sub(len("BODIES")?);
    println!("agent_jobs1 beside its handler's bytes: {beside} (at most {STATE_MAX})");
    if beside > STATE_MAX {
        faults.push(format!("an agent for one job has {beside} bytes of state"));
    }
    let unstable = [
        "-Zunstable-options",
        "-Zemit-stack-sizes",
        "-Csymbol-mangling-version=legacy",
    ];
    let bytes = build("agent_jobs1", &unstable)?;
    let code = Code::read(&bytes).ok_or("agent_jobs1: no functions with stack sizes")?;
    println!("\n== {TRIPLE}, opt-level z: deepest stack, bytes");
    for root in ROOTS {
        let (core, _) = code.deepest(root, true)?;
        let (all, path) = code.deepest(root, false)?;
        println!("{root:<18} {core:>7} in frames of the core, {all} with those of the protocol:");
        for (name, frame) in path {
            println!("{frame:>9} {name}");
        }
        if core > STACK_MAX {
            faults.push(format!("{root} takes {core} bytes of stack in the core"));
        }
    }
    Ok(faults)
}

fn build(image: &str, unstable: &[&str]) -> Result<Vec<u8>, String> {
    let folder = target().join("size-memory");
    let mut flags = vec!["-Clink-arg=--gc-sections", "-Clink-arg=--entry=_start"];
    flags.extend(unstable);
    let args = [
        "build",
        "--locked",
        "--release",
        "--target",
        TRIPLE,
        "--bin",
        image,
    ];
    let mut build = cargo(&args);
    build
        .current_dir(root().join("benches/size"))
        .env("CARGO_TARGET_DIR", &folder)
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "z")
        .env("RUSTFLAGS", flags.join(" "))
        .env("RUSTC_BOOTSTRAP", "1");
    let output = captured(&mut build)?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let path = folder.join(TRIPLE).join("release").join(image);
    fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The functions of an image, by address.
struct Code {
    functions: BTreeMap<u32, Function>,
}

struct Function {
    name: String,
    frame: u32,
    calls: BTreeSet<u32>,
}

/// Bytes of stack, and the functions on the way with theirs.
type Path = (u32, Vec<(String, u32)>);

impl Code {
    fn read(bytes: &[u8]) -> Option<Self> {
        let elf = Elf::new(bytes)?;
        let frames = frames(elf.contents(".stack_sizes")?)?;
        let (text_at, text) = elf.loaded(".text")?;
        let symbols: Vec<Symbol> = elf.symbols()?;
        let functions = symbols.iter().filter(|symbol| symbol.is_function);
        // The lowest bit of an address says that the code there is Thumb.
        let starts: BTreeSet<u32> = functions.clone().map(|symbol| symbol.at & !1).collect();
        let mut code = BTreeMap::new();
        for symbol in functions {
            let at = symbol.at & !1;
            let from = usize::try_from(at.checked_sub(text_at)?).ok()?;
            let body = text.get(from..from + usize::try_from(symbol.len).ok()?)?;
            let function = Function {
                name: readable(&symbol.name),
                frame: frames.get(&at).copied().unwrap_or(0),
                calls: calls(at, body, &starts),
            };
            code.insert(at, function);
        }
        Some(Self { functions: code })
    }

    /// The deepest way down from the function whose name ends so.
    fn deepest(&self, root: &str, core_only: bool) -> Result<Path, String> {
        let ending = format!("::{root}");
        let found = self.functions.iter().find(|(_, function)| {
            function.name.starts_with(CORE) && function.name.ends_with(&ending)
        });
        let (at, _) = found.ok_or_else(|| format!("{root} is not in the image"))?;
        self.below(*at, core_only, &mut Vec::new())
    }

    fn below(&self, at: u32, core_only: bool, way: &mut Vec<u32>) -> Result<Path, String> {
        let Some(function) = self.functions.get(&at) else {
            return Ok((0, Vec::new()));
        };
        if way.contains(&at) {
            return Err(format!("{} can call itself", function.name));
        }
        way.push(at);
        let mut deepest: Path = (0, Vec::new());
        for callee in &function.calls {
            let path = self.below(*callee, core_only, way)?;
            if path.0 > deepest.0 {
                deepest = path;
            }
        }
        way.pop();
        let counts = !core_only || function.name.contains(CORE);
        deepest.0 += if counts { function.frame } else { 0 };
        deepest.1.insert(0, (function.name.clone(), function.frame));
        Ok(deepest)
    }
}

/// Frame sizes by address: pairs of an address and a number in LEB128.
fn frames(mut bytes: &[u8]) -> Option<BTreeMap<u32, u32>> {
    let mut frames = BTreeMap::new();
    while let Some((at, rest)) = bytes.split_first_chunk() {
        bytes = rest;
        let (mut size, mut shift) = (0_u32, 0);
        loop {
            let (byte, rest) = bytes.split_first()?;
            bytes = rest;
            size |= u32::from(byte & 0x7F).checked_shl(shift)?;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        frames.insert(u32::from_le_bytes(*at) & !1, size);
    }
    Some(frames)
}

/// Where the code at `at` can go: the starts of other functions (Arm v6-M reference manual, A6.7).
fn calls(at: u32, body: &[u8], starts: &BTreeSet<u32>) -> BTreeSet<u32> {
    let half = |index: usize| {
        let bytes = body.get(index..)?.first_chunk()?;
        Some(u32::from(u16::from_le_bytes(*bytes)))
    };
    let mut calls = BTreeSet::new();
    for index in (0..body.len()).step_by(2) {
        let Some(first) = half(index) else { break };
        let here = at.wrapping_add(u32::try_from(index).unwrap_or(u32::MAX));
        let second = half(index + 2);
        if first & 0xF800 == 0xE000 {
            // B: eleven bits of distance.
            let distance = ((first << 21) as i32 >> 20) as u32;
            calls.insert(here.wrapping_add(4).wrapping_add(distance));
        }
        if let Some(second) = second {
            if first & 0xF800 == 0xF000 && second & 0xD000 == 0xD000 {
                calls.insert(here.wrapping_add(4).wrapping_add(distance(first, second)));
            }
            // A constant that is the address of a function, for an indirect call.
            if here % 4 == 0 {
                let word = first | second << 16;
                if word & 1 == 1 {
                    calls.insert(word & !1);
                }
            }
        }
    }
    calls.remove(&at);
    calls.intersection(starts).copied().collect()
}

/// The distance of a BL.
fn distance(first: u32, second: u32) -> u32 {
    let sign = first >> 10 & 1;
    let high = [second >> 13 & 1, second >> 11 & 1].map(|bit| 1 ^ bit ^ sign);
    let bits =
        sign << 24 | high[0] << 23 | high[1] << 22 | (first & 0x3FF) << 12 | (second & 0x7FF) << 1;
    ((bits << 7) as i32 >> 7) as u32
}

/// A legacy mangled name as a path: lengths and parts behind `_ZN`, a hash last.
fn readable(name: &str) -> String {
    let Some(mut rest) = name.strip_prefix("_ZN") else {
        return name.into();
    };
    let mut parts = Vec::new();
    while let Some(digits) = rest.find(|c: char| !c.is_ascii_digit()) {
        let Ok(len) = rest[..digits].parse::<usize>() else {
            break;
        };
        let Some(part) = rest.get(digits..digits + len) else {
            break;
        };
        parts.push(part);
        rest = &rest[digits + len..];
    }
    parts.pop();
    parts.join("::")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_forward_and_a_call_back_are_found() {
        // bl +0 (to the next instruction but one), b -4 (to itself less nothing), and a constant.
        let code = [
            0x00, 0xF0, 0x02, 0xF8, 0xFC, 0xE7, 0x00, 0x00, 0x01, 0x20, 0x00, 0x00,
        ];
        let starts = BTreeSet::from([0x1008, 0x2000, 0x1000]);
        assert_eq!(
            calls(0x1000, &code, &starts),
            BTreeSet::from([0x1008, 0x2000])
        );
        assert_eq!(distance(0xF7FF, 0xFFFE), (-4_i32).cast_unsigned());
    }

    #[test]
    fn frames_are_read_in_leb128() {
        let bytes = [1, 0x10, 0, 0, 0xE8, 0x07, 0x20, 0, 0, 0, 8];
        let expected = BTreeMap::from([(0x1000, 1_000), (0x20, 8)]);
        assert_eq!(frames(&bytes), Some(expected));
        assert_eq!(frames(&[1, 0, 0, 0, 0x80]), None);
    }

    #[test]
    fn a_mangled_name_is_read_as_a_path() {
        let name = "_ZN15jobs_agent_core4poll17h0123456789abcdefE";
        assert_eq!(readable(name), "jobs_agent_core::poll");
        assert_eq!(readable("_start"), "_start");
    }
}
