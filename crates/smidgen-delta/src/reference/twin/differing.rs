//! The bytes of matches that differ from what they were predicted to be.

use super::{
    Content,
    bytes::{Bytes, Contexts, fold},
    coder::{Coder, Number},
    instruction,
};

pub(super) struct Differing {
    /// Before the first byte of a stretch, behind a long gap, behind a short one.
    gaps: [Number; 3],
    bytes: Bytes,
    /// What the last one was predicted to be, and what it was.
    last: (u8, u8),
}

impl Differing {
    pub(super) fn new() -> Self {
        Self { gaps: Default::default(), bytes: Bytes::new(14, 2), last: (0, 0) }
    }

    /// Corrects a stretch that begins at `offset` of the old file; `contents` say what each byte is part of.
    pub(super) fn read(
        &mut self,
        coder: &mut Coder<'_>,
        stretch: &mut [u8],
        offset: u64,
        contents: &[Content],
    ) {
        let (mut at, mut context, mut start) = (0, 0, 0);
        while at < stretch.len() {
            let gap = self.gaps[context].read(coder);
            if gap == 0 || gap > (stretch.len() - at) as u64 {
                return;
            }
            context = if gap <= 8 { 2 } else { 1 };
            at += gap as usize - 1;
            let column = (offset + at as u64) as u32;
            let (part, opcode) = match contents[at] {
                Content::X86_64 => {
                    // Instructions are read on from the last one, or from a little way back.
                    start = start.max(at.saturating_sub(48));
                    loop {
                        let instruction = instruction::read(&stretch[start..(start + 15).min(stretch.len())]);
                        if instruction.missing.is_some() || start + instruction.len > at {
                            break;
                        }
                        start += instruction.len;
                    }
                    let instruction = instruction::read(&stretch[start..at]);
                    instruction.missing.map_or((0, 0), |part| (part, instruction.opcode))
                }
                Content::Aarch64 => {
                    let top = stretch.get(at + 3 - (column as usize & 3)).copied().unwrap_or(0);
                    (column & 3, top.into())
                }
                Content::Data(rule) => (16 + (column & 7), rule),
            };
            let predicted = u32::from(stretch[at]);
            let last = u32::from(self.last.0) << 8 | u32::from(self.last.1);
            let moved = u32::from(self.last.1.wrapping_sub(self.last.0));
            let role = fold(part, opcode);
            let contexts = Contexts {
                recall: [fold(fold(role, moved), fold(predicted, 2)), fold(predicted << 16 | last, 3)],
                halves: [predicted, fold(fold(role, predicted), 1)],
            };
            let byte = self.bytes.read(coder, &contexts, part);
            self.last = (stretch[at], byte);
            stretch[at] = byte;
            at += 1;
        }
    }
}
