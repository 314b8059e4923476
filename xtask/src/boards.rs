//! `cargo xtask boards`: the firmware examples build from their committed lock files, are formatted,
//! and fit their boards; prints what each takes.

use std::{fs, path::Path};

use crate::{
    elf::Elf,
    run::{cargo, command, root, step, target},
};

/// A firmware example: a workspace of its own under `examples/`.
struct Board {
    /// Its folder, and the name of its program.
    name: &'static str,
    /// The target that its `.cargo/config.toml` names.
    triple: &'static str,
    /// Flash for the program and RAM, KiB, as its `memory.x` gives them.
    flash_kib: u32,
    ram_kib: u32,
}

const BOARDS: [Board; 3] = [
    Board {
        name: "rp2040-pico-w",
        triple: "thumbv6m-none-eabi",
        flash_kib: 2_048 - 64,
        ram_kib: 264,
    },
    Board {
        name: "nrf52840",
        triple: "thumbv7em-none-eabihf",
        flash_kib: 1_024 - 64,
        ram_kib: 256,
    },
    Board {
        name: "nrf9160",
        triple: "thumbv8m.main-none-eabihf",
        flash_kib: 1_024 - 64,
        ram_kib: 192,
    },
];

/// RAM that must stay free for the stack, bytes: the QEMU firmware, which has more handlers, uses
/// 13.8 KB.
const STACK_LEN_MIN: u32 = 16 * 1024;

/// Where RAM begins on every Cortex-M.
const RAM_START: u32 = 0x2000_0000;

/// Builds every board example, and prints the flash and RAM that each takes.
///
/// # Errors
/// The first example that does not build, is not formatted or does not fit.
pub(crate) fn all() -> Result<(), String> {
    let triples = BOARDS.map(|board| board.triple);
    let mut add = vec!["target", "add"];
    add.extend(triples);
    step("targets of the boards", &mut command("rustup", &add))
        .map_err(|_| format!("missing: rustup target add {}", triples.join(" ")))?;
    let mut table = Vec::new();
    for board in &BOARDS {
        table.push((board, build(board)?));
    }
    println!("\n== boards: bytes of flash and static RAM, opt-level z");
    for (board, weight) in table {
        println!(
            "{:<14} {:>7} of {} KiB flash, {:>6} of {} KiB RAM",
            board.name, weight.flash, board.flash_kib, weight.ram, board.ram_kib
        );
    }
    Ok(())
}

fn build(board: &Board) -> Result<Weight, String> {
    let folder = root().join("examples").join(board.name);
    // One folder for all: what they share for the build machine is built once.
    let shared = target().join("boards");
    let run = |what: &str, args: &[&str]| {
        let mut cargo = cargo(args);
        cargo.current_dir(&folder).env("CARGO_TARGET_DIR", &shared);
        step(&format!("{}: {what}", board.name), &mut cargo)
    };
    run("format", &["fmt", "--check"])?;
    run("build", &["build", "--release", "--locked"])?;
    let image = shared.join(board.triple).join("release").join(board.name);
    let weight = weigh(&image)?;
    if weight.flash > board.flash_kib * 1024 || weight.ram + STACK_LEN_MIN > board.ram_kib * 1024 {
        return Err(format!(
            "{}: {} bytes of flash and {} of RAM do not fit",
            board.name, weight.flash, weight.ram
        ));
    }
    Ok(weight)
}

/// What an image takes, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Weight {
    /// Program, constants and the first values of variables.
    flash: u32,
    /// Variables; the stack is what remains.
    ram: u32,
}

fn weigh(image: &Path) -> Result<Weight, String> {
    let bytes = fs::read(image).map_err(|error| format!("{}: {error}", image.display()))?;
    segments(&bytes).ok_or_else(|| format!("{}: no ELF file of 32 bits", image.display()))
}

/// Adds up the segments that are loaded.
fn segments(bytes: &[u8]) -> Option<Weight> {
    let mut weight = Weight::default();
    for segment in Elf::new(bytes)?.segments()? {
        weight.flash += segment.in_file;
        if segment.at >= RAM_START {
            weight.ram += segment.in_memory;
        }
    }
    Some(weight)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An ELF header and program headers of (type, address, bytes in the file, in memory).
    fn image(entries: &[[u32; 4]]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x01\x01".to_vec();
        bytes.resize(52, 0);
        bytes[28] = 52;
        bytes[42] = 32;
        bytes[44] = u8::try_from(entries.len()).unwrap();
        for [kind, address, in_file, in_memory] in entries {
            for word in [*kind, 0, *address, 0, *in_file, *in_memory, 0, 0] {
                bytes.extend_from_slice(&word.to_le_bytes());
            }
        }
        bytes
    }

    #[test]
    fn first_values_of_variables_count_in_flash_and_in_ram() {
        let program = [1, 0x1000_0000, 700, 700];
        let variables = [1, RAM_START, 30, 30];
        let zeroed = [1, RAM_START + 30, 0, 5];
        let not_loaded = [6, RAM_START, 99, 99];
        let image = image(&[program, variables, zeroed, not_loaded]);
        let weight = Weight {
            flash: 730,
            ram: 35,
        };
        assert_eq!(segments(&image), Some(weight));
        assert_eq!(segments(&image[..100]), None);
        assert_eq!(segments(b"other"), None);
    }
}
