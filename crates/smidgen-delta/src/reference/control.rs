//! The controls: which bytes of the new file come from where in the old one.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    coder::Coder,
    model::{Number, Symbol},
};

/// A stretch of the new file and the stretch of the old one that it is built from. What lies between two matches in the
/// new file is extra.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Match {
    /// First byte in the old file.
    pub(crate) old_offset: u64,
    /// First byte in the new file.
    pub(crate) new_offset: u64,
    /// Bytes.
    pub(crate) len: u64,
}

impl Match {
    /// One past the last byte in the old file.
    pub(crate) fn old_end(&self) -> u64 {
        self.old_offset.saturating_add(self.len)
    }

    /// One past the last byte in the new file.
    pub(crate) fn new_end(&self) -> u64 {
        self.new_offset.saturating_add(self.len)
    }

    /// How far the new place is ahead of the old one: equal for two matches that continue each other.
    pub(crate) fn diagonal(&self) -> i64 {
        self.new_offset.wrapping_sub(self.old_offset).cast_signed()
    }
}

/// How a control says where its match lies in the old file.
mod way {
    /// On the same diagonal as the match before.
    pub(super) const SAME: u32 = 0;
    /// A short way from the end of the match before.
    pub(super) const NEAR: u32 = 1;
    /// Anywhere.
    pub(super) const FAR: u32 = 2;
    /// From here on: on a diagonal of late.
    pub(super) const RECENT: u32 = 3;
}

/// Diagonals that are remembered.
const RECENT: usize = 5;
/// A shorter seek than this is near.
const NEAR: u64 = 1 << 12;

/// The models of the controls.
#[derive(Default)]
pub(crate) struct Controls {
    extra: [Number; 4],
    way: [Symbol<3, 8>; 8],
    near: [Number; 3],
    far: Number,
    len: [Number; 4],
    recent: [i64; RECENT],
    last_way: usize,
    before: Match,
}

impl Controls {
    /// Codes the next match: the encoder wants `wanted`. The decoder's answer may be anything.
    pub(crate) fn code(&mut self, coder: &mut impl Coder, wanted: Match) -> Match {
        let before = self.before;
        let wanted_extra = wanted.new_offset.wrapping_sub(before.new_end());
        let extra = code(&mut self.extra, self.last_way, coder, wanted_extra);
        let new_offset = before.new_end().saturating_add(extra);

        let seek = wanted.old_offset.wrapping_sub(before.old_end()).cast_signed();
        let context = self.last_way.wrapping_mul(2).wrapping_add(usize::from(extra == 0));
        let chosen = self.choose(wanted.diagonal(), seek);
        let way = match self.way.get_mut(context) {
            Some(model) => model.code(coder, chosen),
            None => way::FAR,
        };
        let diagonal = match way {
            way::SAME => before.diagonal(),
            way::NEAR | way::FAR => {
                let seek = if way == way::FAR {
                    self.far.code_signed(coder, seek)
                } else {
                    let size = if extra == 0 {
                        0
                    } else if extra < 16 {
                        1
                    } else {
                        2
                    };
                    self.near.get_mut(size).map_or(0, |model| model.code_signed(coder, seek))
                };
                let old_offset = before.old_end().wrapping_add_signed(seek);
                new_offset.wrapping_sub(old_offset).cast_signed()
            }
            recent => {
                let index = recent.wrapping_sub(way::RECENT) as usize;
                self.recent.get(index).copied().unwrap_or(0)
            }
        };
        self.last_way = way.min(way::RECENT) as usize;
        let len = code(&mut self.len, self.last_way, coder, wanted.len);

        self.remember(before.diagonal(), diagonal);
        self.before =
            Match { old_offset: new_offset.wrapping_sub(diagonal.cast_unsigned()), new_offset, len };
        self.before
    }

    /// The shortest way to say that the next match lies on `diagonal`, `seek` bytes from the end of the last one.
    fn choose(&self, diagonal: i64, seek: i64) -> u32 {
        if diagonal == self.before.diagonal() {
            return way::SAME;
        }
        match self.recent.iter().position(|recent| *recent == diagonal) {
            Some(index) => way::RECENT.saturating_add(index as u32),
            None if seek.unsigned_abs() < NEAR => way::NEAR,
            None => way::FAR,
        }
    }

    /// Puts the diagonal that is left in front of the remembered ones, and forgets the one that is taken.
    fn remember(&mut self, left: i64, taken: i64) {
        if left == taken {
            return;
        }
        let keep = self.recent.iter().position(|recent| *recent == taken).unwrap_or(RECENT.saturating_sub(1));
        if let Some(slots) = self.recent.get_mut(..=keep) {
            slots.rotate_right(1);
        }
        if let Some(first) = self.recent.first_mut() {
            *first = left;
        }
    }
}

fn code(models: &mut [Number], context: usize, coder: &mut impl Coder, number: u64) -> u64 {
    models.get_mut(context).map_or(0, |model| model.code(coder, number))
}
