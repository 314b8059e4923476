//! What of an image is the crates' own, and what the image adds by calling them.

use std::{collections::BTreeMap, fs, path::Path};

use crate::{elf::Elf, lines};

/// The images of which that is told.
const IMAGES: [&str; 2] = ["proto_all", "agent_jobs1"];

/// The folder of the images' own lines.
const OWN: &str = "benches/size";

/// Prints the bytes of code by crate of the source line, and the constants.
pub(super) fn print(folder: &Path) -> Result<(), String> {
    for image in IMAGES {
        let path = folder.join(image);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let elf = Elf::new(&bytes).ok_or("no ELF file of 32 bits")?;
        let (start, code) = elf.loaded(".text").ok_or("an image without code")?;
        let len = u32::try_from(code.len()).map_err(|error| error.to_string())?;
        let constants = elf.contents(".rodata").map_or(0, <[u8]>::len);
        let owners = owners(&path.to_string_lossy(), start, len)?;
        let code: Vec<String> = owners
            .iter()
            .map(|(owner, bytes)| format!("{owner} {bytes}"))
            .collect();
        println!(
            "{image} by source line: {}; constants {constants}",
            code.join(", ")
        );
    }
    Ok(())
}

/// Bytes of code by owner: what was inlined counts for its source line, generic code of the
/// language for its caller.
fn owners(image: &str, start: u32, len: u32) -> Result<BTreeMap<String, usize>, String> {
    let mut owners = BTreeMap::new();
    for frames in lines::of(image, start, len)? {
        let mut crates = frames.iter().map(|line| lines::crate_of(line));
        let owner = match crates.find(|owner| !owner.is_empty()) {
            Some(owner) if owner == OWN => "the image's calls".into(),
            Some(owner) => owner,
            None => "language, compiler".into(),
        };
        *owners.entry(owner).or_default() += lines::STEP;
    }
    Ok(owners)
}
