//! The functions in a 32-bit little-endian ELF file, read by hand: a tool for this may be missing,
//! and the format of the symbol table is a page (System V ABI, chapter 4).

/// A function in an image.
pub(super) struct Symbol {
    /// Its name, as the linker has it.
    pub(super) name: String,
    /// Its length, bytes.
    pub(super) len: u64,
}

const HEADER_SECTIONS_AT: usize = 0x20;
const HEADER_SECTION_LEN: usize = 0x2E;
const HEADER_SECTION_COUNT: usize = 0x30;

/// Section type of a symbol table (`SHT_SYMTAB`).
const SYMBOLS: u32 = 2;
/// Bytes of one entry of it.
const SYMBOL_LEN: usize = 16;
/// Low four bits of an entry's `st_info`: a function (`STT_FUNC`).
const FUNCTION: u8 = 2;

/// Every function in the image; `None` if the bytes are no such file, or have no symbols.
pub(super) fn functions(image: &[u8]) -> Option<Vec<Symbol>> {
    // Magic, 32 bits, little endian.
    if !image.starts_with(b"\x7fELF\x01\x01") {
        return None;
    }
    let table = usize_at(image, HEADER_SECTIONS_AT)?;
    let section_len = usize::from(u16_at(image, HEADER_SECTION_LEN)?);
    let count = usize::from(u16_at(image, HEADER_SECTION_COUNT)?);
    let section = |index: usize| image.get(table + index * section_len..)?.get(..section_len);
    let contents = |section: &[u8]| {
        let (start, len) = (usize_at(section, 0x10)?, usize_at(section, 0x14)?);
        image.get(start..start.checked_add(len)?)
    };
    let symbols = (0..count)
        .filter_map(section)
        .find(|section| u32_at(section, 4) == Some(SYMBOLS))?;
    let names = contents(section(usize_at(symbols, 0x18)?)?)?;
    let entries = contents(symbols)?.chunks_exact(SYMBOL_LEN);
    entries
        .filter(|entry| entry.get(12).is_some_and(|info| info & 0xF == FUNCTION))
        .map(|entry| {
            let name = names.get(usize_at(entry, 0)?..)?;
            let end = name.iter().position(|byte| *byte == 0)?;
            Some(Symbol {
                name: String::from_utf8_lossy(name.get(..end)?).into_owned(),
                len: u64::from(u32_at(entry, 8)?),
            })
        })
        .collect()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .copied()
        .map(u32::from_le_bytes)
}

fn usize_at(bytes: &[u8], at: usize) -> Option<usize> {
    u32_at(bytes, at).and_then(|value| usize::try_from(value).ok())
}
