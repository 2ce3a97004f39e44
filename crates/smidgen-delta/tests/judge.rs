//! A decoder in Python as a foreign judge of our patches: it was written from the documents of the format, and shares no code.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use smidgen_delta::{
    Codec,
    diff::{DiffOptions, diff},
};
use support::{
    Seeded, go_program,
    program::{Container, KINDS, Machine, Program},
    signed::signed,
};

#[path = "../../smidgen-testkit/src/python.rs"]
#[allow(clippy::expect_used, unreachable_pub, reason = "a module of tests here, and public where it lives")]
mod python;
mod support;

fn judge() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge")
}

fn run(command: &mut Command) -> Result<String, String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(output) => Err(format!("{command:?} failed: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) => Err(format!("{command:?} did not start: {error}")),
    }
}

/// Two files.
struct Case {
    name: String,
    old: Vec<u8>,
    new: Vec<u8>,
}

fn case(name: impl Into<String>, old: Vec<u8>, new: Vec<u8>) -> Case {
    Case { name: name.into(), old, new }
}

/// Code that refers in every way, and some that is none. What counts from a register, and more, lies `frame` further on.
fn code(seed: &mut Seeded, machine: Machine, len: usize, frame: u8) -> Vec<u8> {
    const WORDS: [u32; 15] = [
        0x9400_0000,
        0x1400_0000,
        0x5400_0000,
        0x3400_0000,
        0x3600_0000,
        0x1800_0000,
        0x1000_0000,
        0x9000_0000,
        0x9100_0000,
        0xF940_0000,
        0x3DC0_0000,
        0xA940_0000,
        0xF840_0000,
        0xD100_0000,
        0,
    ];
    const INSTRUCTIONS: [(&[u8], usize); 16] = [
        (&[0xE8], 4),
        (&[0xE9], 4),
        (&[0x0F, 0x84], 4),
        (&[0x74], 1),
        (&[0x48, 0x8B, 0x05], 4),
        (&[0xC7, 0x05], 8),
        (&[0x8B, 0x44, 0x24], 1),
        (&[0x8B, 0x45], 1),
        (&[0x8B, 0x80], 4),
        (&[0x89, 0x84, 0x24], 4),
        (&[0x83, 0xC0], 1),
        (&[0x48, 0xB8], 8),
        (&[0x66, 0xB8], 2),
        (&[0xC4, 0xE3, 0x79, 0x0F, 0x05], 5),
        (&[0x06, 0x0F], 3),
        (&[0xC3], 0),
    ];
    let mut code = Vec::new();
    while code.len() < len {
        match machine {
            Machine::X86_64 => {
                let (opcode, behind) = INSTRUCTIONS[seed.below(INSTRUCTIONS.len())];
                code.extend(opcode);
                let small = seed.below(200) as u64 + u64::from(frame);
                code.extend(small.to_le_bytes().into_iter().chain([0; 8]).take(behind));
            }
            Machine::Aarch64 => {
                let operands = seed.below(1 << 14) as u32 + (u32::from(frame) << 10);
                code.extend((WORDS[seed.below(WORDS.len())] | operands).to_le_bytes());
            }
        }
    }
    code
}

/// Programs of every kind: one that has grown, with functions that changed places and stack frames that changed; and any,
/// with any edits.
fn programs() -> Vec<Case> {
    let mut cases = Vec::new();
    for (container, machine) in KINDS {
        let kind = format!("{container:?}-{machine:?}");
        let (mut old, mut new) = (Program::seeded(150, None), Program::seeded(150, Some(40)));
        for function in (0..150).step_by(3) {
            let code = |frame| code(&mut Seeded(function as u64), machine, 60, frame);
            old.grow(function, code(0));
            new.grow(function, code(if function % 2 == 0 { 8 } else { 0 }));
        }
        (0..12).for_each(|which| new.edit([4, which * 9, which * 5, 0]));
        cases.push(case(
            format!("{kind}-grown"),
            old.image(container, machine),
            new.image(container, machine),
        ));
        let mut seed = Seeded(3);
        for round in 0..4 {
            let old = Program::read(&mut seed.bytes(3000).into_iter());
            let mut new = old.clone();
            (0..5 * round).for_each(|_| new.edit(seed.bytes(4).try_into().unwrap()));
            let (old, new) = (old.image(container, machine), new.image(container, machine));
            cases.push(case(format!("{kind}-{round}"), old, new));
        }
    }
    cases
}

/// Programs of which much is new: all in parts, or code coded and data in a part.
fn parts() -> Vec<Case> {
    let mut seed = Seeded(4);
    let mut cases = Vec::new();
    for machine in [Machine::X86_64, Machine::Aarch64] {
        for (name, functions, grown, data) in [("parts", 60, 30, 300), ("mixed", 450, 6, 14_000)] {
            let mut program = Program::seeded(functions, None);
            let old = program.image(Container::Elf, machine);
            (0..grown).for_each(|index| program.grow(2 * index, code(&mut seed, machine, 1000, 0)));
            let new = [program.image(Container::Elf, machine), seed.program(data)].concat();
            cases.push(case(format!("{machine:?}-{name}"), old, new));
        }
    }
    cases
}

/// What is no program, or hardly one.
fn others() -> Vec<Case> {
    let mut seed = Seeded(5);
    let words = ["patch", "build", "of", "the", "old", "file", "that", "moves", "\n"];
    let text: Vec<u8> =
        (0..2000).flat_map(|_| [words[seed.below(words.len())].as_bytes(), b" "].concat()).collect();
    let edited = seed.edited(&text, 12);
    let noise = seed.bytes(3000);
    let other = seed.bytes(2500);
    let program = Program::seeded(40, None).image(Container::Elf, Machine::X86_64);
    vec![
        case("text", text, edited),
        case("noise", noise.clone(), [&noise[700..], &other[..900]].concat()),
        case("unrelated", noise, other),
        case("empty-old", vec![], program[..2000].to_vec()),
        case("cut", program.clone(), program[..program.len() / 3].to_vec()),
        case("headless", program[64..].to_vec(), program),
    ]
}

/// An ELF file whose pointers stand between other words, bitmaps of where they are, and records that say how to unwind; with
/// more bytes among the words, all places behind those are others.
fn with_bitmaps(more: usize) -> Vec<u8> {
    const BASE: u64 = 0x40_0000;
    const DATA: usize = 0x1000;
    let mut file = vec![0; DATA];
    let mut seed = Seeded(6);
    let mut places = Vec::new();
    for index in 0..1500 {
        if index == 200 {
            file.extend(vec![0xEE; more]);
        }
        if seed.below(2) == 0 {
            places.push(BASE + file.len() as u64);
            file.extend((BASE + DATA as u64 + 8 * seed.below(1000) as u64).to_le_bytes());
        } else {
            file.extend(seed.bytes(8));
        }
    }
    let bitmaps = file.len();
    let mut rest = &places[..];
    while let [first, others @ ..] = rest {
        file.extend(first.to_le_bytes());
        rest = others;
        let mut next = first + 8;
        loop {
            let here = rest.iter().take_while(|place| **place < next + 8 * 63).count();
            if here == 0 {
                break;
            }
            let bits = rest[..here].iter().fold(1_u64, |bits, place| bits | 2 << ((place - next) / 8));
            file.extend(bits.to_le_bytes());
            rest = &rest[here..];
            next += 8 * 63;
        }
    }
    let records = file.len();
    file.extend([12, 0, 1, 0].map(u32::to_le_bytes).concat());
    for (index, place) in places.iter().enumerate() {
        let at = file.len();
        let field =
            |behind: usize, address: u64| (address as u32).wrapping_sub((BASE as usize + at + behind) as u32);
        file.extend([20, (at + 4 - records) as u32, field(8, *place), 8].map(u32::to_le_bytes).concat());
        // Every other record has data of four bytes.
        file.push(if index % 2 == 0 { 4 } else { 0 });
        file.extend(field(17, *place + 4).to_le_bytes());
        file.extend([0; 3]);
    }
    let names = file.len();
    file.extend(b"\0.data\0.relr.dyn\0.eh_frame\0\0\0\0\0");
    file.resize(file.len().next_multiple_of(8), 0);
    let sections = file.len();
    let mut put = |bytes: &[u64]| file.extend(bytes.iter().flat_map(|word| word.to_le_bytes()));
    put(&[0; 8]);
    for (name, kind, flags, start, end) in [
        (1, 1, 3, DATA, bitmaps),
        (7, 19, 2, bitmaps, records),
        (17, 1, 2, records, names),
        (0, 3, 0, names, sections),
    ] {
        put(&[name | kind << 32, flags, BASE + start as u64, start as u64, (end - start) as u64, 0, 0, 0]);
    }
    file[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3E\0");
    let head = [64, sections as u64, 56 << 48, 1 | 64 << 16 | 5 << 32 | 4 << 48, 1 | 7 << 32, 0, BASE, BASE];
    let len = [sections as u64; 2];
    for (at, word) in (32..).step_by(8).zip(head.into_iter().chain(len)) {
        file[at..at + 8].copy_from_slice(&word.to_le_bytes());
    }
    file
}

/// The same, where its index of unwinding says that the data of entries reach beyond the table.
fn with_data_beyond(mut file: Vec<u8>) -> Vec<u8> {
    let table = file.windows(8).position(|head| head == [1, 0, 0, 0, 28, 0, 0, 0]).unwrap();
    let word = |at: usize| u32::from_le_bytes(file[table + at..][..4].try_into().unwrap()) as usize;
    let last = table + word(20) + 12 * (word(24) - 1);
    file[last + 8..last + 12].copy_from_slice(&0xFF_FFFF_u32.to_le_bytes());
    file
}

/// Go's tables with lines that moved, bitmaps and records of unwinding, and digests of pages.
fn tables() -> Vec<Case> {
    let which: Vec<u32> = (0..60).collect();
    let mut grown = which.clone();
    grown.insert(17, 99);
    let moved = |file: u32, line: u32| line + if file == 0 { u32::from(line >= 300) * 3 } else { 1 };
    let image = |longer| signed(Program::seeded(150, longer).image(Container::MachO, Machine::Aarch64));
    vec![
        case("go", go_program::of(&which, |_, line| line), go_program::of(&grown, moved)),
        case("bitmaps", with_bitmaps(0), with_bitmaps(24)),
        case("signed", image(None), image(Some(40))),
        case("data-beyond", with_data_beyond(image(None)), image(Some(40))),
    ]
}

/// All that a patch can have: sections, ways of extra bytes, rules, packings (rule 10), what a plan may say besides.
fn all() -> BTreeSet<String> {
    let numbered = |name, range: RangeInclusive<u8>| range.map(move |number| format!("{name}-{number}"));
    let extra = ["none", "coded", "parted", "mixed"].map(|way| format!("extra-{way}"));
    let single = ["lines", "pages", "section-10"].map(str::to_owned);
    extra
        .into_iter()
        .chain(single)
        .chain(numbered("section", 16..=29))
        .chain(numbered("rule", 0..=9))
        .chain(numbered("packing", 0..=3))
        .collect()
}

/// Judge and encoder agree on every byte, over patches of every kind.
#[test]
fn a_decoder_in_python_rebuilds_what_the_encoder_saw() {
    let below = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let Some(python) = python::python_with(&judge().join("requirements.txt"), below) else { return };
    let folder = below.join(format!("judged-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    let cases: Vec<Case> = [programs(), parts(), others(), tables()].into_iter().flatten().collect();
    for Case { name, old, new } in &cases {
        let patch = diff(old, new, &DiffOptions::default().with_codec(Codec::Reference)).unwrap();
        fs::write(folder.join(format!("{name}.old")), old).unwrap();
        fs::write(folder.join(format!("{name}.patch")), patch).unwrap();
    }
    let said = run(Command::new(python).arg("-B").arg(judge()).arg(&folder));
    let said = said.unwrap_or_else(|error| panic!("{error}"));
    for Case { name, new, .. } in &cases {
        let made = fs::read(folder.join(format!("{name}.made"))).unwrap();
        let differs = made.iter().zip(new).position(|(made, new)| made != new);
        assert!(
            made == *new,
            "{name}: {} bytes of {}, differs at {differs:?}\n{said}",
            made.len(),
            new.len()
        );
    }
    let seen = said.lines().find_map(|line| line.strip_prefix("seen: ")).unwrap_or_default();
    assert_eq!(seen.split(' ').map(str::to_owned).collect::<BTreeSet<_>>(), all());
    fs::remove_dir_all(folder).unwrap();
}
