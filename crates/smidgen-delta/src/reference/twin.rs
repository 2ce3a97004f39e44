//! A second decoder, slow and written to be read: whole files in memory, tables that are maps, nothing asked ahead. It
//! uses none of the real one's code and judges it: what both make of the same patch must be the same.
//!
//! It takes patches that the encoder made, and panics on others.

mod bytes;
mod coder;
mod differing;
mod document;
mod extra;
mod generated;
mod instruction;
mod line_numbers;
mod lists;
mod map;
mod parted;
mod plan;
mod prediction;
#[path = "../../tests/support/program.rs"]
mod program;
mod reference;
#[cfg(test)]
mod vectors;

use std::collections::BTreeSet;

use sha2::{Digest as _, Sha256};

use coder::Coder;
use differing::Differing;
use extra::Extra;
use lists::Lists;
use map::{Map, Tables};
use parted::Parts;
use plan::{Match, Plan, Rule};
use prediction::{Predictor, Surroundings};

/// Matches and extra bytes are taken in pieces of this size.
const STRETCH: u64 = 16 * 1024;

/// The packed sections of a patch.
#[derive(Clone, Debug, Default)]
struct Sections {
    plan: Vec<u8>,
    references: Vec<u8>,
    add: Vec<u8>,
    extra: Extras,
}

/// The extra bytes.
#[derive(Clone, Debug)]
enum Extras {
    /// Bit by bit.
    Coded(Vec<u8>),
    /// Code bit by bit, what is none as a part, unpacked.
    Mixed(Vec<u8>, Box<Parts>),
    /// In parts.
    Parted(Box<Parts>),
}

impl Default for Extras {
    fn default() -> Self {
        Self::Coded(Vec::new())
    }
}

/// What came of a patch.
struct Made {
    new: Vec<u8>,
    /// Whether every section was read to its end.
    sections_are_used_up: bool,
    /// The classes of the references there were.
    classes: BTreeSet<u8>,
    /// The kinds of packed lists there were.
    lists: BTreeSet<u8>,
}

/// Makes the new file, of `new_size` bytes.
fn apply(sections: &Sections, old: &[u8], new_size: u64) -> Made {
    let mut coder = Coder::new(&sections.plan);
    let plan = plan::read(&mut coder);
    assert!(coder.is_used_up());
    let right = plan.lines.as_ref().map(|lines| line_numbers::put_right(old, lines));
    let old = right.as_deref().unwrap_or(old);
    let extra = new_size - plan.matches.iter().map(|found| found.len).sum::<u64>();
    let mut walk = Walk::new(&plan, sections, old, extra);
    let end = Match { old: 0, new: new_size, len: 0 };
    let mut before = Match::default();
    for next in plan.matches.iter().chain([&end]) {
        let last = (before.old + before.len).saturating_sub(1);
        for start in (before.new + before.len..next.new).step_by(STRETCH as usize) {
            walk.make_extra(last, start, STRETCH.min(next.new - start));
        }
        for done in (0..next.len).step_by(STRETCH as usize) {
            let len = STRETCH.min(next.len - done);
            walk.make_stretch(next, Match { old: next.old + done, new: next.new + done, len });
        }
        before = *next;
    }
    let extra_is_used_up = match &walk.extra {
        ExtraReader::Coded(coder, _) => coder.is_used_up(),
        ExtraReader::Mixed(coder, _, parts) => coder.is_used_up() && parts.is_used_up(),
        ExtraReader::Parted(parts) => parts.is_used_up(),
    };
    let sections_are_used_up = extra_is_used_up && walk.references.is_used_up() && walk.add.is_used_up();
    Made { new: walk.new, sections_are_used_up, classes: walk.classes, lists: walk.lists.kinds }
}

/// What bytes are part of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Content {
    X86_64,
    Aarch64,
    /// By rule.
    Data(u32),
}

struct Walk<'a> {
    plan: &'a Plan,
    old: &'a [u8],
    new: Vec<u8>,
    map: Map,
    tables: Tables,
    lists: Lists,
    references: Coder<'a>,
    add: Coder<'a>,
    extra: ExtraReader<'a>,
    predictor: Predictor,
    differing: Differing,
    classes: BTreeSet<u8>,
}

/// Where extra bytes come from.
enum ExtraReader<'a> {
    Coded(Coder<'a>, Box<Extra>),
    Mixed(Coder<'a>, Box<Extra>, Box<Parts>),
    Parted(Box<Parts>),
}

impl<'a> Walk<'a> {
    fn new(plan: &'a Plan, sections: &'a Sections, old: &'a [u8], extra: u64) -> Self {
        let map = Map::new(&plan.matches, &plan.old, &plan.new);
        let digests = plan.pages.map_or(0, |(log, end)| end.div_ceil(1 << log) * 32);
        let tables = Tables::new(old, old.len() as u64 + digests, &plan.regions, &plan.old, &map);
        let mut references = Coder::new(&sections.references);
        let behind = tables.start + tables.bytes.len() as u64;
        let lists = Lists::read(&mut references, old, behind, 6 * tables.room, &plan.regions, &map);
        let has_words = plan.regions.iter().any(|region| matches!(region.rule, Rule::Aarch64));
        Self {
            plan,
            old,
            new: Vec::new(),
            map,
            tables,
            lists,
            references,
            add: Coder::new(&sections.add),
            extra: match &sections.extra {
                Extras::Coded(bytes) => {
                    ExtraReader::Coded(Coder::new(bytes), Box::new(Extra::new(extra, has_words)))
                }
                Extras::Mixed(bytes, parts) => {
                    let models = Extra::new(extra - parts.len() as u64, has_words);
                    ExtraReader::Mixed(Coder::new(bytes), Box::new(models), parts.clone())
                }
                Extras::Parted(parts) => ExtraReader::Parted(parts.clone()),
            },
            predictor: Predictor::new(old.len() as u64),
            differing: Differing::new(),
            classes: BTreeSet::new(),
        }
    }

    /// What lies at a place of the old file.
    fn content(&self, offset: u64) -> Content {
        let region = self.plan.regions.iter().find(|region| (region.start..region.end()).contains(&offset));
        match region.map(|region| &region.rule) {
            None | Some(Rule::Packed(_)) => Content::Data(0),
            Some(Rule::X86_64 { .. }) => Content::X86_64,
            Some(Rule::Aarch64) => Content::Aarch64,
            Some(Rule::Words(_)) => Content::Data(1),
            Some(Rule::Records(..)) => Content::Data(2),
            Some(Rule::Unwinding) => Content::Data(3),
            Some(Rule::GoFunctions(_)) => Content::Data(4),
            Some(Rule::Rebases(_)) => Content::Data(5),
            Some(Rule::Chained(_)) => Content::Data(6),
            Some(Rule::Buckets(_)) => Content::Data(7),
        }
    }

    fn make_extra(&mut self, last: u64, start: u64, len: u64) {
        let content = self.content(last);
        let address = self.plan.new.address(start).unwrap_or(start);
        match &mut self.extra {
            ExtraReader::Coded(coder, models) => {
                models.read(coder, content, address, len as usize, &mut self.new);
            }
            ExtraReader::Mixed(coder, models, _) if !matches!(content, Content::Data(_)) => {
                models.read(coder, content, address, len as usize, &mut self.new);
            }
            ExtraReader::Mixed(_, _, parts) | ExtraReader::Parted(parts) => {
                parts.read(content, address, len as usize, &mut self.new);
            }
        }
    }

    fn make_stretch(&mut self, whole: &Match, stretch: Match) {
        let (from, to) = (stretch.old, stretch.old + stretch.len);
        let old_size = self.old.len() as u64;
        let surroundings = self.surroundings(whole);
        let (mut bytes, found) = if from >= self.lists.start {
            let range = (from - self.lists.start) as usize..(to - self.lists.start) as usize;
            (self.lists.bytes[range].to_vec(), Vec::new())
        } else if from >= self.tables.start {
            let range = (from - self.tables.start) as usize..(to - self.tables.start) as usize;
            (self.tables.bytes[range].to_vec(), self.tables.find(&self.plan.old, from, to))
        } else if from >= old_size {
            let mut digests = self.digests();
            digests.resize((to - old_size) as usize, 0);
            (digests.split_off((from - old_size) as usize), Vec::new())
        } else {
            let mut found = reference::find(self.old, &self.plan.old, &self.plan.regions, from, to);
            // One bit says whether all those that may rest do.
            if self.predictor.read_rest(&mut self.references) {
                found.retain(|reference| !surroundings.may_rest(reference));
            }
            (self.old[from as usize..to as usize].to_vec(), found)
        };
        let address = self.plan.new.address(stretch.new).unwrap_or(0);
        self.predictor.misses = 0;
        for reference in found {
            self.classes.insert(reference.class);
            let at = (reference.offset - from) as usize;
            let field = &mut bytes[at..at + reference.form.len];
            let was = reference.form.read(field);
            let address = address.wrapping_add(at as u64);
            let coder = &mut self.references;
            let value = self.predictor.read(coder, &self.map, &reference, was, address, surroundings);
            reference.form.write(field, value);
        }
        let contents: Vec<Content> = (from..to).map(|offset| self.content(offset)).collect();
        self.differing.read(&mut self.add, &mut bytes, from, &contents);
        self.new.extend(bytes);
    }

    fn surroundings(&self, found: &Match) -> Surroundings {
        let (old, new) = (&self.plan.old, &self.plan.new);
        let address = old.address(found.old);
        let is_loaded = address.is_some() && new.address(found.new).is_some();
        let len = found.len.min(old.room(found.old)).min(new.room(found.new));
        Surroundings { place: found.new, address: address.unwrap_or(0), len: if is_loaded { len } else { 0 } }
    }

    /// The digests of the pages that are complete.
    fn digests(&self) -> Vec<u8> {
        let Some((log, end)) = self.plan.pages else { return Vec::new() };
        let digested = &self.new[..self.new.len().min(end as usize)];
        let is_complete = |page: &&[u8]| page.len() == 1 << log || digested.len() as u64 == end;
        digested.chunks(1 << log).filter(is_complete).flat_map(Sha256::digest).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, num::NonZeroUsize};

    use super::{
        super::{
            coder::{Coder as RealCoder, Decoder, Encoder},
            encoder::{self, Ideas},
            extra::Extra as RealExtra,
            parted::{PartWriter, Parts as RealParts},
            plan::{self as real_plan, Plan},
            walk::{ExtraStream, Streams, Walk as RealWalk},
        },
        Coder, Extras, Sections, apply,
        generated::{Case, Random},
        line_numbers,
        parted::Parts,
        plan,
        program::{Container, KINDS, Machine, Program},
    };
    use crate::{SectionKind, diff::pack::Packed, old::OldFile};

    fn packed_plan(case: &Case) -> Vec<u8> {
        let mut coder = Encoder::new();
        let written = real_plan::code(&mut coder, &case.plan, case.plan.raw_size(), case.sizes()).unwrap();
        assert_eq!(written, case.plan);
        coder.finish()
    }

    /// The real walk: what it makes of streams, or with the new file writes to them. `None` if it refuses the plan.
    fn walk<C: RealCoder, P: RealParts>(
        case: &Case,
        streams: &mut Streams<C, P>,
        truth: &[u8],
    ) -> Option<Vec<u8>> {
        let mut old = OldFile::new(&case.old);
        let walk = RealWalk::new(&case.plan, &mut old).ok()?;
        let mut made = Vec::new();
        let emit = |bytes: &[u8]| {
            made.extend_from_slice(bytes);
            Ok(())
        };
        walk.run(streams, &mut old, truth, case.new_size, emit).unwrap();
        Some(made)
    }

    /// What the real decoder makes of sections that may hold anything.
    fn decode(case: &Case, sections: &Sections) -> Option<Vec<u8>> {
        fn decoder<'a>(bytes: &'a &[u8]) -> Decoder<'a> {
            Decoder::new(bytes, 0, bytes.len() as u64)
        }
        let Sections { references, add, extra: Extras::Coded(extra), .. } = sections else {
            panic!("bits that may be any");
        };
        let (references, add, extra): (&[u8], &[u8], &[u8]) = (references, add, extra);
        let mut streams = Streams::<_, PartWriter> {
            references: decoder(&references),
            add: decoder(&add),
            extra: ExtraStream::Coded(decoder(&extra), models(case)),
        };
        walk(case, &mut streams, &[])
    }

    fn models(case: &Case) -> Box<RealExtra> {
        Box::new(RealExtra::new(case.extra(), case.plan.has_words()))
    }

    /// How extra bytes are written.
    #[derive(Clone, Copy)]
    enum Way {
        Coded,
        Mixed,
        Parted,
    }

    /// What the real encoder says of a new file.
    fn encode(case: &Case, new: &[u8], way: Way) -> Sections {
        let code = case.plan.extra_code(case.new_size);
        let extra = match way {
            Way::Coded => ExtraStream::Coded(Encoder::new(), models(case)),
            Way::Mixed => {
                let models = Box::new(RealExtra::new(code, case.plan.has_words()));
                ExtraStream::Mixed(Encoder::new(), models, PartWriter::default())
            }
            Way::Parted => ExtraStream::Parted(PartWriter::default()),
        };
        let mut streams = Streams { references: Encoder::new(), add: Encoder::new(), extra };
        assert!(walk(case, &mut streams, new).unwrap() == new);
        let Streams { references, add, extra } = streams;
        let [references, add] = [references, add].map(Encoder::finish);
        let parts = |written: PartWriter| Box::new(Parts::new(written.parts));
        let extra = match extra {
            ExtraStream::Coded(coder, _) => Extras::Coded(coder.finish()),
            ExtraStream::Mixed(coder, _, written) => Extras::Mixed(coder.finish(), parts(written)),
            ExtraStream::Parted(written) => Extras::Parted(parts(written)),
        };
        Sections { plan: packed_plan(case), references, add, extra }
    }

    fn judge(seed: u64, case: &Case, made: &[u8], expected: &[u8]) {
        let differs = made.iter().zip(expected).position(|(one, other)| one != other);
        let is_same = made == expected;
        assert!(is_same, "seed {seed}: at {differs:?} of {} bytes\n{:#?}", case.new_size, case.plan.regions);
    }

    /// Without extra bytes, and with an add section that says of no byte that it differs, every new byte follows from
    /// plan, old file and references; and any bits are references.
    #[test]
    fn both_make_the_same_of_any_plan_and_any_references() {
        let (mut classes, mut lists, mut changes) = (BTreeSet::new(), BTreeSet::new(), 0);
        for seed in 0..600 {
            let random = &mut Random(seed);
            let case = Case::new(random, false);
            changes += case.plan.lines.as_ref().map_or(0, |lines| lines.changes);
            let sections = Sections {
                plan: packed_plan(&case),
                references: random.bytes(case.new_size / 4),
                // An empty section reads as the longest gap there is.
                ..Sections::default()
            };
            let made = apply(&sections, &case.old, case.new_size);
            classes.extend(made.classes);
            lists.extend(made.lists);
            judge(seed, &case, &made.new, &decode(&case, &sections).unwrap());
        }
        // Nothing that can be found was left out; 48 to 55 are the fields of records.
        let all = (0..=46).chain(48..=55);
        assert!(classes.iter().copied().eq(all), "{classes:?}");
        assert!(lists.iter().copied().eq(0..6), "{lists:?}");
        assert!(changes > 1000, "{changes}");
    }

    #[test]
    fn both_put_the_same_line_numbers_right() {
        let mut changes = 0;
        for seed in 5000..5400 {
            let case = Case::new(&mut Random(seed), false);
            let Some(lines) = &case.plan.lines else { continue };
            let mut old = OldFile::new(&case.old);
            let found = lines.changes(&mut old, lines.changes as usize).unwrap().found;
            changes += found.len();
            old.change(found);
            let mut right = vec![0; case.old.len()];
            old.read(&mut right, 0).unwrap();
            let plan = plan::read(&mut Coder::new(&packed_plan(&case)));
            let judged = line_numbers::put_right(&case.old, &plan.lines.unwrap());
            let at = right.iter().zip(&judged).position(|(one, other)| one != other);
            assert_eq!(at, None, "seed {seed}: {lines:?}");
        }
        assert!(changes > 1000, "{changes}");
    }

    /// Any bits are differing bytes and extra bytes, too.
    #[test]
    fn both_make_the_same_of_any_sections() {
        for seed in 1000..1200 {
            let random = &mut Random(seed);
            let case = Case::new(random, true);
            let sections = Sections {
                plan: packed_plan(&case),
                references: random.bytes(case.new_size / 8),
                add: random.bytes(case.new_size / 8),
                extra: Extras::Coded(random.bytes(case.new_size)),
            };
            let made = apply(&sections, &case.old, case.new_size);
            judge(seed, &case, &made.new, &decode(&case, &sections).unwrap());
        }
    }

    /// A new file that has much of the old one, as it is or with its references moved, a byte changed here and there,
    /// and something like code between.
    fn edited(case: &Case, random: &mut Random) -> Vec<u8> {
        let misses = random.below(2) * case.new_size / 16;
        let guided = Sections {
            references: random.bytes(misses),
            extra: Extras::Coded(random.bytes(case.extra() / 3)),
            ..Sections::default()
        };
        let mut new = decode(case, &guided).unwrap();
        for _ in 0..random.below(1 + case.new_size / 50) {
            let at = random.below(case.new_size) as usize;
            new[at] = new[at].wrapping_add(1 + random.below(3) as u8);
        }
        new
    }

    #[test]
    fn what_the_encoder_writes_the_twin_reads() {
        for seed in 2000..2200 {
            let random = &mut Random(seed);
            let case = Case::new(random, true);
            let new = edited(&case, random);
            for way in [Way::Coded, Way::Mixed, Way::Parted] {
                let made = apply(&encode(&case, &new, way), &case.old, case.new_size);
                judge(seed, &case, &made.new, &new);
                assert!(made.sections_are_used_up, "seed {seed}");
            }
        }
    }

    /// The sections that the encoder writes.
    fn encode_files(old: &[u8], new: &[u8]) -> Sections {
        of_packed(encoder::encode(old, new, NonZeroUsize::MIN, Ideas::ALL).unwrap().sections)
    }

    fn of_packed(all: Vec<Packed>) -> Sections {
        let mut sections = Sections::default();
        for packed in all {
            match packed.kind {
                SectionKind::Plan => sections.plan = packed.bytes,
                SectionKind::References => sections.references = packed.bytes,
                SectionKind::AddCoded => sections.add = packed.bytes,
                SectionKind::ExtraCoded => sections.extra = Extras::Coded(packed.bytes),
                kind => panic!("{kind}: little of these programs is new"),
            }
        }
        sections
    }

    /// The plan that a section holds, if the decoder takes it for a case.
    fn real_plan_of(packed: &[u8], case: &Case, raw_size: u64) -> Option<Plan> {
        let mut coder = Decoder::new(&packed, 0, packed.len() as u64);
        let plan = real_plan::code(&mut coder, &Plan::default(), raw_size, case.sizes()).ok()?;
        coder.is_used_up().then_some(plan)
    }

    /// Two builds of a small program, and what the encoder says of them.
    fn builds(random: &mut Random) -> (Case, Sections) {
        let (container, machine) = KINDS[random.below(6) as usize];
        let program = Program::read(&mut random.bytes(1500).into_iter());
        let mut next = program.clone();
        (0..random.below(12)).for_each(|_| next.edit(random.bytes(4).try_into().unwrap()));
        let (old, new) = (program.image(container, machine), next.image(container, machine));
        let packed = encoder::encode(&old, &new, NonZeroUsize::MIN, Ideas::ALL).unwrap().sections;
        let raw_size = packed[0].raw_size;
        let sections = of_packed(packed);
        let mut case = Case { old, new_size: new.len() as u64, plan: Plan::default() };
        case.plan = real_plan_of(&sections.plan, &case, raw_size).unwrap();
        (case, sections)
    }

    /// An encoder that once says something else than it is told.
    struct Meddler {
        coder: Encoder,
        /// Bits and symbols until then.
        left: u64,
        symbol: usize,
    }

    impl Meddler {
        fn is_due(&mut self) -> bool {
            self.left = self.left.wrapping_sub(1);
            self.left == u64::MAX
        }
    }

    impl RealCoder for Meddler {
        fn code(&mut self, chance: u16, bit: bool) -> bool {
            let meddles = self.is_due();
            self.coder.code(chance, bit ^ meddles)
        }

        fn code_symbol(&mut self, bounds: &[u16; 16], symbol: usize) -> usize {
            let symbol = if self.is_due() { self.symbol } else { symbol };
            self.coder.code_symbol(bounds, symbol)
        }
    }

    /// A plan's section, in which a bit or symbol may be another one.
    fn meddled(case: &Case, random: &mut Random) -> Vec<u8> {
        const NEVER: u64 = u64::MAX - 1;
        let symbol = random.below(16) as usize;
        let coded = |left| {
            let mut meddler = Meddler { coder: Encoder::new(), left, symbol };
            let _ = real_plan::code(&mut meddler, &case.plan, case.plan.raw_size(), case.sizes());
            meddler
        };
        let count = NEVER - coded(NEVER).left;
        coded(random.below(count)).coder.finish()
    }

    /// Up to three bytes become others, most often near the end, and of an empty section none.
    fn change(bytes: &mut [u8], random: &mut Random) {
        for _ in 0..1 + random.below(3) {
            let from_end = random.below(bytes.len() as u64) >> random.pick(&[0, 0, 4, 8]);
            let byte = random.bytes(1)[0];
            bytes.iter_mut().rev().nth(from_end as usize).into_iter().for_each(|place| *place = byte);
        }
    }

    /// Where the decoder makes anything at all of an honest patch some of whose bytes are others, or whose plan says another
    /// thing in one place, its twin makes the same.
    #[test]
    fn both_make_the_same_of_patches_some_of_whose_bytes_are_others() {
        const MEDDLED: usize = 4;
        let mut judged = [0; 5];
        for seed in 6000..6040 {
            let random = &mut Random(seed);
            let (mut case, honest) = if seed % 2 == 0 {
                builds(random)
            } else {
                let case = Case::new(random, true);
                let new = edited(&case, random);
                let sections = encode(&case, &new, Way::Coded);
                (case, sections)
            };
            let plan = case.plan.clone();
            // Few plans of other bytes are taken: what follows the place is all other.
            for place in [0; 30].into_iter().chain([MEDDLED; 30]).chain([1, 2, 3].repeat(6)) {
                case.plan.clone_from(&plan);
                let mut sections = honest.clone();
                if place == MEDDLED {
                    sections.plan = meddled(&case, random);
                } else {
                    let Extras::Coded(extra) = &mut sections.extra else { panic!("it was coded") };
                    let all = [&mut sections.plan, &mut sections.references, &mut sections.add, extra];
                    change(all.into_iter().nth(place).unwrap(), random);
                }
                let Some(changed) = real_plan_of(&sections.plan, &case, plan.raw_size()) else { continue };
                case.plan = changed;
                let Some(expected) = decode(&case, &sections) else { continue };
                let made = apply(&sections, &case.old, case.new_size);
                judge(seed, &case, &made.new, &expected);
                judged[place] += 1;
            }
        }
        assert!(judged.iter().all(|count| *count > 150), "{judged:?}");
    }

    /// Functions change places, and a new one comes: the tables of base relocations, and those of starts and unwinding together,
    /// are made from the old ones.
    #[test]
    fn packed_lists_of_programs_are_made_again() {
        for (container, machine) in KINDS {
            let mut program = Program::seeded(600, Some(200));
            (0..40).for_each(|which| program.edit([4, which * 5, which * 3, 0]));
            let old = Program::seeded(600, None).image(container, machine);
            let new = program.image(container, machine);
            let made = apply(&encode_files(&old, &new), &old, new.len() as u64);
            assert!(made.new == new && made.sections_are_used_up);
            let expected: &[u8] = match container {
                Container::Elf => &[],
                Container::Pe => &[1],
                Container::MachO | Container::Chained => &[3, 5],
            };
            assert!(made.lists.iter().eq(expected), "{container:?} {machine:?}: {:?}", made.lists);
        }
    }

    /// A linker that does not say again how functions with records are unwound: with an address more, which the starts have, its
    /// table would be another one. Once both lists were made again because each alone paid, though they are read as one.
    #[test]
    fn lists_of_functions_that_cannot_be_one_are_not_both_made_again() {
        let image = |program: Program| {
            let mut file = program.image(Container::MachO, Machine::X86_64);
            // Frames become records.
            for way in [1_u32, 31] {
                let (frame, record) = ((0x0100_0000 | way).to_le_bytes(), (0x0400_0000 | way).to_le_bytes());
                let places: Vec<usize> =
                    (0..file.len() - 4).filter(|at| file[*at..].starts_with(&frame)).collect();
                assert!(!places.is_empty());
                places.into_iter().for_each(|at| file[at..at + 4].copy_from_slice(&record));
            }
            file
        };
        let mut program = Program::seeded(600, Some(200));
        (0..40).for_each(|which| program.edit([4, which * 5, which * 3, 0]));
        let (old, new) = (image(Program::seeded(600, None)), image(program));
        let made = apply(&encode_files(&old, &new), &old, new.len() as u64);
        assert!(made.new == new && made.sections_are_used_up);
        assert!(made.lists.len() < 2, "{:?}", made.lists);
    }

    /// Whole patches, from headers of executables to the last byte.
    #[test]
    fn programs_of_every_kind_come_out_of_their_patches() {
        for (index, (container, machine)) in KINDS.into_iter().enumerate() {
            for seed in 0..6 {
                let random = &mut Random(3000 + 100 * index as u64 + seed);
                let program = Program::read(&mut random.bytes(4000).into_iter());
                let mut next = program.clone();
                (0..random.below(25)).for_each(|_| next.edit(random.bytes(4).try_into().unwrap()));
                let (old, new) = (program.image(container, machine), next.image(container, machine));
                let made = apply(&encode_files(&old, &new), &old, new.len() as u64);
                assert!(made.new == new, "{container:?} {machine:?}, seed {seed}");
                assert!(made.sections_are_used_up);
            }
        }
    }
}
