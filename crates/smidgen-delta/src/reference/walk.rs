//! The walk along the matches that makes the new file: one piece of code for both sides, so that they cannot differ.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    account::Made,
    add::Add,
    coder::Coder,
    content::Content,
    control::Match,
    correspondence::Correspondence,
    extra::{Extra, Run, TAIL},
    field::{Inside, Reference},
    finder::Finder,
    list::{self, Lists},
    pages::Pages,
    parted::{self, Parts},
    plan::{Plan, Sizes},
    predict::Predictor,
    sorted::{self, Records, Tables},
    sweep::STRETCH,
};
use crate::{ApplyError, old::OldFile};

/// What is coded where.
pub(crate) struct Streams<C, P> {
    pub(crate) references: C,
    pub(crate) add: C,
    pub(crate) extra: ExtraStream<C, P>,
}

/// The extra bytes, in one of three ways.
pub(crate) enum ExtraStream<C, P> {
    /// Bit by bit, and with models.
    Coded(C, Box<Extra>),
    /// Code bit by bit, and what is none as the part of that.
    Mixed(C, Box<Extra>, P),
    /// In parts.
    Parted(P),
}

impl<C: Coder, P: Parts> ExtraStream<C, P> {
    fn code(&mut self, run: &Run<'_>, made: &mut Vec<u8>) -> Result<(), ApplyError> {
        match self {
            Self::Mixed(_, _, parts) if matches!(run.content, Content::Data(_)) => {
                parted::code(parts, run, made)
            }
            Self::Coded(coder, models) | Self::Mixed(coder, models, _) => {
                models.code(coder, run, made);
                Ok(())
            }
            Self::Parted(parts) => parted::code(parts, run, made),
        }
    }
}

/// What the walk saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// References in matches.
    pub(crate) references: u64,
    /// Those whose first guess was wrong.
    pub(crate) missed: u64,
    /// Bytes of matches.
    pub(crate) add: u64,
    /// Bytes of extra.
    pub(crate) extra: u64,
}

/// What a walk codes. Matches and extra bytes have models and streams of their own, and the encoder knows what both make:
/// it can walk for each beside the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// The new file.
    Everything,
    /// What is in matches.
    #[cfg(feature = "diff")]
    Matches,
    /// What is in none.
    #[cfg(feature = "diff")]
    Extra,
}

impl Scope {
    fn has_matches(self) -> bool {
        match self {
            #[cfg(feature = "diff")]
            Self::Extra => false,
            _ => true,
        }
    }

    fn has_extra(self) -> bool {
        match self {
            #[cfg(feature = "diff")]
            Self::Matches => false,
            _ => true,
        }
    }
}

/// References that are looked up in memory together.
const TOGETHER: usize = 32;

/// The walk and its models.
pub(crate) struct Walk<'p> {
    plan: &'p Plan,
    scope: Scope,
    map: Correspondence,
    tables: Tables,
    lists: Lists,
    finder: Finder<'p>,
    predictor: Predictor,
    add: Add,
    found: Vec<Reference>,
    /// The last bytes of the new file, and what is being added to them.
    made: Vec<u8>,
    pages: Pages,
    /// How many of them were handed out.
    tail: usize,
    seen: Seen,
}

impl<'p> Walk<'p> {
    /// Bytes that a walk allocates, without the plan.
    pub(crate) fn memory(sizes: Sizes, matches: u64) -> u64 {
        let references = STRETCH.saturating_mul(size_of::<[Reference; 2]>() as u64);
        [
            Correspondence::memory(matches),
            Finder::memory(sizes.old),
            Pages::memory(sizes.new),
            sorted::memory(sizes.old),
            list::MEMORY,
            Predictor::memory(sizes.old),
            Add::MEMORY,
            references,
            (2 * STRETCH).saturating_add(TAIL as u64),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Prepares a walk.
    pub(crate) fn new(plan: &'p Plan, old: &mut OldFile<'_>) -> Result<Self, ApplyError> {
        if let Some(lines) = &plan.lines {
            let changes = lines.changes(old, lines.changes as usize)?;
            old.change(changes.found);
        }
        let map = Correspondence::new(&plan.matches, &plan.old, &plan.new);
        let digests = plan.paging.map_or(0, |paging| paging.len());
        let start = old.size().saturating_add(digests);
        let tables = Tables::new(start, Records::Old, &plan.regions, &plan.old, &map, old)?;
        let lists = Lists::new(start.saturating_add(sorted::len(&plan.regions, old.size())));
        Ok(Self {
            plan,
            scope: Scope::Everything,
            map,
            tables,
            lists,
            finder: Finder::new(&plan.old, &plan.regions, old)?,
            predictor: Predictor::new(old.size()),
            add: Add::new(),
            found: Vec::new(),
            made: Vec::new(),
            pages: Pages::new(plan.paging),
            tail: 0,
            seen: Seen::default(),
        })
    }

    /// A walk that codes some of it only, and takes the rest from the new file.
    #[cfg(feature = "diff")]
    pub(crate) fn with_scope(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// Makes the new file, of `new_size` bytes, and hands it to `emit` in pieces. The encoder gives the new file as
    /// `truth`, the decoder nothing.
    pub(crate) fn run<C: Coder, P: Parts>(
        mut self,
        streams: &mut Streams<C, P>,
        old: &mut OldFile<'_>,
        truth: &[u8],
        new_size: u64,
        mut emit: impl FnMut(&[u8]) -> Result<(), ApplyError>,
    ) -> Result<Seen, ApplyError> {
        if self.scope.has_matches() {
            self.lists.make(&mut streams.references, self.plan, &self.map, old, truth)?;
            self.seen.references = self.lists.entries;
            self.seen.missed = self.lists.missed;
        }
        let end = Match { old_offset: 0, new_offset: new_size, len: 0 };
        let mut before = Match::default();
        for next in self.plan.matches.iter().chain([&end]) {
            let content = before.extra_content(&self.plan.regions);
            let mut at = before.new_end();
            while at < next.new_offset {
                let to = at.saturating_add(STRETCH).min(next.new_offset);
                self.make_extra(&mut streams.extra, content, at, to, truth)?;
                self.emit(&mut emit)?;
                at = to;
            }
            let inside = self.inside(next);
            let mut done = 0;
            while done < next.len {
                let len = next.len.saturating_sub(done).min(STRETCH);
                let stretch = Match {
                    old_offset: next.old_offset.saturating_add(done),
                    new_offset: next.new_offset.saturating_add(done),
                    len,
                };
                self.make_match(streams, old, stretch, inside, truth)?;
                self.emit(&mut emit)?;
                done = done.saturating_add(len);
            }
            before = *next;
        }
        Ok(self.seen)
    }

    /// Hands out what was made beyond the tail, and keeps its end as the new tail.
    fn emit(&mut self, emit: &mut impl FnMut(&[u8]) -> Result<(), ApplyError>) -> Result<(), ApplyError> {
        let made = self.made.get(self.tail..).unwrap_or_default();
        self.pages.update(made);
        emit(made)?;
        self.made.drain(..self.made.len().saturating_sub(TAIL));
        self.tail = self.made.len();
        Ok(())
    }

    fn make_extra<C: Coder, P: Parts>(
        &mut self,
        stream: &mut ExtraStream<C, P>,
        content: Content,
        from: u64,
        to: u64,
        truth: &[u8],
    ) -> Result<(), ApplyError> {
        if !self.scope.has_extra() {
            self.made.extend_from_slice(slice(truth, from, to));
            return Ok(());
        }
        let run = Run {
            content,
            offset: from,
            address: self.plan.new.address(from).unwrap_or(from),
            truth: slice(truth, from, to),
            len: to.saturating_sub(from) as usize,
        };
        stream.code(&run, &mut self.made)?;
        self.seen.extra = self.seen.extra.saturating_add(run.len as u64);
        Ok(())
    }

    /// What of a match moves together in memory.
    fn inside(&self, found: &Match) -> Inside {
        let (address, old_room) = self.plan.old.room(found.old_offset);
        let (moved, new_room) = self.plan.new.room(found.new_offset);
        let len =
            if address.is_some() && moved.is_some() { found.len.min(old_room).min(new_room) } else { 0 };
        Inside { place: found.new_offset, address: address.unwrap_or(0), len }
    }

    fn make_match<C: Coder, P>(
        &mut self,
        streams: &mut Streams<C, P>,
        old: &mut OldFile<'_>,
        stretch: Match,
        inside: Inside,
        truth: &[u8],
    ) -> Result<(), ApplyError> {
        if !self.scope.has_matches() {
            self.made.extend_from_slice(slice(truth, stretch.new_offset, stretch.new_end()));
            return Ok(());
        }
        let start = self.made.len();
        self.made.resize(start.saturating_add(stretch.len as usize), 0);
        let bytes = self.made.get_mut(start..).unwrap_or_default();
        self.found.clear();
        let truth = slice(truth, stretch.new_offset, stretch.new_end());
        self.predictor.enter(inside);
        if self.lists.hold(stretch.old_offset) {
            self.lists.read(bytes, stretch.old_offset);
        } else if self.tables.hold(stretch.old_offset) {
            self.tables.read(bytes, stretch.old_offset, &self.plan.old, &mut self.found);
        } else if let Some(offset) = stretch.old_offset.checked_sub(old.size()) {
            self.pages.read(bytes, offset);
        } else {
            old.read(bytes, stretch.old_offset).map_err(ApplyError::OldUnreadable)?;
            let (from, to) = (stretch.old_offset, stretch.old_end());
            // The encoder looks at all of them first, to see whether they rest. What does is never found by the decoder,
            // which is what makes it fast, so the encoder looks again as the decoder will.
            if !truth.is_empty() {
                self.finder.find(old, from, to, None, &mut self.found)?;
            }
            let rests = self.found.iter().all(|reference| {
                let keeps = reference.value_in(bytes, from) == reference.value_in(truth, from);
                keeps || !inside.may_rest(reference.referent, reference.anchor, reference.form)
            });
            let rests = self.predictor.rest(&mut streams.references, rests);
            streams.references.book(Made::Rest { offset: stretch.new_offset });
            self.found.clear();
            self.finder.find(old, from, to, rests.then_some(inside), &mut self.found)?;
        }
        let address = self.plan.new.address(stretch.new_offset).unwrap_or(0);
        for (index, reference) in self.found.iter().enumerate() {
            if index % TOGETHER == 0 {
                let next = self.found.get(index..).unwrap_or_default();
                self.predictor.touch(next.get(..TOGETHER).unwrap_or(next));
            }
            let at = reference.offset.wrapping_sub(stretch.old_offset);
            let form = reference.form;
            let Some(field) =
                (at as usize).checked_add(form.len()).and_then(|end| bytes.get_mut(at as usize..end))
            else {
                continue;
            };
            let was = form.read(field);
            let wanted = match truth {
                [] => 0,
                truth => form.read(truth.get(at as usize..).unwrap_or_default()),
            };
            let (value, right) = self.predictor.code(
                &mut streams.references,
                &self.map,
                reference,
                was,
                address.wrapping_add(at),
                wanted,
            );
            let (class, offset) = (reference.class, stretch.new_offset.wrapping_add(at));
            streams.references.book(Made::Reference { class, right, offset });
            if value != was {
                form.write(field, value);
            }
            self.seen.references = self.seen.references.saturating_add(1);
            self.seen.missed = self.seen.missed.saturating_add(u64::from(!right));
        }
        let regions = &self.plan.regions;
        let content = |offset| Content::at(regions, offset);
        self.add.code(&mut streams.add, bytes, stretch, content, truth);
        self.seen.add = self.seen.add.saturating_add(stretch.len);
        Ok(())
    }
}

/// `from..to` of a file, or nothing where there is no file.
fn slice(file: &[u8], from: u64, to: u64) -> &[u8] {
    file.get(from as usize..to as usize).unwrap_or_default()
}
