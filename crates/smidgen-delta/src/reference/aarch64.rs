//! References in aarch64 instructions (Arm ARM, section C4.1): branches, literals, pages with their low parts, and the
//! immediates that are added to registers. `docs/sweeps.md` says exactly which words are what, for other decoders.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    field::{Anchor, Class, Form},
    sweep::Sweep,
};

/// An ADRP that may still find the instruction with the low part of its address.
#[derive(Clone, Copy)]
struct Page {
    /// The page it loads.
    address: u64,
    /// Its ordinal among the references, if it lies in the stretch and no low part was found yet.
    open: Option<usize>,
    /// Where it stands.
    place: usize,
}

/// How far behind its ADRP an instruction may stand, in bytes.
const REACH: usize = 64;

/// Finds the references of the instructions in the window; they stand on multiples of four.
pub(crate) fn sweep(sweep: &mut Sweep<'_>) {
    let mut pages: [Option<Page>; 32] = [None; 32];
    let mut at = sweep.offset(0).next_multiple_of(4).wrapping_sub(sweep.offset(0)) as usize;
    while at < sweep.end() {
        let Some(word) = sweep.word(at) else {
            return;
        };
        let here = Anchor::Here(0);
        if word & 0x7C00_0000 == 0x1400_0000 {
            let class = if word >> 31 == 1 { Class::BRANCH_LINK } else { Class::BRANCH };
            sweep.find(at, Form::Branch26, here, class);
        } else if word & 0xFF00_0000 == 0x5400_0000 || word & 0x7E00_0000 == 0x3400_0000 {
            sweep.find(at, Form::Branch19, here, Class::BRANCH_IF);
        } else if word & 0x7E00_0000 == 0x3600_0000 {
            sweep.find(at, Form::Branch14, here, Class::BRANCH_BIT);
        } else if word & 0x3B00_0000 == 0x1800_0000 {
            sweep.find(at, Form::Branch19, here, Class::LITERAL);
        } else if word & 0x9F00_0000 == 0x1000_0000 {
            sweep.find(at, Form::Adr, here, Class::ADDRESS);
        } else if word & 0x9F00_0000 == 0x9000_0000 {
            let field = word.to_le_bytes();
            let address = Form::Page.referent(Form::Page.read(&field), sweep.address(at));
            let open = sweep.find_referent(at, address, Form::Page, here, Class::PAGE);
            if let Some(page) = pages.get_mut(word as usize & 31) {
                *page = Some(Page { address, open, place: at });
            }
        } else if let Some((scale, class)) = low_part(word) {
            let page = pages.get_mut((word >> 5) as usize & 31).and_then(Option::as_mut);
            if let Some(page) = page.filter(|page| at.wrapping_sub(page.place) <= REACH) {
                let form = Form::Low { scale };
                let referent = form.referent(form.read(&word.to_le_bytes()), page.address);
                if let Some(index) = page.open.take() {
                    sweep.set_referent(index, referent);
                }
                sweep.find_referent(at, referent, form, Anchor::Page, class);
            } else {
                find_number(sweep, at, word);
            }
        } else {
            find_number(sweep, at, word);
        }
        at = at.wrapping_add(4);
    }
}

/// Notes an immediate that is added to a register.
fn find_number(sweep: &mut Sweep<'_>, at: usize, word: u32) {
    let stack = (word >> 5) & 31 == 31;
    let (form, class) = if word & 0x1F80_0000 == 0x1100_0000 {
        (Form::Low { scale: 0 }, Class::sum(stack))
    } else if word & 0x3B00_0000 == 0x3900_0000 {
        (Form::Low { scale: 0 }, Class::access(stack))
    } else if word & 0x3A00_0000 == 0x2800_0000 {
        (Form::Pair, Class::pair(stack))
    } else if word & 0x3B20_0C00 == 0x3800_0000 {
        (Form::Near, Class::access(stack))
    } else {
        return;
    };
    sweep.find_number(at, form, Anchor::Offset, class);
}

/// The scale of the 12-bit immediate, if the instruction adds one to a register or accesses memory with one.
fn low_part(word: u32) -> Option<(u8, Class)> {
    if word & 0xFFC0_0000 == 0x9100_0000 {
        return Some((0, Class::PAGE_ADD));
    }
    if word & 0x3B00_0000 == 0x3900_0000 {
        // Vector registers of sixteen bytes have size 0 and the upper bit of the opcode set.
        let wide = word >> 26 & 1 == 1 && word >> 23 & 1 == 1;
        let scale = if wide { 4 } else { (word >> 30) as u8 };
        return Some((scale, Class::PAGE_LOAD));
    }
    None
}
