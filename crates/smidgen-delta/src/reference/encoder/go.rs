//! Go's tables (Go 1.20 and later), found by the header of `pclntab` and the module data that points at it; the
//! same in ELF, PE and Mach-O. Layouts: `runtime/symtab.go` of the Go distribution.

use super::{
    super::region::{GoBases, Holds, RecordField, Rule, Words},
    image::Image,
    numbers::{u32_at, u64_at},
};

/// The first bytes of `pclntab`: a magic number, two zeros.
const MAGIC: [u8; 6] = [0xF1, 0xFF, 0xFF, 0xFF, 0, 0];

/// Words of the module data (`runtime.moduledata`), by ordinal.
mod module {
    pub(super) const FIND_FUNCTIONS: u64 = 19;
    pub(super) const MAX_PC: u64 = 21;
    pub(super) const TEXT: u64 = 22;
    pub(super) const TYPES: u64 = 37;
    pub(super) const TYPES_END: u64 = 38;
    pub(super) const FUNCTION_DATA: u64 = 40;
    pub(super) const TYPE_LINKS: u64 = 45;
    pub(super) const TYPE_LINKS_LEN: u64 = 46;
}

/// Bytes of code that one entry of `findfunctab` is for, and bytes of the entry.
const BUCKET: (u64, u64) = (4096, 20);

/// Gives the ranges of Go's tables their rules.
pub(super) fn refine(file: &[u8], image: &mut Image) {
    for at in (0..file.len().saturating_sub(72)).step_by(8) {
        let head = &file[at..at + 8];
        if head.starts_with(&MAGIC) && matches!(head[6], 1 | 4) && head[7] == 8 {
            let mut refined = image.clone();
            if place_tables(file, at as u64, &mut refined).is_some() {
                *image = refined;
                return;
            }
        }
    }
}

fn place_tables(file: &[u8], start: u64, image: &mut Image) -> Option<()> {
    let header = |index: u64| u64_at(file, start + 8 + 8 * index);
    let functions = header(0)?;
    let [names, units, files, tables, records] = [header(3)?, header(4)?, header(5)?, header(6)?, header(7)?];
    let ordered = names < units && units <= files && files <= tables && tables <= records;
    if !ordered || records > file.len() as u64 || functions > file.len() as u64 / 8 {
        return None;
    }
    let address = image.layout.address(start)?;
    // The module data begins with a pointer to the header and one to the names.
    let wanted = [address.to_le_bytes(), address.checked_add(names)?.to_le_bytes()].concat();
    let data = (0..file.len().saturating_sub(16)).step_by(8).find(|at| file[*at..].starts_with(&wanted))?;
    let data = |word: u64| u64_at(file, data as u64 + 8 * word);
    let text = data(module::TEXT)?;

    let from = |at, base| RecordField { at, holds: Holds::From(base) };
    let plain = || Rule::Records { stride: 1, fields: Vec::new() };
    image.place(start, units, plain());
    let rule = Rule::Records { stride: 4, fields: vec![from(0, address.wrapping_add(files))] };
    image.place(start + units, files - units, rule);
    image.place(start + files, records - files, plain());

    // Pairs of entry and record for each function, one entry more for the end, then the records.
    let pairs = start + records;
    let rule =
        Rule::Records { stride: 8, fields: vec![from(0, text), from(4, address.wrapping_add(records))] };
    image.place(pairs, 8 * functions + 4, rule);
    let first = pairs.checked_add(u32_at(file, pairs + 4)?.into())?;
    let function_data = data(module::FUNCTION_DATA)?;
    let last = image.layout.offset(function_data).filter(|end| *end >= first)?;
    let bases = GoBases {
        text,
        names: address.wrapping_add(names),
        tables: address.wrapping_add(tables),
        units: address.wrapping_add(units),
        data: function_data,
    };
    image.place(first, last - first, Rule::GoFunctions(bases));

    // Function data ends where the index of functions by address begins. Of its words only names can be told.
    let buckets = image.layout.offset(data(module::FIND_FUNCTIONS)?)?;
    let limit = u32::try_from(units - names).ok()?;
    let rule =
        Rule::Words(Words { pointers: false, base: Some(address.wrapping_add(names)), limit, other: None });
    image.place(last, buckets.saturating_sub(last), rule);
    let count = data(module::MAX_PC)?.checked_sub(text)?.div_ceil(BUCKET.0);
    image.place(buckets, count.checked_mul(BUCKET.1)?, plain());

    // Types refer to names and types from the start of types, to methods from the start of the code.
    let (types, types_end) = (data(module::TYPES)?, data(module::TYPES_END)?);
    let limit = u32::try_from(types_end.checked_sub(types)?).ok()?;
    let rule = Rule::Words(Words { pointers: true, base: Some(types), limit, other: Some(text) });
    let types_start = image.layout.offset(types)?;
    image.place(types_start, limit.into(), rule);
    let links = image.layout.offset(data(module::TYPE_LINKS)?)?;
    let rule = Rule::Records { stride: 4, fields: vec![from(0, types)] };
    image.place(links, data(module::TYPE_LINKS_LEN)?.checked_mul(4)?, rule);
    Some(())
}
