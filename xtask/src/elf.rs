//! A little-endian ELF file of 32 bits, as far as images are weighed and searched, read by hand: a
//! tool for this may be missing, and what is needed of the format is a page (System V ABI, chapters 4 and 5).

/// The bytes of such a file.
pub(crate) struct Elf<'a> {
    bytes: &'a [u8],
}

/// A function or a variable.
pub(crate) struct Symbol {
    /// Its name, as the linker has it.
    pub(crate) name: String,
    /// Where it lies.
    pub(crate) at: u32,
    /// Its length, bytes.
    pub(crate) len: u32,
    /// Whether it is code.
    pub(crate) is_function: bool,
}

/// A part of the file that is loaded (a program header of type `PT_LOAD`).
pub(crate) struct Segment {
    /// Where it lies when the program runs.
    pub(crate) at: u32,
    /// Bytes in the file.
    pub(crate) in_file: u32,
    /// Bytes when the program runs: more, where variables begin as zero.
    pub(crate) in_memory: u32,
}

/// A section header, as far as it matters here.
struct Section {
    name: usize,
    kind: u32,
    flags: u32,
    at: u32,
    offset: usize,
    size: usize,
    link: usize,
}

const PT_LOAD: u32 = 1;
const SHT_SYMTAB: u32 = 2;
const SHT_NOBITS: u32 = 8;
const SHF_ALLOC: u32 = 2;

/// Low four bits of a symbol's `st_info`: a function.
const STT_FUNC: u8 = 2;

impl<'a> Elf<'a> {
    /// `None` if the bytes are no such file.
    pub(crate) fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes
            .starts_with(b"\x7FELF\x01\x01")
            .then_some(Self { bytes })
    }

    fn word(&self, at: usize) -> Option<u32> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }

    fn offset(&self, at: usize) -> Option<usize> {
        usize::try_from(self.word(at)?).ok()
    }

    fn half(&self, at: usize) -> Option<usize> {
        let bytes = self.bytes.get(at..)?.first_chunk()?;
        Some(usize::from(u16::from_le_bytes(*bytes)))
    }

    fn text(&self, at: usize) -> Option<&'a str> {
        let rest = self.bytes.get(at..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        std::str::from_utf8(rest.get(..end)?).ok()
    }

    fn section(&self, index: usize) -> Option<Section> {
        let at = self.offset(32)? + index * self.half(46)?;
        Some(Section {
            name: self.offset(at)?,
            kind: self.word(at + 4)?,
            flags: self.word(at + 8)?,
            at: self.word(at + 12)?,
            offset: self.offset(at + 16)?,
            size: self.offset(at + 20)?,
            link: self.offset(at + 24)?,
        })
    }

    fn sections(&self) -> Option<Vec<(&'a str, Section)>> {
        let names = self.section(self.half(50)?)?;
        let sections = (0..self.half(48)?).map(|index| {
            let section = self.section(index)?;
            Some((self.text(names.offset + section.name)?, section))
        });
        sections.collect()
    }

    /// What is loaded.
    pub(crate) fn segments(&self) -> Option<Vec<Segment>> {
        let (table, len) = (self.offset(28)?, self.half(42)?);
        let mut segments = Vec::new();
        for entry in 0..self.half(44)? {
            let at = table + entry * len;
            if self.word(at)? == PT_LOAD {
                segments.push(Segment {
                    at: self.word(at + 8)?,
                    in_file: self.word(at + 16)?,
                    in_memory: self.word(at + 20)?,
                });
            }
        }
        Some(segments)
    }

    /// The section of this name: where it is loaded, and its bytes.
    pub(crate) fn loaded(&self, name: &str) -> Option<(u32, &'a [u8])> {
        let sections = self.sections()?;
        let (_, section) = sections.iter().find(|(found, _)| *found == name)?;
        let end = section.offset.checked_add(section.size)?;
        Some((section.at, self.bytes.get(section.offset..end)?))
    }

    /// The bytes of the section of this name.
    pub(crate) fn contents(&self, name: &str) -> Option<&'a [u8]> {
        self.loaded(name).map(|(_, bytes)| bytes)
    }

    /// All functions and variables.
    pub(crate) fn symbols(&self) -> Option<Vec<Symbol>> {
        const ENTRY_LEN: usize = 16;
        let mut symbols = Vec::new();
        for (_, table) in self.sections()? {
            if table.kind != SHT_SYMTAB {
                continue;
            }
            let names = self.section(table.link)?;
            for at in (table.offset..table.offset + table.size).step_by(ENTRY_LEN) {
                symbols.push(Symbol {
                    name: self.text(names.offset + self.offset(at)?)?.into(),
                    at: self.word(at + 4)?,
                    len: self.word(at + 8)?,
                    is_function: self.bytes.get(at + 12)? & 0xF == STT_FUNC,
                });
            }
        }
        Some(symbols)
    }

    /// Bytes that go into flash: code, constants, and what variables begin with.
    pub(crate) fn flash_len(&self) -> Option<u32> {
        let mut flash: u32 = 0;
        for (name, section) in self.sections()? {
            // Unwind tables are thrown away by every linker script for these targets.
            let unwinds = name.starts_with(".ARM.ex") || name.starts_with(".eh_frame");
            if section.flags & SHF_ALLOC != 0 && section.kind != SHT_NOBITS && !unwinds {
                flash += u32::try_from(section.size).ok()?;
            }
        }
        Some(flash)
    }
}
