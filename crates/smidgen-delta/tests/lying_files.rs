//! Files that lie about their structure: the reference-aware codec makes a patch of them all the same, soon, and that
//! rebuilds the new file.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use smidgen_delta::{
    Codec, Limits, Patch,
    diff::{DiffOptions, diff},
};
use support::{
    Seeded, go_program,
    program::{Container, KINDS, Machine, Program},
    signed::signed,
};

mod support;

/// Makes a patch and applies it.
fn round_trip(old: &[u8], new: &[u8], what: &str) {
    let patch = diff(old, new, &DiffOptions::default().with_codec(Codec::Reference));
    let patch = patch.unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut made = Vec::new();
    Patch::open(&patch, &Limits::default()).unwrap().apply(&old, &mut made).unwrap();
    assert!(made == new, "{what}");
}

fn go(longer: bool) -> Vec<u8> {
    let which: Vec<u32> = (0..if longer { 41 } else { 40 }).collect();
    go_program::of(&which, |file, line| line + if longer && file == 0 { 3 } else { 0 })
}

fn signed_program(longer: Option<usize>) -> Vec<u8> {
    signed(Program::seeded(60, longer).image(Container::MachO, Machine::Aarch64))
}

fn find(file: &[u8], bytes: &[u8]) -> usize {
    file.windows(bytes.len()).position(|found| found == bytes).unwrap()
}

/// One number of a header, of Go's tables or of a code signature is as large or as small as can be, in one file or in both.
#[test]
fn numbers_that_cannot_be_cost_bytes_and_nothing_else() {
    let mut pairs: Vec<(String, Vec<u8>, Vec<u8>)> = KINDS
        .into_iter()
        .map(|(container, machine)| {
            let image = |longer| Program::seeded(60, longer).image(container, machine);
            (format!("{container:?} {machine:?}"), image(None), image(Some(20)))
        })
        .collect();
    pairs.push(("Go".into(), go(false), go(true)));
    pairs.push(("signed".into(), signed_program(None), signed_program(Some(20))));
    let mut seed = Seeded(17);
    for (name, old, new) in &pairs {
        for _ in 0..120 {
            // Every number of the format, and where else it has some.
            let place = |file: &[u8], within: usize| match name.as_str() {
                "Go" if within.is_multiple_of(2) => find(file, &[0xF1, 0xFF, 0xFF, 0xFF]) + within / 2 % 72,
                "Go" => file.len() - 384 + within % 384,
                "signed" if within.is_multiple_of(2) => {
                    find(file, &[0xFA, 0xDE, 0x0C, 0xC0]) + within / 2 % 64
                }
                _ => within % 768,
            };
            let (within, width, which) = (4 * seed.below(192), [2, 4, 8][seed.below(3)], 1 + seed.below(3));
            let len = old.len() as u64;
            let values = [0, 1, 8, 0xFFFF, 1 << 31, u64::MAX, u64::MAX - 7, len, len / 8];
            let value = values[seed.below(values.len())];
            let value =
                if seed.below(2) == 0 { value.to_le_bytes() } else { value.rotate_left(32).to_be_bytes() };
            let lie = |file: &[u8], lies: bool| {
                let mut file = file.to_vec();
                if lies {
                    let at = place(&file, within);
                    file[at..at + width].copy_from_slice(&value[..width]);
                }
                file
            };
            let what = format!("{name}: {width} bytes of {value:x?} at {within} in {which}");
            round_trip(&lie(old, which & 1 != 0), &lie(new, which & 2 != 0), &what);
        }
    }
}

/// Once the list of digests of no page became a match of no byte, which decoders refuse: the patch could not be applied.
#[test]
fn a_code_signature_of_no_page_is_bytes() {
    let old = signed_program(None);
    let mut new = signed_program(Some(20));
    let directory = find(&new, &[0xFA, 0xDE, 0x0C, 0x02]);
    new[directory + 28..directory + 36].fill(0);
    round_trip(&old, &new, "no pages");
}

/// Once a list of functions that leaves the file stood in the patch, which decoders refuse.
#[test]
fn more_functions_than_the_file_has_room_for_are_not_go_s() {
    let (mut old, new) = (go(false), go(true));
    let header = find(&old, &[0xF1, 0xFF, 0xFF, 0xFF]);
    let many = old.len() as u64 / 8;
    old[header + 8..header + 16].copy_from_slice(&many.to_le_bytes());
    round_trip(&old, &new, "many functions");
}

/// Once where the table of sections begins was added to before it was looked at.
#[test]
fn a_table_of_sections_at_the_end_of_all_numbers_is_none() {
    let mut old = Program::seeded(60, None).image(Container::Elf, Machine::X86_64);
    old[40..48].copy_from_slice(&(u64::MAX - 7).to_le_bytes());
    let new = Program::seeded(60, Some(20)).image(Container::Elf, Machine::X86_64);
    round_trip(&old, &new, "sections at the end");
}

/// Once a load command could tell of more sections than it has room for, again every eight bytes: three million here.
#[test]
fn sections_lie_in_their_load_command() {
    let mut old = Program::seeded(60, None).image(Container::MachO, Machine::Aarch64);
    let new = Program::seeded(60, Some(20)).image(Container::MachO, Machine::Aarch64);
    // All of it is commands of a segment, eight bytes each, and so the number of their sections is eight or 25.
    let commands = 1_u32 << 17;
    old.splice(32.., [0x19_u32, 8].map(u32::to_le_bytes).concat().repeat(commands as usize));
    old[16..20].copy_from_slice(&commands.to_le_bytes());
    let end = old.len() as u32;
    old.extend((0..4 << 20).map(|at: u32| (at ^ end) as u8));
    round_trip(&old, &new, "overlapping commands");
}

/// Once each of so many segments was held against each of so many sections of code, which took four seconds.
#[test]
fn many_segments_and_many_sections_of_code_are_read_soon() {
    let mut old = Program::seeded(60, None).image(Container::Elf, Machine::X86_64);
    let new = old.clone();
    let table = old.len().next_multiple_of(8);
    old.resize(table + 64, 0);
    let mut put = |at: usize, value: u64, width: usize| {
        old[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    };
    // 65,535 headers of both kinds, all of them the same one.
    for (place, size, count) in [(32, 54, 56), (40, 58, 60)] {
        put(place, table as u64, 8);
        put(size, 0, 2);
        put(count, 0xFFFF, 2);
    }
    // A segment to be loaded that may be executed, which as a section has instructions at its own addresses.
    for (at, value) in [(0, 1 | 1 << 32), (8, 6), (16, 0x1000), (24, 0), (32, 0x4000), (40, 0x4000)] {
        put(table + at, value, 8);
    }
    round_trip(&old, &new, "many segments");
}

/// Once each place that begins like Go's tables led to a search of the whole file, which took minutes here.
#[test]
fn many_places_that_begin_like_go_s_tables_are_looked_at_soon() {
    let mut old = go(false);
    let new = go(true);
    let header = find(&old, &[0xF1, 0xFF, 0xFF, 0xFF]);
    // Its own place in memory is another one for each copy, so that no module data point at it.
    let copy = old[header..header + 72].to_vec();
    old.resize(old.len().next_multiple_of(8), 0);
    for _ in 0..1 << 16 {
        old.extend(&copy);
    }
    old[header] = 0;
    let len = (old.len() as u64).to_le_bytes();
    for of_segment in [96, 104] {
        old[of_segment..of_segment + 8].copy_from_slice(&len);
    }
    round_trip(&old, &new, "many heads");
}

/// Once each of 65,535 headers that are one and the same had its whole table of relocations read again, which took nine seconds.
#[test]
fn many_headers_of_one_table_are_read_as_one() {
    let mut old = Program::seeded(60, None).image(Container::Elf, Machine::X86_64);
    let new = old.clone();
    old.resize(4 << 20, 0);
    let header = old.len() - 64;
    let mut put = |at: usize, value: u64, width: usize| {
        old[at..at + width].copy_from_slice(&value.to_le_bytes()[..width]);
    };
    // Of a size of 0, and a table of relocations that is half of the file.
    put(40, header as u64, 8);
    put(58, 0, 2);
    put(60, 0xFFFF, 2);
    put(62, 0, 2);
    put(header + 4, 4, 4);
    put(header + 24, 2 << 20, 8);
    put(header + 32, header as u64 - (2 << 20), 8);
    round_trip(&old, &new, "many headers");
}
