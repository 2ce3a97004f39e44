//! Extra bytes of aarch64 code.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Contexts, Extra, Run, fold, hash_back};
use crate::reference::{coder::Coder, field::Form};

impl Extra {
    /// Words are coded from their top byte down: the opcode comes first, then registers and immediates.
    pub(super) fn code_aarch64(&mut self, coder: &mut impl Coder, run: &Run<'_>, out: &mut Vec<u8>) {
        let mut index = 0_usize;
        while index < run.len {
            let address = run.address.wrapping_add(index as u64);
            let before = [4, 8].map(|distance| word_back(out, distance));
            if address & 3 != 0 || run.len.wrapping_sub(index) < 4 {
                let [one, two, three] =
                    [1, 2, 3].map(|order| fold(hash_back(out, order), 900 | order as u32));
                let contexts = Contexts { recall: [three, two], halves: [one, two] };
                let byte = self.code.code(coder, &contexts, 15, run.byte(index));
                coder.book(run.made(index, 1));
                out.push(byte);
                index = index.wrapping_add(1);
                continue;
            }
            let raw = u32::from_le_bytes([0, 1, 2, 3].map(|byte| run.byte(index.wrapping_add(byte))));
            let word = absolute(raw, address, true);
            let [one, two] = before;
            let answer = self.words.look_up([fold(fold(one, two), 1), fold(one, 2)]);
            let word = self.words.code(coder, &answer, 0, word).unwrap_or_else(|| {
                let mut done = 1_u32;
                for (level, byte) in word.to_be_bytes().into_iter().enumerate() {
                    let own = fold(done, level as u32);
                    let top = |word: u32| word >> 21;
                    let pair = fold(top(one), top(two));
                    let contexts = Contexts {
                        recall: [fold(own, fold(one, 1)), fold(own, pair)],
                        halves: [own, fold(own, pair)],
                    };
                    let byte = self.code.code(coder, &contexts, level, byte);
                    done = done << 8 | u32::from(byte);
                }
                done
            });
            self.words.learn(&answer, word);
            coder.book(run.made(index, 4));
            out.extend(absolute(word, address, false).to_le_bytes());
            index = index.wrapping_add(4);
        }
    }
}

/// BL with the word it calls instead of the distance to it, and ADRP with the page; or back.
pub(crate) fn absolute(word: u32, address: u64, forth: bool) -> u32 {
    let (form, here) = if word & 0xFC00_0000 == 0x9400_0000 {
        (Form::Branch26, address >> 2)
    } else if word & 0x9F00_0000 == 0x9000_0000 {
        (Form::Page, address >> 12)
    } else {
        return word;
    };
    let mut field = word.to_le_bytes();
    let value = form.read(&field);
    let value = if forth { value.wrapping_add(here) } else { value.wrapping_sub(here) };
    form.write(&mut field, value & form.mask());
    u32::from_le_bytes(field)
}

/// The word that begins so far back.
fn word_back(out: &[u8], distance: usize) -> u32 {
    let start = out.len().wrapping_sub(distance);
    let bytes = out.get(start..).and_then(|bytes| bytes.first_chunk());
    bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
