//! Displacements of four bytes that lead to an address.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Bytes, Contexts, Effort, fold};
use crate::reference::{coder::Coder, x86_64::Field};

/// Sets of models: by what the field is.
const SETS: usize = 4;

/// The models. Calls and operands are coded as the address that they lead to; jumps, which stay within their function, as
/// the distance.
pub(super) struct Addresses {
    near: Bytes,
    far: Bytes,
}

impl Addresses {
    pub(super) fn new(effort: Effort) -> Self {
        Self { near: Bytes::new(effort, SETS), far: Bytes::new(effort, SETS) }
    }

    /// Bytes that the models allocate.
    pub(super) const fn memory(effort: Effort) -> u64 {
        Bytes::memory(effort, SETS).saturating_mul(2)
    }

    /// Codes the displacement of `field` that counts from `end`, from its top byte down, in these contexts.
    pub(super) fn code(
        &mut self,
        coder: &mut impl Coder,
        field: Field,
        contexts: [u32; 2],
        end: u32,
        displacement: u32,
    ) -> u32 {
        let (set, from, model) = match field {
            Field::Call => (0, end, &mut self.far),
            Field::Operand => (1, end, &mut self.far),
            Field::Jump => (2, 0, &mut self.near),
            _ => (3, 0, &mut self.near),
        };
        let mut done = 0_u32;
        for (level, byte) in from.wrapping_add(displacement).to_be_bytes().into_iter().enumerate() {
            let own = fold(done, set | (level as u32) << 8);
            let recall = contexts.map(|context| fold(own, context));
            let [narrow, _] = recall;
            let contexts = Contexts { recall, halves: [own, narrow] };
            done = done << 8 | u32::from(model.code(coder, &contexts, set as usize, byte));
        }
        done.wrapping_sub(from)
    }
}
