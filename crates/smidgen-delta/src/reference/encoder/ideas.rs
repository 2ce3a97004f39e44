//! The ideas that the encoder can do without, and what is left where one is left out: how an ablation tells what each brings.
//!
//! No format changes with them. A region whose rule is left out gets the plainer one that it would have if nobody had thought of
//! the better, or none.

use std::mem;

use super::{
    super::region::{Region, Rule, Words},
    image::Image,
};

/// An idea that a patch can be made without.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idea {
    /// Executable files are read at all.
    Formats,
    /// Code is read as instructions: its references and displacements, and its extra bytes.
    Code,
    /// Pointers, words from a base and jump tables in data.
    Words,
    /// Pointers that only the loader writes are labelled by what relocations say of them.
    Loaded,
    /// Records with addresses: symbols, relocations that are not sorted, Go's lists.
    Records,
    /// `.eh_frame`. Without it, its words may be distances to code.
    Unwinding,
    /// Tables in the order of addresses are made again. Without it, they are records.
    Sorted,
    /// Packed lists are made again. Without it, they are bytes, `__unwind_info` words.
    Lists,
    /// Rebase opcodes, which are bytes without it, and chained pointers, which are plain ones.
    Rebases,
    /// Digests of pages are computed.
    Digests,
    /// Go's tables are found at all. Without it, they are words like other data.
    GoTables,
    /// Go's function records. Without it, they are words.
    GoFunctions,
    /// Go's index of functions by address is made again. Without it, its words are as others are.
    Buckets,
    /// Line numbers in Go's tables are put right first.
    LineNumbers,
    /// The first round of matches is of labels by content. Without it, of the bytes as they are.
    Labels,
    /// Matches are found once more, by where the first ones say that referents went.
    SecondRound,
    /// Matches are chosen by what they cost. Without it, by bsdiff's rule.
    Prices,
    /// Extra bytes get models where they are few.
    Models,
    /// Extra bytes stand in parts where they are many.
    Parts,
}

/// The ideas that are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ideas(u32);

impl Ideas {
    pub(crate) const ALL: Self = Self(u32::MAX);

    /// All but these.
    pub(crate) fn without(ideas: &[Idea]) -> Self {
        ideas.iter().fold(Self::ALL, |Self(left), idea| Self(left & !(1 << *idea as u32)))
    }

    /// Without those that believe what a file says of its structure.
    pub(super) fn without_structure(self) -> Self {
        Self(self.0 & Self::without(&[Idea::Formats, Idea::GoTables, Idea::Digests]).0)
    }

    pub(super) fn has(self, idea: Idea) -> bool {
        self.0 & 1 << idea as u32 != 0
    }

    /// Leaves of an image what these ideas make of the file.
    pub(super) fn restrict(self, image: &mut Image) {
        if self == Self::ALL {
            return;
        }
        if !self.has(Idea::Formats) {
            *image = Image::default();
        }
        let plainer = |region: Region| Some(Region { rule: self.rule(region.rule)?, ..region });
        image.regions = mem::take(&mut image.regions).into_iter().filter_map(plainer).collect();
        if !self.has(Idea::Loaded) {
            image.loaded.clear();
        }
        if !self.has(Idea::Lists) {
            image.lists.clear();
        }
        if !self.has(Idea::LineNumbers) {
            image.line_tables = None;
        }
    }

    /// What is left of a rule.
    fn rule(self, rule: Rule) -> Option<Rule> {
        // What ELF and Mach-O have for data of which nothing else is known.
        let words = || Rule::Words(Words { pointers: true, ..Words::default() });
        let (idea, plainer) = match &rule {
            Rule::X86_64 { .. } | Rule::Aarch64 => (Idea::Code, None),
            Rule::Words(_) => (Idea::Words, None),
            // Those without fields are no idea: they only keep other rules away.
            Rule::Records { fields, .. } if fields.is_empty() => return Some(rule),
            Rule::Records { .. } => (Idea::Records, None),
            Rule::Sorted { stride, fields } => {
                (Idea::Sorted, Some(Rule::Records { stride: *stride, fields: fields.clone() }))
            }
            Rule::Unwinding => (Idea::Unwinding, Some(words())),
            Rule::GoFunctions(_) => (Idea::GoFunctions, Some(words())),
            Rule::Buckets(_) => (Idea::Buckets, Some(words())),
            Rule::Rebases { .. } => (Idea::Rebases, None),
            Rule::Chained { .. } => (Idea::Rebases, Some(words())),
            Rule::Packed(_) => (Idea::Lists, None),
        };
        if self.has(idea) { Some(rule) } else { plainer.and_then(|plainer| self.rule(plainer)) }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            super::region::{Buckets, GoBases, Holds, RecordField},
            image::{ListKind, Loaded, PackedList},
        },
        *,
    };

    #[test]
    fn what_is_left_out_gets_the_plainer_rule() {
        let fields = vec![RecordField { at: 0, holds: Holds::Address }];
        let records = Rule::Records { stride: 8, fields: fields.clone() };
        let sorted = Rule::Sorted { stride: 8, fields };
        let silent = Rule::Records { stride: 1, fields: Vec::new() };
        let words = Rule::Words(Words { pointers: true, ..Words::default() });
        let chained = Rule::Chained { base: Some(7) };
        let (functions, buckets) = (Rule::GoFunctions(GoBases::default()), Rule::Buckets(Buckets::default()));
        for (rule, idea, left) in [
            (Rule::X86_64 { absolute: true }, Idea::Code, None),
            (Rule::Aarch64, Idea::Code, None),
            (words.clone(), Idea::Words, None),
            (records.clone(), Idea::Records, None),
            (silent.clone(), Idea::Records, Some(&silent)),
            (sorted, Idea::Sorted, Some(&records)),
            (Rule::Unwinding, Idea::Unwinding, Some(&words)),
            (functions, Idea::GoFunctions, Some(&words)),
            (buckets, Idea::Buckets, Some(&words)),
            (Rule::Rebases { bases: vec![1] }, Idea::Rebases, None),
            (chained, Idea::Rebases, Some(&words)),
        ] {
            assert_eq!(Ideas::without(&[idea]).rule(rule.clone()).as_ref(), left, "{rule:?}");
            assert_eq!(Ideas::without(&[Idea::Labels, Idea::Lists]).rule(rule.clone()), Some(rule));
        }
    }

    #[test]
    fn of_an_image_only_what_is_left_out_goes() {
        let mut whole = Image::default();
        whole.regions.push(Region { start: 0, len: 8, rule: Rule::Aarch64 });
        whole.loaded.push(Loaded { offset: 8, referent: 1 });
        whole.lists.push(PackedList { offset: 16, len: 8, base: 0, kind: ListKind::Starts });
        let left = |idea| {
            let mut image = whole.clone();
            Ideas::without(&[idea]).restrict(&mut image);
            [image.regions.len(), image.loaded.len(), image.lists.len()]
        };
        assert_eq!(left(Idea::Code), [0, 1, 1]);
        assert_eq!(left(Idea::Loaded), [1, 0, 1]);
        assert_eq!(left(Idea::Lists), [1, 1, 0]);
        assert_eq!(left(Idea::Digests), [1, 1, 1]);
        assert_eq!(left(Idea::Formats), [0, 0, 0]);
    }

    #[test]
    fn the_plainer_rule_may_be_left_out_too() {
        assert_eq!(Ideas::without(&[Idea::Unwinding, Idea::Words]).rule(Rule::Unwinding), None);
    }
}
