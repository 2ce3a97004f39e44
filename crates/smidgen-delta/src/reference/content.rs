//! What a place of the new file is made of, as far as it can be told while the file is built: the context in which
//! its bytes are coded.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    control::Match,
    region::{Region, Rule},
    x86_64::{Parsed, Role, parse},
};

/// The kinds of content that are coded differently.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Content {
    /// x86-64 instructions.
    X86_64,
    /// aarch64 instructions.
    Aarch64,
    /// Anything else; by rule.
    Data(u8),
}

impl Content {
    /// What lies at an offset of the old file.
    pub(crate) fn at(regions: &[Region], offset: u64) -> Self {
        let next = regions.partition_point(|region| region.start <= offset);
        let region = next.checked_sub(1).and_then(|index| regions.get(index));
        match region.filter(|region| region.end() > offset).map(|region| &region.rule) {
            None | Some(Rule::Packed(_)) => Self::Data(0),
            Some(Rule::X86_64 { .. }) => Self::X86_64,
            Some(Rule::Aarch64) => Self::Aarch64,
            Some(Rule::Words(_)) => Self::Data(1),
            Some(Rule::Records { .. } | Rule::Sorted { .. }) => Self::Data(2),
            Some(Rule::Unwinding) => Self::Data(3),
            Some(Rule::GoFunctions(_)) => Self::Data(4),
            Some(Rule::Rebases { .. }) => Self::Data(5),
            Some(Rule::Chained { .. }) => Self::Data(6),
            Some(Rule::Buckets(_)) => Self::Data(7),
        }
    }
}

impl Match {
    /// What extra bytes behind a match are taken for: what the old file has at its end.
    pub(crate) fn extra_content(&self, regions: &[Region]) -> Content {
        Content::at(regions, self.old_end().saturating_sub(1))
    }
}

/// How many parts [`part`] tells apart.
pub(crate) const PARTS: usize = 16;

/// The part that the byte after `instruction` (what there is of it) plays, and its opcode.
pub(crate) fn part(instruction: &[u8]) -> (u32, u32) {
    match parse(instruction) {
        Parsed::Whole(_) => (0, 0),
        Parsed::Partial { role, opcode, .. } => (part_of(role), u32::from(opcode)),
    }
}

/// A number below [`PARTS`] for each role.
pub(crate) fn part_of(role: Role) -> u32 {
    match role {
        Role::Opcode => 0,
        Role::Escape => 1,
        Role::ModRm => 2,
        Role::Sib => 3,
        Role::Displacement(index) => 4_u32.saturating_add(index.min(3).into()),
        Role::Immediate(index) => 8_u32.saturating_add(index.min(7).into()),
    }
}
