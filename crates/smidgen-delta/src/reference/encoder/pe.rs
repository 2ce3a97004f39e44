//! PE of 64 bits (Microsoft, "PE Format"): segments and rules from the section table and the data directories.

use super::{
    super::region::{Holds, RecordField, Rule, Segment, Words},
    image::{Image, ListKind, PackedList},
    numbers::{text_at, u16_at, u32_at, u64_at},
};

const X86_64: u16 = 0x8664;
const AARCH64: u16 = 0xAA64;
/// The optional header of 64-bit images.
const PE32_PLUS: u16 = 0x20B;
/// A section that can be run.
const EXECUTE: u32 = 0x2000_0000;
/// Data directories, by ordinal.
const EXCEPTIONS: u64 = 3;
const RELOCATIONS: u64 = 5;

/// Reads the headers; `None` if it is no such file.
pub(super) fn read(file: &[u8]) -> Option<Image> {
    if !file.starts_with(b"MZ") {
        return None;
    }
    let start = u64::from(u32_at(file, 0x3C)?);
    if u32_at(file, start)? != u32::from_le_bytes(*b"PE\0\0") {
        return None;
    }
    let machine = u16_at(file, start + 4)?;
    let code = match machine {
        X86_64 => Rule::X86_64 { absolute: false },
        AARCH64 => Rule::Aarch64,
        _ => return None,
    };
    let (count, optional_len) = (u16_at(file, start + 6)?, u16_at(file, start + 20)?);
    let optional = start + 24;
    if u16_at(file, optional)? != PE32_PLUS {
        return None;
    }
    let base = u64_at(file, optional + 24)?;
    let (image_len, headers_len) = (u32_at(file, optional + 56)?, u32_at(file, optional + 60)?);

    let headers = u64::from(headers_len);
    let mut segments =
        vec![Segment { offset: 0, len: headers, address: base, memory_len: headers, code: false }];
    for index in 0..u64::from(count) {
        let at = optional + u64::from(optional_len) + 40 * index;
        let field = |skip| u32_at(file, at + skip);
        segments.push(Segment {
            offset: field(20)?.into(),
            len: field(16)?.into(),
            address: base.checked_add(field(12)?.into())?,
            memory_len: field(8)?.into(),
            code: field(36)? & EXECUTE != 0,
        });
    }
    let mut image = Image::new(file.len() as u64, segments, &[]);
    for index in 0..u64::from(count) {
        let at = optional + u64::from(optional_len) + 40 * index;
        let (offset, len) = (u32_at(file, at + 20)?, u32_at(file, at + 16)?);
        image.name(&text_at(file, at, 8), offset.into(), len.into());
    }
    for segment in image.layout.segments.clone().iter().skip(1) {
        let words = Words { pointers: true, base: Some(base), limit: image_len, other: None };
        let rule = if segment.code { code.clone() } else { Rule::Words(words) };
        image.place(segment.offset, segment.len, rule);
    }
    let directory = |index: u64| -> Option<(u64, u64)> {
        let at = optional + 112 + 8 * index;
        let address = base.checked_add(u32_at(file, at)?.into())?;
        Some((address, u32_at(file, at + 4)?.into()))
    };
    if let Some((offset, len)) = located(&image, directory(EXCEPTIONS))
        && machine == X86_64
    {
        let fields = [0, 4, 8].map(|at| RecordField { at, holds: Holds::From(base) });
        image.place(offset, len, Rule::Sorted { stride: 12, fields: fields.to_vec() });
    }
    if let Some((offset, len)) = located(&image, directory(RELOCATIONS)) {
        image.place(offset, len, Rule::Records { stride: 1, fields: Vec::new() });
        image.lists.push(PackedList { offset, len, base, kind: ListKind::Blocks });
    }
    Some(image)
}

fn located(image: &Image, range: Option<(u64, u64)>) -> Option<(u64, u64)> {
    let (address, len) = range?;
    Some((image.layout.offset(address)?, len))
}
