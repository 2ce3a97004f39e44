//! What a diff found: the controls that make the new file from the old one, independent of how they are written down.

use super::{matcher, runs};
use crate::reference::Match;

/// One step: `add_len` bytes of the old file from `old_offset` with differences, then `extra_len` new bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) old_offset: usize,
    pub(crate) add_len: usize,
    pub(crate) extra_len: usize,
}

/// Two files and the steps between them. The steps make `new` from front to back without gaps; each makes something.
#[derive(Debug)]
pub(crate) struct Script<'a> {
    pub(crate) old: &'a [u8],
    pub(crate) new: &'a [u8],
    pub(crate) steps: Vec<Step>,
}

impl<'a> Script<'a> {
    /// Matches `new` against `old`.
    pub(crate) fn find(old: &'a [u8], new: &'a [u8]) -> Self {
        if old.is_empty() {
            return Self::of_extra(old, new);
        }
        let mut steps = runs::find(old, new).unwrap_or_else(|| matcher::find(old, new).0);
        steps.retain(|step| step.add_len > 0 || step.extra_len > 0);
        Self { old, new, steps }
    }

    /// What matches that were found otherwise come to, which are in the order of `new`.
    pub(crate) fn of_matches(old: &'a [u8], new: &'a [u8], matches: &[Match]) -> Self {
        let extra_after = |end: u64, next: Option<&Match>| {
            (next.map_or(new.len() as u64, |next| next.new_offset) - end) as usize
        };
        let first = Step { old_offset: 0, add_len: 0, extra_len: extra_after(0, matches.first()) };
        let others = matches.iter().enumerate().map(|(index, found)| Step {
            old_offset: found.old_offset as usize,
            add_len: found.len as usize,
            extra_len: extra_after(found.new_end(), matches.get(index + 1)),
        });
        let steps = std::iter::once(first).chain(others);
        Self { old, new, steps: steps.filter(|step| step.add_len > 0 || step.extra_len > 0).collect() }
    }

    /// What the steps take from `old`, in the order of `new`.
    pub(crate) fn matches(&self) -> Vec<Match> {
        let mut at = 0;
        let mut found = Vec::new();
        for step in &self.steps {
            let (old_offset, len) = (step.old_offset as u64, step.add_len as u64);
            found.extend((len > 0).then_some(Match { old_offset, new_offset: at, len }));
            at += len + step.extra_len as u64;
        }
        found
    }

    /// `new` as one extra part: no step refers to `old`.
    pub(crate) fn of_extra(old: &'a [u8], new: &'a [u8]) -> Self {
        let steps = if new.is_empty() {
            vec![]
        } else {
            vec![Step { old_offset: 0, add_len: 0, extra_len: new.len() }]
        };
        Self { old, new, steps }
    }

    /// The steps with the bytes they stand for: differences of the add part are computed by the caller from the two
    /// slices, which have the same length.
    pub(crate) fn parts(&self) -> impl Iterator<Item = Part<'a>> {
        let (old, mut rest) = (self.old, self.new);
        self.steps.iter().map(move |step| {
            let (new, after) = rest.split_at(step.add_len);
            let (extra, after) = after.split_at(step.extra_len);
            rest = after;
            Part { old: &old[step.old_offset..step.old_offset + step.add_len], new, extra, step: *step }
        })
    }
}

/// The bytes of one step.
pub(crate) struct Part<'a> {
    pub(crate) step: Step,
    /// The add part's old bytes.
    pub(crate) old: &'a [u8],
    /// The add part's new bytes; as many.
    pub(crate) new: &'a [u8],
    pub(crate) extra: &'a [u8],
}

impl Part<'_> {
    /// The add part's differences.
    pub(crate) fn differences(&self) -> impl Iterator<Item = u8> {
        self.new.iter().zip(self.old).map(|(new, old)| new.wrapping_sub(*old))
    }
}
