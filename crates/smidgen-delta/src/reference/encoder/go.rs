//! Go's tables (1.20 to 1.27), found by the header of `pclntab` and the module data that points at it; the
//! same in ELF, PE and Mach-O. Layouts: `runtime/symtab.go` of the Go distribution.

use super::{
    super::{
        buckets::PART,
        line_numbers::Tables,
        plan::MAX_RECORDS,
        region::{Buckets, GoBases, Holds, RecordField, Rule, Words},
    },
    image::Image,
    line_numbers,
    numbers::{u32_at, u64_at},
};

/// The first bytes of `pclntab`: a magic number, two zeros.
const MAGIC: [u8; 6] = [0xF1, 0xFF, 0xFF, 0xFF, 0, 0];
/// So many places that begin like `pclntab` are looked at: each may take a search of the whole file.
const MAX_HEADS: usize = 8;

/// Words of the module data (`runtime.moduledata`), by ordinal.
mod module {
    pub(super) const RECORDS: u64 = 13;
    pub(super) const RECORDS_LEN: u64 = 14;
    pub(super) const FIND_FUNCTIONS: u64 = 19;
    pub(super) const MAX_PC: u64 = 21;
    pub(super) const TEXT: u64 = 22;
    pub(super) const TYPES: u64 = 37;
    /// The end of types and the function data: up to Go 1.26, and from 1.27 on, which has the length of descriptors
    /// between the former and the start.
    pub(super) const TYPES_END: [u64; 2] = [38, 39];
    pub(super) const FUNCTION_DATA: [u64; 2] = [40, 43];
    /// Type links: up to Go 1.25, in 1.26; not any more from 1.27 on.
    pub(super) const TYPE_LINKS: [u64; 2] = [44, 45];
}

/// Gives the ranges of Go's tables their rules.
pub(super) fn refine(file: &[u8], image: &mut Image) {
    let is_head = |at: &usize| {
        let head = &file[*at..at + 8];
        head.starts_with(&MAGIC) && matches!(head[6], 1 | 4) && head[7] == 8
    };
    let heads = (0..file.len().saturating_sub(72)).step_by(8).filter(is_head);
    for at in heads.take(MAX_HEADS) {
        let mut refined = image.clone();
        if place_tables(file, at as u64, &mut refined).is_some() {
            *image = refined;
            return;
        }
    }
}

fn place_tables(file: &[u8], start: u64, image: &mut Image) -> Option<()> {
    let header = |index: u64| u64_at(file, start + 8 + 8 * index);
    let functions = header(0)?;
    let [names, units, files, tables, records] = [header(3)?, header(4)?, header(5)?, header(6)?, header(7)?];
    let ordered = names < units && units <= files && files <= tables && tables <= records;
    let size = file.len() as u64;
    if !ordered || records > size || functions > size / 8 || start + records + 8 * functions + 4 > size {
        return None;
    }
    let address = image.layout.address(start)?;
    // The module data begins with a pointer to the header and one to the names.
    let wanted = [address.to_le_bytes(), address.checked_add(names)?.to_le_bytes()].concat();
    let data = (0..file.len().saturating_sub(16)).step_by(8).find(|at| file[*at..].starts_with(&wanted))?;
    let data = |word: u64| u64_at(file, data as u64 + 8 * word);
    let text = data(module::TEXT)?;
    let types = data(module::TYPES)?;
    // A length is less than any address.
    let edition = usize::from(data(module::TYPES_END[0])? <= types);
    let function_data = data(module::FUNCTION_DATA[edition])?;

    // Go's data hold no words that count from where the image begins, and many small numbers that would seem to. (Those of C
    // that is linked in may hold some: they are bytes then.)
    for region in &mut image.regions {
        if let Rule::Words(words) = &mut region.rule {
            *words = Words { pointers: words.pointers, ..Words::default() };
        }
    }
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
    let records_end = data(module::RECORDS)?.checked_add(data(module::RECORDS_LEN)?)?;
    let last = start.checked_add(records_end.checked_sub(address)?)?.min(size);
    let bases = GoBases {
        text,
        names: address.wrapping_add(names),
        tables: address.wrapping_add(tables),
        units: address.wrapping_add(units),
        data: function_data,
    };
    let len = last.checked_sub(first).filter(|len| *len <= MAX_RECORDS)?;
    image.place(first, len, Rule::GoFunctions(bases));
    image.line_tables = Some(line_numbers::NamedTables {
        names: start + names,
        tables: Tables {
            start: start + tables,
            len: records - tables,
            list: pairs,
            functions: u32::try_from(functions).ok()?,
            files: start + units,
            data: image.layout.offset(function_data)?,
        },
    });

    // What is not where it is expected is left to the plainer rules.
    //
    // Types refer to names and types from the start of types, to methods from the start of the code.
    let types_end = data(module::TYPES_END[edition])?;
    if let (Some(types_start), Some(len)) = (image.layout.offset(types), types_end.checked_sub(types)) {
        let limit = u32::try_from(len).ok()?;
        let rule = Rule::Words(Words { pointers: true, base: Some(types), limit, other: Some(text) });
        image.place(types_start, len, rule);
    }

    // Up to Go 1.25, the index of functions by address lies among the types.
    let buckets = image.layout.offset(data(module::FIND_FUNCTIONS)?);
    if let Some(buckets) = buckets {
        let parts = data(module::MAX_PC)?.checked_sub(text)?.div_ceil(PART);
        let (functions, parts) = (u32::try_from(functions).ok()?, u32::try_from(parts).ok()?);
        let rule = Buckets { list: pairs, functions, text, parts };
        image.place(buckets, rule.len(), Rule::Buckets(rule));
    }
    // From Go 1.26 on, function data follows the records and ends where the index of functions by address begins. Of its
    // words only names can be told.
    if let (Some(buckets), Some(function_data)) = (buckets, image.layout.offset(function_data))
        && (last..buckets).contains(&function_data)
    {
        let names = Some(address.wrapping_add(names));
        let limit = u32::try_from(units - header(3)?).ok()?;
        let rule = Rule::Words(Words { pointers: false, base: names, limit, other: None });
        image.place(function_data, buckets - function_data, rule);
    }

    for word in module::TYPE_LINKS.into_iter().filter(|_| edition == 0) {
        let (links, count) = (image.layout.offset(data(word)?), data(word + 1)?);
        // A slice that has as much room as it is long.
        if let Some(links) = links
            && count == data(word + 2)?
        {
            let rule = Rule::Records { stride: 4, fields: vec![from(0, types)] };
            image.place(links, count.checked_mul(4)?, rule);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::{
                field::Class,
                finder::Finder,
                region::{Region, Segment},
            },
            encode_as_they_say,
            ideas::{Idea, Ideas},
        },
        *,
    };
    use crate::old::OldFile;
    use std::num::NonZeroUsize;

    const BASE: u64 = 0x40_0000;

    /// A file with the module data of one release of Go: where its words stand that differ between them.
    fn program(types_end: usize, function_data: usize, type_links: Option<usize>) -> Vec<u8> {
        let mut file = vec![0_u8; 8192];
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        let (header, module) = (2048, 4096);
        put(header, &[0xF1, 0xFF, 0xFF, 0xFF, 0, 0, 1, 8]);
        for (index, number) in [3_u64, 1, 0, 72, 100, 120, 140, 200].into_iter().enumerate() {
            put(header + 8 + 8 * index, &number.to_le_bytes());
        }
        // The pair of the first function says where its record lies.
        put(header + 200 + 4, &28_u32.to_le_bytes());
        let at = |offset: u64| BASE + offset;
        let mut words = vec![0; 60];
        (words[0], words[1]) = (at(2048), at(2048 + 72));
        (words[13], words[14]) = (at(2248), 200);
        (words[19], words[21], words[22]) = (at(3000), at(1000), at(0));
        (words[37], words[38]) = (at(5000), 64);
        (words[types_end], words[function_data]) = (at(6000), at(2448));
        if let Some(links) = type_links {
            (words[links], words[links + 1], words[links + 2]) = (at(6400), 5, 5);
        }
        words.iter().enumerate().for_each(|(index, word)| put(module + 8 * index, &word.to_le_bytes()));
        file
    }

    #[test]
    fn tables_are_found_by_the_module_data_of_every_release() {
        let releases = [(38, 40, Some(44)), (38, 40, Some(45)), (39, 43, None)];
        for (types_end, function_data, type_links) in releases {
            let file = program(types_end, function_data, type_links);
            let len = file.len() as u64;
            let segment = Segment { offset: 0, len, address: BASE, memory_len: len, code: true };
            let mut image = Image::new(len, vec![segment], &[]);
            refine(&file, &mut image);
            let rule = |start: u64, end: u64| {
                let region = image.regions.iter().find(|region| region.start == start);
                region.filter(|region| region.end() == end).map(|region| region.rule.clone())
            };
            let bases = GoBases {
                text: BASE,
                names: BASE + 2120,
                tables: BASE + 2188,
                units: BASE + 2148,
                data: BASE + 2448,
            };
            assert_eq!(rule(2276, 2448), Some(Rule::GoFunctions(bases)), "{type_links:?}");
            let tables = Tables { start: 2188, len: 60, list: 2248, functions: 3, files: 2148, data: 2448 };
            assert_eq!(image.line_tables, Some(line_numbers::NamedTables { names: 2120, tables }));
            let buckets = Buckets { list: 2248, functions: 3, text: BASE, parts: 4 };
            assert_eq!(rule(3000, 3008), Some(Rule::Buckets(buckets)));
            assert!(matches!(rule(2448, 3000), Some(Rule::Words(Words { pointers: false, .. }))));
            assert!(matches!(rule(5000, 6000), Some(Rule::Words(Words { pointers: true, limit: 1000, .. }))));
            assert_eq!(rule(6400, 6420).is_some(), type_links.is_some());
        }
    }

    #[test]
    fn the_index_of_functions_may_lie_among_the_types() {
        let mut file = program(38, 40, Some(44));
        for (word, offset) in [(19, 5600), (40, 1500)] {
            file[4096 + 8 * word..][..8].copy_from_slice(&(BASE + offset).to_le_bytes());
        }
        let len = file.len() as u64;
        let segment = Segment { offset: 0, len, address: BASE, memory_len: len, code: true };
        let mut image = Image::new(len, vec![segment], &[]);
        refine(&file, &mut image);
        assert_eq!(image.buckets().map(|(start, buckets)| (start, buckets.len())), Some((5600, 8)));
        let words = |start| {
            let region = image.regions.iter().find(|region| region.start == start);
            region.is_some_and(|region| matches!(region.rule, Rule::Words(_)))
        };
        assert!(words(5000) && words(5608));
    }

    /// Up to Go 1.26 a list (`itablink`) leads to what a type has for an interface, wherever that lies; from 1.27 on they
    /// stand one after the other behind the types. Nothing here looks for either: addresses are found where words are.
    #[test]
    fn itabs_are_found_as_pointers_in_every_release() {
        let (types, code) = (BASE + 5008, BASE + 100);
        for (types_end, function_data, type_links, itabs) in
            [(38, 40, Some(44), 7000), (38, 40, Some(45), 7000), (39, 43, None, 5800)]
        {
            let mut file = program(types_end, function_data, type_links);
            // The interface, the type, a hash, a method.
            let itab = [types, types + 64, 0xFEDC_BA98, code];
            let mut words = [itab; 3].concat();
            let mut pointers: Vec<usize> =
                (0..12).filter(|word| word % 4 != 2).map(|word| itabs + 8 * word).collect();
            let links = itabs + 8 * words.len();
            if type_links.is_some() {
                words.extend((0..3).map(|index| BASE + itabs as u64 + 32 * index));
                pointers.extend((0..3).map(|index| links + 8 * index));
            }
            for (index, word) in words.iter().enumerate() {
                file[itabs + 8 * index..][..8].copy_from_slice(&word.to_le_bytes());
            }
            let len = file.len() as u64;
            let segment =
                |offset, len, code| Segment { offset, len, address: BASE + offset, memory_len: len, code };
            let segments = vec![segment(0, 2048, true), segment(2048, len - 2048, false)];
            let mut image = Image::new(len, segments, &[]);
            // What the format's reader says of data.
            image.place(0, len, Rule::Words(Words { pointers: true, ..Words::default() }));
            refine(&file, &mut image);
            let mut old = OldFile::new(&file);
            let mut finder = Finder::new(&image.layout, &image.regions, &mut old).unwrap();
            let mut found = Vec::new();
            let end = itabs + 8 * words.len();
            finder.find(&mut old, itabs as u64, end as u64, None, &mut found).unwrap();
            let read = |at: usize| u64_at(&file, at as u64).unwrap();
            let expected: Vec<_> =
                pointers.iter().map(|at| (*at as u64, read(*at), Class::POINTER)).collect();
            let found: Vec<_> =
                found.iter().map(|found| (found.offset, found.referent, found.class)).collect();
            assert_eq!(found, expected, "{type_links:?}");
        }
    }

    /// Once small numbers in Go's programs for Windows were taken for distances from where the image begins.
    #[test]
    fn words_of_a_go_program_do_not_count_from_the_image() {
        let file = program(38, 40, Some(44));
        let len = file.len() as u64;
        let segment =
            |offset, len, code| Segment { offset, len, address: BASE + offset, memory_len: len, code };
        let segments = vec![segment(0, 2048, true), segment(2048, len - 2048, false)];
        let mut image = Image::new(len, segments, &[]);
        let words = Words { pointers: true, base: Some(BASE), limit: 9000, other: None };
        image.place(0, len, Rule::Words(words));
        refine(&file, &mut image);
        let bases = image.regions.iter().filter_map(|region| match &region.rule {
            Rule::Words(words) => Some(words.base),
            _ => None,
        });
        let bases: Vec<_> = bases.collect();
        assert!(bases.contains(&None) && !bases.contains(&Some(BASE)), "{bases:x?}");
    }

    /// Once what such words counted up to was left behind, which no patch can say: with checks, the encoder stopped.
    #[test]
    fn a_go_program_for_windows_is_encoded_as_one() {
        let mut file = program(38, 40, Some(44));
        let len = file.len() as u32;
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"MZ");
        put(0x3C, &[64]);
        put(64, b"PE\0\0");
        put(64 + 4, &0x8664_u16.to_le_bytes());
        put(64 + 6, &[1]);
        put(64 + 20, &[240]);
        put(88, &0x20B_u16.to_le_bytes());
        put(88 + 24, &BASE.to_le_bytes());
        put(88 + 56, &len.to_le_bytes());
        put(88 + 60, &512_u32.to_le_bytes());
        // The one section: bytes in memory, address, bytes in the file, place.
        let section = [len - 512, 512, len - 512, 512].map(u32::to_le_bytes).concat();
        put(88 + 240 + 8, &section);
        let image = Image::of(&file, Ideas::ALL);
        assert!(image.line_tables.is_some());
        assert!(image.regions.iter().any(|region| matches!(region.rule, Rule::Words(_))));
        let mut next = file.clone();
        next[1500] = 1;
        let encoded = encode_as_they_say(&file, &next, NonZeroUsize::MIN, Ideas::ALL);
        assert!(encoded.unwrap().is_some());
    }

    #[test]
    fn tables_are_left_to_the_plainer_rules_where_their_ideas_are_left_out() {
        let mut file = program(38, 40, Some(44));
        let len = file.len() as u64;
        let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
        // In ELF, with one segment and no sections.
        put(0, b"\x7fELF\x02\x01");
        put(16, &[2, 0, 62]);
        put(32, &[64]);
        put(54, &[56, 0, 1]);
        put(64, &[1, 0, 0, 0, 5]);
        for (at, word) in [(80, BASE), (96, len), (104, len)] {
            put(at, &word.to_le_bytes());
        }
        let without = |idea: Idea| Image::of(&file, Ideas::without(&[idea]));
        let rule = |image: &Image, start: u64| {
            let region = image.regions.iter().find(|region| region.start <= start && start < region.end());
            region.map(|region: &Region| region.rule.clone())
        };
        let words = Some(Rule::Words(Words { pointers: true, ..Words::default() }));
        let all = Image::of(&file, Ideas::ALL);
        assert!(matches!(rule(&all, 2276), Some(Rule::GoFunctions(_))) && all.buckets().is_some());
        assert!(all.line_tables.is_some() && without(Idea::LineNumbers).line_tables.is_none());
        assert_eq!(rule(&without(Idea::GoFunctions), 2276), words);
        assert_eq!(rule(&without(Idea::Buckets), 3000), words);
        let plain = without(Idea::GoTables);
        assert!(plain.line_tables.is_none());
        assert!(plain.regions.iter().all(|region| region.rule == Rule::X86_64 { absolute: true }));
    }
}
