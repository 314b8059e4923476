//! `cargo xtask bench --stack`: the worst stack of each call of the core on Cortex-M, computed from
//! the linked image, and the sizes of its types.
//!
//! The compiler states the frame of each function it compiles (`-Z emit-stack-sizes`); functions
//! that come compiled with the toolchain (memory routines, divisions) have their pushes counted.
//! Calls are the `BL` instructions of the image; a tail call (`B`) counts as a call, which can only
//! make the sum larger. A call through a register may go to any function that nothing calls by name.
//! Nothing recurses; if something did, this fails.

mod names;
mod thumb;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use crate::{
    run::{captured, cargo, root, target},
    size::Elf,
    tools,
};
use names::plain;
use thumb::{data_ranges, scan};

/// Goal: most bytes of stack in the core's own frames, whatever it is called for.
const GOAL_BYTES: u32 = 1_024;

/// Most bytes of state, beside buffers that the caller lends.
const STATE_GOAL_BYTES: u32 = 512;

const TRIPLES: [&str; 2] = ["thumbv6m-none-eabi", "thumbv7em-none-eabi"];

/// Builds the image for each target and prints what it needs.
///
/// # Errors
/// If the image cannot be built or read, recurses, or calls what cannot be followed.
pub(super) fn all() -> Result<(), String> {
    tools::targets()?;
    for triple in TRIPLES {
        let folder = target().join("stack");
        let mut build = cargo(&["build", "--locked", "--release", "--target", triple]);
        build
            .current_dir(root().join("benches/stack"))
            .env("CARGO_TARGET_DIR", &folder)
            // Frame sizes are a flag of the nightly compiler; this makes the pinned one take it.
            .env("RUSTC_BOOTSTRAP", "1")
            .env(
                "RUSTFLAGS",
                "-Zemit-stack-sizes -Clink-arg=--gc-sections -Clink-arg=--entry=_start",
            );
        let output = captured(&mut build)?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let path = folder.join(triple).join("release/stack");
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let image = Image::read(&bytes).ok_or_else(|| format!("{}: unreadable", path.display()))?;
        print(triple, &image)?;
    }
    Ok(())
}

fn print(triple: &str, image: &Image) -> Result<(), String> {
    println!("\n== {triple}, opt-level z: worst stack, bytes (deepest path)");
    let mut worst = 0;
    for (address, function) in &image.functions {
        let Some(call) = function.name.strip_prefix("stack_") else {
            continue;
        };
        let (bytes, path) = image.deepest(*address, &mut BTreeSet::new())?;
        worst = worst.max(bytes);
        println!("{call:<18} {bytes:>6} ({})", path.join(" > "));
    }
    let word = if worst <= GOAL_BYTES {
        "reached"
    } else {
        "not reached"
    };
    println!("goal: at most {GOAL_BYTES}: {worst}, {word}");
    println!("\n== {triple}: sizes of types, bytes");
    for (name, bytes) in &image.sizes {
        println!("{name:<18} {bytes:>6}");
    }
    if let Some(bytes) = image.sizes.get("AGENT_1") {
        let word = if *bytes <= STATE_GOAL_BYTES {
            "reached"
        } else {
            "not reached"
        };
        println!("goal: AGENT_1 at most {STATE_GOAL_BYTES}: {bytes}, {word}");
    }
    Ok(())
}

struct Function {
    name: String,
    frame: u32,
    calls: BTreeSet<u32>,
    /// Whether it calls through a register.
    indirect: bool,
}

struct Image {
    /// By address, without the Thumb bit.
    functions: BTreeMap<u32, Function>,
    /// What the image says about types.
    sizes: BTreeMap<String, u32>,
    /// Functions that nothing calls by name: only a register can lead there.
    unnamed: BTreeSet<u32>,
}

/// A symbol of the image, as far as it matters here.
struct Symbol {
    name: String,
    value: u32,
    size: u32,
}

const STT_FUNC: u8 = 2;
const SYMBOL_LEN: usize = 16;
const SHT_SYMTAB: u32 = 2;

impl Image {
    fn read(bytes: &[u8]) -> Option<Self> {
        let elf = Elf { bytes };
        let (mut functions, mut others) = (Vec::new(), Vec::new());
        let table = elf.sections()?.into_iter().find(|s| s.kind == SHT_SYMTAB)?;
        let names = elf.section(table.link)?;
        for at in (table.offset..table.offset + table.size).step_by(SYMBOL_LEN) {
            let symbol = Symbol {
                name: elf.text(names.offset + elf.offset(at)?)?.to_string(),
                value: elf.word(at + 4)?,
                size: elf.word(at + 8)?,
            };
            if bytes.get(at + 12)? & 0xF == STT_FUNC && symbol.size > 0 {
                functions.push(symbol);
            } else {
                others.push(symbol);
            }
        }
        let stated = stated_frames(&elf)?;
        let starts: BTreeSet<u32> = functions.iter().map(|symbol| symbol.value & !1).collect();
        let code = elf.named(".text")?;
        let mut image = Self {
            functions: BTreeMap::new(),
            sizes: BTreeMap::new(),
            unnamed: BTreeSet::new(),
        };
        for symbol in functions {
            let start = symbol.value & !1;
            let from = code.offset + usize::try_from(start.checked_sub(code.address)?).ok()?;
            let len = usize::try_from(symbol.size).ok()?;
            let text = bytes.get(from..from + len)?;
            let scan = scan(text, start, &data_ranges(&others, start, symbol.size));
            let own = |target: &u32| starts.contains(target) && *target != start;
            let function = Function {
                name: plain(&symbol.name),
                frame: stated.get(&start).copied().unwrap_or(scan.pushed),
                indirect: scan.indirect,
                calls: scan.targets.into_iter().filter(own).collect(),
            };
            image.functions.insert(start, function);
        }
        let called = image
            .functions
            .values()
            .flat_map(|function| &function.calls);
        let called: BTreeSet<u32> = called.copied().collect();
        let ours = |name: &str| name.starts_with("stack_") || name == "_start";
        let unnamed = image
            .functions
            .iter()
            .filter(|(_, function)| !ours(&function.name));
        image.unnamed = unnamed
            .map(|(address, _)| *address)
            .filter(|a| !called.contains(a))
            .collect();
        for symbol in others {
            if let Some(name) = symbol.name.strip_prefix("SIZE_OF_") {
                image.sizes.insert(name.into(), symbol.size);
            }
        }
        Some(image)
    }

    /// Most bytes from a function on, and the path there.
    fn deepest(
        &self,
        address: u32,
        above: &mut BTreeSet<u32>,
    ) -> Result<(u32, Vec<String>), String> {
        let Some(function) = self.functions.get(&address) else {
            return Err(format!("no function at {address:#x}"));
        };
        if !above.insert(address) {
            return Err(format!("{} calls itself", function.name));
        }
        let (mut most, mut path) = (0, Vec::new());
        let named = function.calls.iter();
        let any = self.unnamed.iter().filter(|_| function.indirect);
        // What is running already is not what a register leads to.
        let any: Vec<&u32> = any.filter(|call| !above.contains(call)).collect();
        for call in named.chain(any) {
            let (bytes, below) = self.deepest(*call, above)?;
            if bytes > most {
                (most, path) = (bytes, below);
            }
        }
        above.remove(&address);
        path.insert(0, format!("{} {}", function.name, function.frame));
        Ok((function.frame + most, path))
    }
}

/// Frames that the compiler states: pairs of address and a length in LEB128.
fn stated_frames(elf: &Elf<'_>) -> Option<BTreeMap<u32, u32>> {
    let section = elf.named(".stack_sizes")?;
    let mut frames = BTreeMap::new();
    let (mut at, end) = (section.offset, section.offset + section.size);
    while at < end {
        let address = elf.word(at)? & !1;
        at += 4;
        let (mut frame, mut shift) = (0, 0);
        loop {
            let byte = *elf.bytes.get(at)?;
            at += 1;
            frame |= u32::from(byte & 0x7F) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
        frames.insert(address, frame);
    }
    Some(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_path_is_found_and_a_circle_is_refused() {
        let function = |name: &str, frame, calls: &[u32]| Function {
            name: name.into(),
            frame,
            indirect: false,
            calls: calls.iter().copied().collect(),
        };
        let mut image = Image {
            functions: BTreeMap::from([
                (0, function("a", 8, &[4, 8])),
                (4, function("b", 100, &[])),
                (8, function("c", 40, &[12])),
                (12, function("d", 80, &[])),
            ]),
            sizes: BTreeMap::new(),
            unnamed: BTreeSet::new(),
        };
        let (bytes, path) = image.deepest(0, &mut BTreeSet::new()).unwrap();
        assert_eq!((bytes, path.join(" ")), (128, "a 8 c 40 d 80".into()));
        image.functions.insert(12, function("d", 80, &[8]));
        assert!(image.deepest(0, &mut BTreeSet::new()).is_err());
    }
}
