//! ELF of 64 bits: segments from the program headers, a rule for each section whose references can be found.

use std::ops::Range;

use super::{
    super::region::{Holds, RecordField, Rule, Segment, Words},
    image::{Image, ListKind, Loaded, PackedList},
    numbers::{name_at, u16_at, u32_at, u64_at},
};

const X86_64: u16 = 62;
const AARCH64: u16 = 183;
/// An image that is loaded where it was linked.
const EXECUTABLE: u16 = 2;
const LOAD: u32 = 1;

/// Kinds of section.
mod kind {
    pub(super) const NOTHING: u32 = 0;
    pub(super) const SYMBOLS: u32 = 2;
    pub(super) const RELOCATIONS: u32 = 4;
    pub(super) const NO_BYTES: u32 = 8;
    pub(super) const DYNAMIC_SYMBOLS: u32 = 11;
    pub(super) const RELATIVE_RELOCATIONS: u32 = 19;
    /// Contents, dynamic table, arrays of constructors and destructors.
    pub(super) const DATA: [u32; 5] = [1, 6, 14, 15, 16];
}

/// Relocations by where the image is loaded, on x86-64 and aarch64.
const RELATIVE: [u64; 2] = [8, 1027];

/// Bytes of a relocation.
const RELOCATION: u64 = 24;
/// A shorter table of relocations is not worth sorting, in bytes.
const SORTED: u64 = RELOCATION * 64;

const ALLOCATED: u64 = 2;
const INSTRUCTIONS: u64 = 4;

/// Reads the headers; `None` if it is no such file.
pub(super) fn read(file: &[u8]) -> Option<Image> {
    if !file.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let code = match u16_at(file, 18)? {
        X86_64 => Rule::X86_64 { absolute: u16_at(file, 16)? == EXECUTABLE },
        AARCH64 => Rule::Aarch64,
        _ => return None,
    };
    let mut image = Image::new(file.len() as u64, segments(file)?, &code_at(file).unwrap_or_default());
    if place_sections(file, &mut image, &code).is_none() || image.regions.is_empty() {
        // Without sections there are still segments: code where it is executable, words elsewhere.
        for segment in image.layout.segments.clone() {
            let rule = if segment.code { code.clone() } else { words() };
            image.place(segment.offset, segment.len, rule);
        }
    }
    image.loaded.sort_by_key(|loaded| loaded.offset);
    Some(image)
}

fn words() -> Rule {
    Rule::Words(Words { pointers: true, ..Words::default() })
}

fn segments(file: &[u8]) -> Option<Vec<Segment>> {
    let (start, size, count) = (u64_at(file, 32)?, u16_at(file, 54)?, u16_at(file, 56)?);
    let mut segments = Vec::new();
    for at in headers(file, start, size, count) {
        if u32_at(file, at)? == LOAD {
            segments.push(Segment {
                offset: u64_at(file, at + 8)?,
                len: u64_at(file, at + 32)?,
                address: u64_at(file, at + 16)?,
                memory_len: u64_at(file, at + 40)?,
                code: u32_at(file, at + 4)? & 1 != 0,
            });
        }
    }
    Some(segments)
}

/// Where sections hold instructions, as addresses.
fn code_at(file: &[u8]) -> Option<Vec<Range<u64>>> {
    let (start, size, count) = (u64_at(file, 40)?, u16_at(file, 58)?, u16_at(file, 60)?);
    let mut found = Vec::new();
    for at in headers(file, start, size, count) {
        let (flags, address) = (u64_at(file, at + 8)?, u64_at(file, at + 16)?);
        if flags & ALLOCATED != 0 && flags & INSTRUCTIONS != 0 {
            found.push(address..address.saturating_add(u64_at(file, at + 32)?));
        }
    }
    Some(found)
}

/// Where the headers of a table begin, as far as that is in the file.
fn headers(file: &[u8], start: u64, size: u16, count: u16) -> impl Iterator<Item = u64> {
    let end = file.len() as u64;
    let header = move |index: u16| start.checked_add(u64::from(index) * u64::from(size));
    (0..count).map_while(move |index| header(index).filter(|at| *at < end))
}

fn place_sections(file: &[u8], image: &mut Image, code: &Rule) -> Option<()> {
    let (start, size, count) = (u64_at(file, 40)?, u16_at(file, 58)?, u16_at(file, 60)?);
    let names = u64_at(file, headers(file, start, size, count).nth(u16_at(file, 62)?.into())? + 24)?;
    // More relocations than there is room for are the same ones again.
    let mut left = file.len() as u64 / RELOCATION;
    for at in headers(file, start, size, count) {
        let name = name_at(file, names.checked_add(u32_at(file, at)?.into())?);
        let kind = u32_at(file, at + 4)?;
        let flags = u64_at(file, at + 8)?;
        let (address, offset, len) = (u64_at(file, at + 16)?, u64_at(file, at + 24)?, u64_at(file, at + 32)?);
        if kind == kind::NO_BYTES || kind == kind::NOTHING {
            continue;
        }
        image.name(&String::from_utf8_lossy(name), offset, len);
        let fields = |fields: &[(u32, Holds)]| -> Vec<RecordField> {
            fields.iter().map(|(at, holds)| RecordField { at: *at, holds: *holds }).collect()
        };
        match kind {
            kind::RELOCATIONS => {
                let fields = fields(&[(0, Holds::Address), (16, Holds::Address)]);
                image.place(offset, len, Rule::Records { stride: 24, fields: fields.clone() });
                let count = (len / RELOCATION).min(left);
                left -= count;
                note_loaded(file, offset, count, image);
                let sorted = RELOCATION * sorted_relocations(file, offset, count);
                if sorted >= SORTED {
                    image.place(offset, sorted, Rule::Sorted { stride: 24, fields });
                }
            }
            kind::RELATIVE_RELOCATIONS => {
                let base = image.layout.segments.first().map_or(0, |segment| segment.address);
                image.lists.push(PackedList { offset, len, base, kind: ListKind::Bitmaps });
            }
            kind::SYMBOLS | kind::DYNAMIC_SYMBOLS => {
                image.place(
                    offset,
                    len,
                    Rule::Records { stride: 24, fields: fields(&[(8, Holds::Address)]) },
                );
            }
            _ if name == b".eh_frame" => image.place(offset, len, Rule::Unwinding),
            _ if name == b".eh_frame_hdr" && len > 12 => {
                let base = Holds::Around(address);
                let rule = Rule::Sorted { stride: 8, fields: fields(&[(0, base), (4, base)]) };
                image.place(offset.checked_add(12)?, len - 12, rule);
            }
            _ if flags & INSTRUCTIONS != 0 => image.place(offset, len, code.clone()),
            _ if flags & ALLOCATED != 0 && kind::DATA.contains(&kind) => image.place(offset, len, words()),
            _ => {}
        }
    }
    Some(())
}

/// Takes note of the pointers that the loader writes because of a table of relocations: those to what is in the image,
/// relative to where it is loaded.
fn note_loaded(file: &[u8], offset: u64, count: u64, image: &mut Image) {
    for record in 0..count {
        let at = offset.saturating_add(RELOCATION * record);
        let word = |index: u64| u64_at(file, at.saturating_add(8 * index));
        let (Some(place), Some(kind), Some(referent)) = (word(0), word(1), word(2)) else { return };
        if RELATIVE.contains(&kind)
            && let Some(offset) = image.layout.offset(place)
            && u64_at(file, offset) == Some(0)
        {
            image.loaded.push(Loaded { offset, referent });
        }
    }
}

/// How many of the relocations at the start of a table are all of one kind and in the order of their places, as linkers put
/// those that need no symbol.
fn sorted_relocations(file: &[u8], offset: u64, count: u64) -> u64 {
    let kind = u64_at(file, offset.saturating_add(8));
    let mut last = 0;
    for record in 0..count {
        let at = offset.saturating_add(RELOCATION * record);
        match u64_at(file, at) {
            Some(place) if place >= last && u64_at(file, at.saturating_add(8)) == kind => last = place,
            _ => return record,
        }
    }
    count
}
