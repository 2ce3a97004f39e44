//! What is left of a match once its references are predicted: the places where a byte differs, and the bytes.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    account::Made,
    bytes::{Bytes, Contexts, Effort, fold},
    coder::Coder,
    content::{Content, PARTS, part},
    control::Match,
    model::Number,
    x86_64::{Parsed, parse},
};

/// Size of the model.
const EFFORT: Effort = Effort { log: 14, trust: 2 };
/// Sets of weights: one for each part of an instruction, one for each place in eight bytes of data.
const SETS: usize = PARTS + 8;
/// How far back reading starts for an instruction that is far from the last one read.
const STEP_BACK: usize = 48;

/// The models.
pub(crate) struct Add {
    /// Places, by what came before: nothing in this stretch, a long gap, a short one.
    gaps: [Number; 3],
    bytes: Bytes,
    /// The last byte that differed: what it was predicted to be, and what it was.
    last: (u8, u8),
}

impl Add {
    /// Bytes that the models allocate.
    pub(crate) const MEMORY: u64 = 3 * Number::MEMORY + Bytes::memory(EFFORT, SETS);

    pub(crate) fn new() -> Self {
        Self { gaps: Default::default(), bytes: Bytes::new(EFFORT, SETS), last: (0, 0) }
    }

    /// Turns `stretch` from what was predicted into what it is: `truth`, which only the encoder has. `content` says
    /// what lies at a place, `found` where the stretch begins in the old file and in the new one.
    pub(crate) fn code(
        &mut self,
        coder: &mut impl Coder,
        stretch: &mut [u8],
        found: Match,
        content: impl Fn(u64) -> Content,
        truth: &[u8],
    ) {
        let mut at = 0_usize;
        let mut instruction = 0_usize;
        let mut context = 0_usize;
        while at < stretch.len() {
            let ahead = stretch.get(at..).unwrap_or_default().iter().zip(truth.get(at..).unwrap_or_default());
            let gap = ahead.clone().position(|(predicted, byte)| predicted != byte);
            // One more than the gap; zero says that nothing differs any more.
            let wanted = gap.map_or(0, |gap| (gap as u64).saturating_add(1));
            let coded = self.gaps.get_mut(context).map_or(0, |model| model.code(coder, wanted));
            context = if (1..=8).contains(&coded) { 2 } else { 1 };
            let Some(gap) = coded.checked_sub(1) else {
                coder.book(Made::Same { offset: found.new_offset.wrapping_add(at as u64) });
                return;
            };
            at = at.saturating_add(usize::try_from(gap).unwrap_or(usize::MAX));
            if at >= stretch.len() {
                return;
            }
            let place = found.old_offset.wrapping_add(at as u64);
            let (part, opcode) = match content(place) {
                Content::X86_64 => {
                    instruction = step(stretch, instruction.max(at.saturating_sub(STEP_BACK)), at);
                    part(stretch.get(instruction..at).unwrap_or_default())
                }
                Content::Aarch64 => {
                    let word = at.wrapping_sub((place & 3) as usize);
                    let top = stretch.get(word.wrapping_add(3)).copied().unwrap_or(0);
                    ((place & 3) as u32, u32::from(top))
                }
                Content::Data(rule) => ((place & 7) as u32 | PARTS as u32, rule.into()),
            };
            let byte = |index: usize| u32::from(stretch.get(index).copied().unwrap_or(0));
            let predicted = byte(at);
            let last = u32::from(self.last.0) << 8 | u32::from(self.last.1);
            let moved = u32::from(self.last.1.wrapping_sub(self.last.0));
            let role = fold(part, opcode);
            let contexts = Contexts {
                recall: [fold(fold(role, moved), fold(predicted, 2)), fold(predicted << 16 | last, 3)],
                halves: [predicted, fold(fold(role, predicted), 1)],
            };
            let wanted = truth.get(at).copied().unwrap_or(0);
            let made = self.bytes.code(coder, &contexts, part as usize, wanted);
            coder.book(Made::Differing { offset: found.new_offset.wrapping_add(at as u64) });
            if let Some(byte) = stretch.get_mut(at) {
                self.last = (*byte, made);
                *byte = made;
            }
            at = at.saturating_add(1);
        }
    }
}

/// The start of the instruction that holds `at`, read from `from` on.
fn step(code: &[u8], from: usize, at: usize) -> usize {
    let mut start = from;
    loop {
        let rest = code.get(start..).unwrap_or_default();
        match parse(rest.get(..15).unwrap_or(rest)) {
            Parsed::Whole(shape) if start.saturating_add(shape.len.into()) <= at => {
                start = start.saturating_add(shape.len.into());
            }
            _ => return start,
        }
    }
}
