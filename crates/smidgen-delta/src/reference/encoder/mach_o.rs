//! Mach-O of 64 bits (`mach-o/loader.h`): segments, a rule for each section, and the opcodes that rebase pointers or the chains
//! that they form.

use std::ops::Range;

use super::{
    super::region::{Holds, MAX_BASES, RecordField, Rule, Segment, Words},
    chains::{self, Chains},
    image::{Image, ListKind, PackedList},
    numbers::{text_at, u32_at, u64_at},
};

const MAGIC: u32 = 0xFEED_FACF;
const X86_64: u32 = 0x0100_0007;
const AARCH64: u32 = 0x0100_000C;

/// Modes of compact unwinding that lead to a record of `__eh_frame`.
const X86_64_RECORD: u8 = 4;
const AARCH64_RECORD: u8 = 3;

/// More load commands than any program has.
const MAX_COMMANDS: u32 = 1024;

/// Load commands.
mod command {
    pub(super) const SYMBOLS: u32 = 0x2;
    pub(super) const SEGMENT: u32 = 0x19;
    pub(super) const DYLD_INFO: u32 = 0x22;
    pub(super) const FUNCTION_STARTS: u32 = 0x26;
    pub(super) const DYLD_INFO_ONLY: u32 = 0x8000_0022;
    pub(super) const DYLD_CHAINED_FIXUPS: u32 = 0x8000_0034;
}

/// Flags of a section: it holds instructions, only or among others.
const INSTRUCTIONS: u32 = 0x8000_0400;
/// Kinds of section without bytes: zeros, large zeros, zeros of threads.
const NO_BYTES: [u32; 3] = [0x1, 0xC, 0x12];

/// Reads the load commands; `None` if it is no such file.
pub(super) fn read(file: &[u8]) -> Option<Image> {
    if u32_at(file, 0)? != MAGIC {
        return None;
    }
    let (code, mode) = match u32_at(file, 4)? {
        X86_64 => (Rule::X86_64 { absolute: false }, X86_64_RECORD),
        AARCH64 => (Rule::Aarch64, AARCH64_RECORD),
        _ => return None,
    };
    let mut commands = Vec::new();
    let mut at = 32;
    for _ in 0..u32_at(file, 16)?.min(MAX_COMMANDS) {
        commands.push((u32_at(file, at)?, at));
        at = at.checked_add(u32_at(file, at + 4)?.max(8).into())?;
    }
    let mut segments = Vec::new();
    for (_, at) in commands.iter().filter(|(command, _)| *command == command::SEGMENT) {
        segments.push(Segment {
            address: u64_at(file, at + 24)?,
            memory_len: u64_at(file, at + 32)?,
            offset: u64_at(file, at + 40)?,
            len: u64_at(file, at + 48)?,
            code: u32_at(file, at + 60)? & 4 != 0,
        });
    }
    let bases: Vec<u64> = segments.iter().map(|segment| segment.address).take(MAX_BASES).collect();
    let fixups = commands.iter().find(|(command, _)| *command == command::DYLD_CHAINED_FIXUPS);
    let table = fixups.and_then(|(_, at)| u32_at(file, at + 8));
    let chains = table.map_or_else(Vec::new, |table| chains::read(file, table.into(), &segments));
    // The zero page holds no referent, and small numbers would seem to lead to it.
    segments.retain(|segment| segment.len > 0);
    let mut image = Image::new(file.len() as u64, segments, &code_at(file, &commands).unwrap_or_default());
    let mut starts = None;
    for (command, at) in commands {
        match command {
            command::SEGMENT => place_sections(file, at, &mut image, &code, &chains)?,
            command::SYMBOLS => {
                let mut fields = vec![RecordField { at: 8, holds: Holds::Address }];
                let names = image.layout.address(u32_at(file, at + 16)?.into());
                fields.extend(names.map(|names| RecordField { at: 0, holds: Holds::From(names) }));
                let len = 16 * u64::from(u32_at(file, at + 12)?);
                image.place(u32_at(file, at + 8)?.into(), len, Rule::Records { stride: 16, fields });
            }
            command::DYLD_INFO | command::DYLD_INFO_ONLY => {
                let rule = Rule::Rebases { bases: bases.clone() };
                image.place(u32_at(file, at + 8)?.into(), u32_at(file, at + 12)?.into(), rule);
            }
            command::FUNCTION_STARTS => starts = Some((u32_at(file, at + 8)?, u32_at(file, at + 12)?)),
            _ => {}
        }
    }
    find_lists(&mut image, mode, starts);
    Some(image)
}

/// Where sections hold instructions, as addresses, by section.
fn code_at(file: &[u8], commands: &[(u32, u64)]) -> Option<Vec<Range<u64>>> {
    let mut found = Vec::new();
    for (_, segment) in commands.iter().filter(|(command, _)| *command == command::SEGMENT) {
        for at in sections(file, *segment) {
            let start = u64_at(file, at + 32)?;
            if u32_at(file, at + 64)? & INSTRUCTIONS != 0 {
                found.push(start..start.saturating_add(u64_at(file, at + 40)?));
            }
        }
    }
    Some(found)
}

/// Takes note of the lists of functions.
fn find_lists(image: &mut Image, mode: u8, starts: Option<(u32, u32)>) {
    let Some(base) = image.layout.address(0) else {
        return;
    };
    if let Some((offset, len)) = image.section("__TEXT,__unwind_info") {
        let records = image.section("__TEXT,__eh_frame");
        let frames = records.and_then(|(offset, _)| image.layout.address(offset)).unwrap_or(0);
        image.lists.push(PackedList { offset, len, base, kind: ListKind::Unwinding { mode, frames } });
    }
    if let Some((offset, len)) = starts {
        let (offset, len) = (offset.into(), len.into());
        image.lists.push(PackedList { offset, len, base, kind: ListKind::Starts });
    }
}

/// Where the headers of a segment's sections begin, as far as they lie in its command.
fn sections(file: &[u8], segment: u64) -> impl Iterator<Item = u64> {
    let len = u32_at(file, segment + 4).unwrap_or(0);
    let count = u32_at(file, segment + 64).unwrap_or(0).min(len.saturating_sub(72) / 80);
    (0..u64::from(count)).map(move |index| segment + 72 + 80 * index)
}

fn place_sections(
    file: &[u8],
    segment: u64,
    image: &mut Image,
    code: &Rule,
    chains: &[Chains],
) -> Option<()> {
    let segment_name = text_at(file, segment + 8, 16);
    if sections(file, segment).next().is_none() {
        image.name(&segment_name, u64_at(file, segment + 40)?, u64_at(file, segment + 48)?);
    }
    for at in sections(file, segment) {
        let flags = u32_at(file, at + 64)?;
        if NO_BYTES.contains(&(flags & 0xFF)) {
            continue;
        }
        let (offset, len) = (u64::from(u32_at(file, at + 48)?), u64_at(file, at + 40)?);
        let name = text_at(file, at, 16);
        image.name(&format!("{segment_name},{name}"), offset, len);
        let chained = chains.iter().find_map(|chains| chains.rule(offset, len));
        let rule = if flags & INSTRUCTIONS != 0 {
            code.clone()
        } else if let Some(rule) = chained {
            rule
        } else if name == "__eh_frame" {
            Rule::Unwinding
        } else {
            Rule::Words(Words { pointers: true, ..Words::default() })
        };
        image.place(offset, len, rule);
    }
    Some(())
}
