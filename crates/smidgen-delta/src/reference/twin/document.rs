//! The test vectors of `docs/models.md`, held against the models, the plan, the walk and the twin: document and code cannot
//! drift apart.
#![allow(clippy::panic, reason = "a test fails by panicking, its helpers too")]

use std::collections::HashMap;

use super::{
    super::{
        bytes::{Bytes, Contexts, Effort, fold},
        coder::{Coder, Decoder, Encoder},
        extra::Extra,
        half::Half,
        model::{Bit, Number, Symbol},
        nibbles,
        parted::PartWriter,
        plan::{self, Plan, Sizes},
        recall,
        walk::{ExtraStream, Streams, Walk},
    },
    Extras, Sections, apply, bytes as slow_bytes, coder as slow, plan as slow_plan,
};
use crate::{Limits, Patch, old::OldFile};

const DOCUMENT: &str = include_str!("../../../../../docs/models.md");

/// A fenced block of vectors: what it is, its name, and its lines as words, without comments.
struct Block {
    kind: &'static str,
    name: &'static str,
    lines: Vec<Vec<&'static str>>,
}

impl Block {
    /// The words of all lines that begin with this one.
    fn all(&self, first: &str) -> Vec<&'static str> {
        let lines = self.lines.iter().filter(|line| line[0] == first);
        lines.flat_map(|line| line[1..].iter().copied()).collect()
    }

    fn hex(&self, first: &str) -> Vec<u8> {
        let digits: String = self.all(first).concat();
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        (0..digits.len()).step_by(2).map(byte).collect()
    }

    fn number(&self, first: &str) -> u64 {
        let words = self.all(first);
        assert_eq!(words.len(), 1, "{} {}: {first}", self.kind, self.name);
        number(words[0]) as u64
    }
}

fn blocks() -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut inside = false;
    for line in DOCUMENT.lines() {
        if let Some(head) = line.strip_prefix("```vector ") {
            let (kind, name) = head.split_once(' ').unwrap();
            blocks.push(Block { kind, name, lines: Vec::new() });
            inside = true;
        } else if line.starts_with("```") {
            inside = false;
        } else if inside {
            let words: Vec<&str> = line.split('#').next().unwrap().split_whitespace().collect();
            if !words.is_empty() {
                blocks.last_mut().unwrap().lines.push(words);
            }
        }
    }
    blocks
}

fn of_kind(kind: &str) -> Vec<Block> {
    let found: Vec<Block> = blocks().into_iter().filter(|block| block.kind == kind).collect();
    assert!(!found.is_empty(), "the document has vectors of the kind {kind}");
    found
}

fn named(kind: &str, name: &str) -> Option<Block> {
    blocks().into_iter().find(|block| block.kind == kind && block.name == name)
}

/// A number in decimal digits, or in hexadecimal ones behind `0x`.
fn number(word: &str) -> i128 {
    match word.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).unwrap(),
        None => word.parse().unwrap(),
    }
}

fn small(word: &str) -> u32 {
    u32::try_from(number(word)).unwrap()
}

/// What went through a coder.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Event {
    Bit(u16, bool),
    Symbol([u16; 16], usize),
}

/// A coder that is watched.
struct Watched<C> {
    coder: C,
    events: Vec<Event>,
}

impl<C> Watched<C> {
    fn new(coder: C) -> Self {
        Self { coder, events: Vec::new() }
    }
}

impl<C: Coder> Coder for Watched<C> {
    fn code(&mut self, chance: u16, bit: bool) -> bool {
        let bit = self.coder.code(chance, bit);
        self.events.push(Event::Bit(chance, bit));
        bit
    }

    fn code_symbol(&mut self, bounds: &[u16; 16], symbol: usize) -> usize {
        let symbol = self.coder.code_symbol(bounds, symbol);
        self.events.push(Event::Symbol(*bounds, symbol));
        symbol
    }
}

/// The models of a trace, each of which comes up when it is first named.
#[derive(Default)]
struct Models {
    bits: HashMap<String, Bit>,
    halves: HashMap<String, Half>,
    threes: HashMap<String, Symbol<3, 8>>,
    fours: HashMap<String, Symbol<4, 16>>,
    eights: HashMap<String, Symbol<8, 256>>,
    numbers: HashMap<String, Number>,
    bytes: HashMap<String, Bytes>,
}

impl Models {
    fn step(&mut self, coder: &mut Watched<impl Coder>, line: &[&str]) {
        let at = line.iter().position(|word| *word == "of").unwrap_or(line.len());
        let (line, of) = line.split_at(at);
        let (verb, name, last) = (line[0], line[1].to_owned(), *line.last().unwrap());
        let value = number(last);
        let made: i128 = match verb {
            "model" => {
                self.declare(line);
                return;
            }
            "at" => coder.code(small(&name) as u16, value == 1).into(),
            "among" => {
                let mut bounds = [0; 16];
                let given = line[1..].iter().zip(&mut bounds[1..]);
                given.for_each(|(word, bound)| *bound = small(word) as u16);
                coder.code_symbol(&bounds, value as usize) as i128
            }
            "bit" => self.bits.entry(name).or_default().code(coder, value == 1).into(),
            "half" => self.halves.entry(name).or_default().code(coder, value as usize) as i128,
            "symbol3" => self.threes.entry(name).or_default().code(coder, value as u32).into(),
            "symbol4" => self.fours.entry(name).or_default().code(coder, value as u32).into(),
            "symbol8" => self.eights.entry(name).or_default().code(coder, value as u32).into(),
            "number" => self.numbers.entry(name).or_default().code(coder, value as u64).into(),
            "signed" => self.numbers.entry(name).or_default().code_signed(coder, value as i64).into(),
            "byte" => {
                let contexts = Contexts {
                    recall: [small(line[2]), small(line[3])],
                    halves: [small(line[4]), small(line[5])],
                };
                let model = self.bytes.get_mut(&name).unwrap();
                model.code(coder, &contexts, small(line[6]) as usize, value as u8).into()
            }
            other => panic!("{other}"),
        };
        assert_eq!(made, value, "{line:?}");
        let of: Vec<u16> = of.iter().skip(1).map(|word| small(word) as u16).collect();
        match (coder.events.last(), of.as_slice()) {
            (_, []) => {}
            (Some(Event::Bit(chance, _)), [of]) => assert_eq!(chance, of, "{line:?}"),
            (Some(Event::Symbol(bounds, _)), of) => assert_eq!(bounds[1..], *of, "{line:?}"),
            other => panic!("{line:?}: {other:?}"),
        }
    }

    fn declare(&mut self, line: &[&str]) {
        let name = line[1].to_owned();
        let numbers: Vec<u32> = line[3..].iter().map(|word| small(word)).collect();
        match (line[2], numbers.as_slice()) {
            ("bit", [chance, seen]) => {
                self.bits.insert(name, Bit::expecting(*chance as u16, *seen as u8));
            }
            ("bytes", [log, trust, sets]) => {
                let effort = Effort { log: *log as u8, trust: *trust as u8 };
                self.bytes.insert(name, Bytes::new(effort, *sets as usize));
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The same of the twin's, which only reads.
#[derive(Default)]
struct SlowModels {
    bits: HashMap<String, slow::Bit>,
    halves: HashMap<String, slow::Half>,
    symbols: HashMap<String, slow::Symbol>,
    numbers: HashMap<String, slow::Number>,
    bytes: HashMap<String, slow_bytes::Bytes>,
}

impl SlowModels {
    fn step(&mut self, coder: &mut slow::Coder<'_>, line: &[&str]) {
        let line = line.split(|word| *word == "of").next().unwrap();
        let (verb, name, last) = (line[0], line[1].to_owned(), *line.last().unwrap());
        let value = number(last);
        let made: i128 = match verb {
            "model" if line[2] == "bit" => {
                let bit = slow::Bit::expecting(small(line[3]).into(), small(line[4]).into());
                self.bits.insert(name, bit);
                return;
            }
            "model" => {
                self.bytes.insert(name, slow_bytes::Bytes::new(small(line[3]), small(line[4])));
                return;
            }
            "at" => coder.bit(small(&name).into()).into(),
            "among" => {
                let mut bounds = [0; 16];
                line[1..].iter().zip(&mut bounds[1..]).for_each(|(word, bound)| *bound = small(word).into());
                coder.symbol(bounds) as i128
            }
            "bit" => self.bits.entry(name).or_default().read(coder).into(),
            "half" => self.halves.entry(name).or_insert_with(|| slow::Half::new(3)).read(coder).into(),
            "symbol3" => self.symbols.entry(name).or_default().read(coder, 3).into(),
            "symbol4" => self.symbols.entry(name).or_default().read(coder, 4).into(),
            "symbol8" => self.symbols.entry(name).or_default().read(coder, 8).into(),
            "number" => self.numbers.entry(name).or_default().read(coder).into(),
            "signed" => self.numbers.entry(name).or_default().read_signed(coder).into(),
            "byte" => {
                let contexts = slow_bytes::Contexts {
                    recall: [small(line[2]), small(line[3])],
                    halves: [small(line[4]), small(line[5])],
                };
                self.bytes.get_mut(&name).unwrap().read(coder, &contexts, small(line[6])).into()
            }
            other => panic!("{other}"),
        };
        assert_eq!(made, value, "{line:?}");
    }
}

/// Lines that say how a block is to be read, and are no steps of a trace.
fn is_step(line: &[&str]) -> bool {
    !["bytes", "raw", "sizes"].contains(&line[0])
}

/// Holds the steps of a block against its bytes, in all three ways; gives what went through the coder, and the bytes.
fn trace(block: &Block) -> (Vec<Event>, Vec<u8>) {
    let bytes = block.hex("bytes");
    let steps = || block.lines.iter().filter(|line| is_step(line));
    let (mut encoder, mut models) = (Watched::new(Encoder::new()), Models::default());
    steps().for_each(|line| models.step(&mut encoder, line));
    let encoded = encoder.coder.finish();
    assert_eq!(hex_of(&encoded), hex_of(&bytes), "{} {}", block.kind, block.name);
    let mut decoder = Watched::new(Decoder::new(&bytes, 0, bytes.len() as u64));
    let mut models = Models::default();
    steps().for_each(|line| models.step(&mut decoder, line));
    assert_eq!(decoder.events, encoder.events);
    assert!(decoder.coder.is_used_up());
    let (mut coder, mut models) = (slow::Coder::new(&bytes), SlowModels::default());
    steps().for_each(|line| models.step(&mut coder, line));
    assert!(coder.is_used_up());
    (encoder.events, bytes)
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x} ")).collect()
}

/// The plan that a block's bytes are, in both decoders, whose steps are those of the block.
fn plan_of(block: &Block) -> (Plan, Sizes, Vec<u8>) {
    let (events, bytes) = trace(block);
    let [old, new] = block.all("sizes").try_into().map(|sizes: [&str; 2]| sizes.map(small)).unwrap();
    let (sizes, raw) = (Sizes { old: old.into(), new: new.into() }, block.number("raw"));
    let mut decoder = Watched::new(Decoder::new(&bytes, 0, bytes.len() as u64));
    let read = plan::code(&mut decoder, &Plan::default(), raw, sizes).unwrap();
    let differs = decoder.events.iter().zip(&events).position(|(one, other)| one != other);
    assert_eq!(differs, None, "{}: steps", block.name);
    assert_eq!(decoder.events.len(), events.len());
    let mut encoder = Encoder::new();
    assert_eq!(plan::code(&mut encoder, &read, raw, sizes).unwrap(), read);
    assert_eq!(hex_of(&encoder.finish()), hex_of(&bytes));
    let mut coder = slow::Coder::new(&bytes);
    let slowly = slow_plan::read(&mut coder);
    assert!(coder.is_used_up() && slowly.matches.len() == read.matches.len());
    (read, sizes, bytes)
}

#[test]
fn steps_of_the_document_are_its_bytes() {
    for block in of_kind("trace") {
        trace(&block);
    }
}

#[test]
fn hashes_of_the_document_are_those_of_the_code() {
    for block in of_kind("hashes") {
        for line in &block.lines {
            let (made, twin) = match line[..] {
                ["fold", a, b, "=", _] => {
                    (fold(small(a), small(b)), Some(slow_bytes::fold(small(a), small(b))))
                }
                ["recall", context, "=", _] => (recall::spread(small(context)), None),
                ["halves", context, "=", _] => (nibbles::spread(small(context)), None),
                ["below", hash, high, "=", _] => (nibbles::below(small(hash), small(high) as usize), None),
                _ => panic!("{line:?}"),
            };
            let expected = small(line.last().unwrap());
            assert_eq!((made, twin.unwrap_or(expected)), (expected, expected), "{line:?}: {made:#010x}");
        }
    }
}

#[test]
fn plans_of_the_document_are_read_in_the_order_that_it_says() {
    of_kind("plan").iter().for_each(|block| drop(plan_of(block)));
}

/// The section of an example, and what goes through a coder that reads it.
fn section(kind: &str, name: &str) -> (Vec<Event>, Vec<u8>) {
    named(kind, name).map_or_else(Default::default, |block| trace(&block))
}

#[test]
fn examples_of_the_document_come_out_step_by_step() {
    for block in of_kind("files") {
        let name = block.name;
        let (old, new) = (block.hex("old"), block.hex("new"));
        let (plan, sizes, packed_plan) = plan_of(&named("plan", name).unwrap());
        assert_eq!((sizes.old, sizes.new), (old.len() as u64, new.len() as u64));
        let wanted = ["references", "add", "extra"].map(|kind| section(kind, name));
        let [references, add, extra] = wanted.each_ref().map(|(_, bytes)| bytes.clone());

        let extra_len = new.len() as u64 - plan.matches.iter().map(|found| found.len).sum::<u64>();
        let models = || Box::new(Extra::new(extra_len, plan.has_words()));
        let walked = {
            fn watched<'a>(bytes: &'a &[u8]) -> Watched<Decoder<'a>> {
                Watched::new(Decoder::new(bytes, 0, bytes.len() as u64))
            }
            let (references, add, extra): (&[u8], &[u8], &[u8]) = (&references, &add, &extra);
            let mut streams = Streams::<_, PartWriter> {
                references: watched(&references),
                add: watched(&add),
                extra: ExtraStream::Coded(watched(&extra), models()),
            };
            let mut made = Vec::new();
            let mut file = OldFile::new(&old);
            let emit = |bytes: &[u8]| {
                made.extend_from_slice(bytes);
                Ok(())
            };
            Walk::new(&plan, &mut file).unwrap().run(&mut streams, &mut file, &[], sizes.new, emit).unwrap();
            assert_eq!(hex_of(&made), hex_of(&new), "{name}");
            let ExtraStream::Coded(extra, _) = streams.extra else { panic!("it was coded") };
            [streams.references, streams.add, extra].map(|watched| {
                assert!(watched.coder.is_used_up(), "{name}");
                watched.events
            })
        };
        assert_eq!(walked, wanted.map(|(events, _)| events), "{name}");

        let sections =
            Sections { plan: packed_plan.clone(), references, add, extra: Extras::Coded(extra.clone()) };
        let made = apply(&sections, &old, sizes.new);
        assert!(made.new == new && made.sections_are_used_up, "{name}");

        if let Some(patch) = named("patch", name) {
            let bytes = patch.hex("bytes");
            let all = [packed_plan, sections.references, sections.add, extra].concat();
            assert!(bytes.ends_with(&all), "the patch has the sections that were traced");
            let mut out = Vec::new();
            Patch::open(bytes, &Limits::default()).unwrap().apply(&old, &mut out).unwrap();
            assert_eq!(hex_of(&out), hex_of(&new));
        }
    }
}
