//! A sweep: the search of one stretch of the old file for references, by the rule of its region.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::ops::Range;

use super::{
    aarch64, buckets, chained,
    field::{Anchor, Class, Form, Inside, Reference},
    go, rebases, records,
    region::{Layout, Region, Rule, Segment},
    unwinding, words, x86_64,
};

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "reads a document of ours")]
pub(crate) mod document;
#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "test code on small numbers"
)]
mod instruction;
#[cfg(test)]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "test code on small numbers"
)]
mod vectors;

/// Bytes in front of a stretch where a sweep starts, to fall into step with the instructions.
pub(crate) const BEFORE: u64 = 64;
/// Bytes behind a stretch that a sweep may look at.
pub(crate) const AFTER: u64 = 16;
/// Bytes of the longest stretch that is swept at once; longer matches are cut.
pub(crate) const STRETCH: u64 = 1 << 14;

/// Bytes around a stretch, and where they lie.
#[derive(Clone, Copy)]
pub(crate) struct Window<'a> {
    /// From a little before the stretch to a little after it, as far as the region goes.
    pub(crate) bytes: &'a [u8],
    /// File offset of the first byte.
    pub(crate) offset: u64,
    /// The stretch itself, as file offsets: only references inside it count.
    pub(crate) from: u64,
    /// One past its last byte.
    pub(crate) to: u64,
    /// The match, if in this stretch of it all references rest that may.
    pub(crate) at_rest: Option<Inside>,
}

/// A sweep in progress.
pub(crate) struct Sweep<'a> {
    window: Window<'a>,
    /// The stretch in the window.
    stretch: Range<usize>,
    address: u64,
    region_start: u64,
    layout: &'a Layout,
    /// First and last address of all segments: most words that are no addresses lie outside.
    span: (u64, u64),
    /// The segment that the last referent lay in: most lie where the one before did.
    near: Segment,
    found: &'a mut Vec<Reference>,
}

impl<'a> Sweep<'a> {
    /// Appends the references of the stretch to `found`, ordered by place.
    pub(crate) fn run(
        window: Window<'a>,
        region: &Region,
        layout: &'a Layout,
        found: &'a mut Vec<Reference>,
    ) {
        // What is not loaded has no address; fields that count from themselves then mean little, others work.
        let address = layout.address(window.offset).unwrap_or(0);
        let index = |offset: u64| (offset.saturating_sub(window.offset) as usize).min(window.bytes.len());
        let mut sweep = Self {
            window,
            stretch: index(window.from)..index(window.to),
            address,
            region_start: region.start,
            layout,
            span: layout.span(),
            near: Segment::default(),
            found,
        };
        match &region.rule {
            Rule::X86_64 { absolute } => x86_64::sweep(&mut sweep, *absolute),
            Rule::Aarch64 => aarch64::sweep(&mut sweep),
            Rule::Words(words) => words::sweep(&mut sweep, words),
            Rule::Records { stride, fields } | Rule::Sorted { stride, fields } => {
                records::sweep(&mut sweep, *stride, fields);
            }
            Rule::Unwinding => unwinding::sweep(&mut sweep),
            Rule::GoFunctions(bases) => go::sweep(&mut sweep, bases),
            Rule::Rebases { bases } => rebases::sweep(&mut sweep, bases),
            Rule::Chained { base } => chained::sweep(&mut sweep, *base),
            Rule::Buckets(_) => buckets::sweep(&mut sweep),
            // Its addresses are none by themselves.
            Rule::Packed(_) => {}
        }
    }

    /// The bytes of the window.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.window.bytes
    }

    /// Index of the stretch's first byte in the window.
    pub(crate) fn start(&self) -> usize {
        self.stretch.start
    }

    /// Index of the byte after the stretch.
    pub(crate) fn end(&self) -> usize {
        self.stretch.end
    }

    /// File offset of a place in the window.
    pub(crate) fn offset(&self, place: usize) -> u64 {
        self.window.offset.wrapping_add(place as u64)
    }

    /// Address of a place in the window.
    pub(crate) fn address(&self, place: usize) -> u64 {
        self.address.wrapping_add(place as u64)
    }

    /// File offset of the region's first byte.
    pub(crate) fn region_start(&self) -> u64 {
        self.region_start
    }

    /// Whether `address` lies among the instructions of the image.
    #[inline]
    pub(crate) fn is_code(&mut self, address: u64) -> bool {
        self.holds(address) && self.near.code
    }

    /// The 32-bit word at a place.
    pub(crate) fn word(&self, place: usize) -> Option<u32> {
        let bytes = self.window.bytes.get(place..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }

    /// The 64-bit word at a place.
    pub(crate) fn long(&self, place: usize) -> Option<u64> {
        let bytes = self.window.bytes.get(place..)?.first_chunk()?;
        Some(u64::from_le_bytes(*bytes))
    }

    /// Notes the field at `place` if it lies in the stretch and refers to the image; says whether it did.
    // Inlined, so that what depends on the form alone is decided while compiling.
    #[inline(always)]
    #[allow(clippy::inline_always, reason = "a fifth of the instructions of a sweep")]
    pub(crate) fn find(&mut self, place: usize, form: Form, anchor: Anchor, class: Class) -> bool {
        let base = match anchor {
            Anchor::Here(skip) => self.address(place).wrapping_add(skip.into()),
            Anchor::At(address) => address,
            Anchor::Zero | Anchor::Page | Anchor::Step | Anchor::Offset => 0,
        };
        let Some(value) = self.value(place, form) else {
            return false;
        };
        let referent = form.referent(value, base);
        let holds = self.holds(referent);
        if holds {
            self.note(place, referent, form, anchor, class);
        }
        holds
    }

    /// Notes the displacement of `len` bytes, 1 or 4, that counts from the byte `skip` bytes behind `place`, if it lies in the
    /// stretch and refers to the image. The same as [`find`](Self::find), without a branch for each class.
    #[inline]
    pub(crate) fn find_displacement(&mut self, place: usize, len: usize, skip: u8, class: Class) {
        if place < self.stretch.start || place.wrapping_add(len) > self.stretch.end {
            return;
        }
        let mut field = [0; 4];
        match self.window.bytes.get(place..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => field = *bytes,
            // A short one where the window ends.
            None => field[0] = self.window.bytes.get(place).copied().unwrap_or_default(),
        }
        let unused = if len == 1 { 24 } else { 0 };
        let displacement = (i32::from_le_bytes(field) << unused) >> unused;
        let referent = self.address(place).wrapping_add(skip.into()).wrapping_add_signed(displacement.into());
        if self.holds(referent) {
            let form = if len == 1 { Form::Byte } else { Form::Word };
            self.note(place, referent, form, Anchor::Here(skip), class);
        }
    }

    /// Whether `address` lies in the image.
    #[inline]
    fn holds(&mut self, address: u64) -> bool {
        if self.near.holds(address) {
            return true;
        }
        let (first, last) = self.span;
        if address < first || address > last {
            return false;
        }
        let segment = self.layout.by_address(address);
        self.near = segment.copied().unwrap_or(self.near);
        segment.is_some()
    }

    /// Notes the field at `place`, which refers to `referent`, if it lies in the stretch; answers with its ordinal.
    pub(crate) fn find_referent(
        &mut self,
        place: usize,
        referent: u64,
        form: Form,
        anchor: Anchor,
        class: Class,
    ) -> Option<usize> {
        self.value(place, form)?;
        self.note(place, referent, form, anchor, class);
        self.found.len().checked_sub(1)
    }

    /// Notes the field at `place`, a number and no address, if it lies in the stretch.
    #[inline]
    pub(crate) fn find_number(&mut self, place: usize, form: Form, anchor: Anchor, class: Class) -> bool {
        if self.window.at_rest.is_some() && anchor == Anchor::Offset {
            return true;
        }
        match self.value(place, form) {
            Some(value) => {
                self.note(place, value, form, anchor, class);
                true
            }
            None => false,
        }
    }

    /// Gives the reference that was noted last another address to count from.
    pub(crate) fn set_other(&mut self, other: Option<u64>) {
        if let Some(last) = self.found.last_mut() {
            last.other = other;
        }
    }

    /// Gives the reference with this ordinal another referent.
    pub(crate) fn set_referent(&mut self, index: usize, referent: u64) {
        if let Some(reference) = self.found.get_mut(index) {
            reference.referent = referent;
        }
    }

    /// The value of a field that lies in the stretch as a whole.
    #[inline]
    fn value(&self, place: usize, form: Form) -> Option<u64> {
        let end = place.checked_add(form.len())?;
        if place < self.stretch.start || end > self.stretch.end {
            return None;
        }
        self.window.bytes.get(place..end).map(|field| form.read(field))
    }

    #[inline]
    fn note(&mut self, place: usize, referent: u64, form: Form, anchor: Anchor, class: Class) {
        if self.window.at_rest.is_some_and(|inside| inside.may_rest(referent, anchor, form)) {
            return;
        }
        let offset = self.offset(place);
        self.found.push(Reference { offset, referent, anchor, form, class, other: None });
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;
    use crate::reference::region::{Buckets, GoBases, Holds, RecordField, Segment, Words};

    /// What a sweep of a whole region finds: place, referent, class. The region lies at 0x1000 in memory, all of it code.
    fn found(bytes: &[u8], rule: Rule) -> Vec<(u64, u64, Class)> {
        let len = bytes.len() as u64;
        let segment = Segment { offset: 0, len, address: 0x1000, memory_len: 0x1000, code: true };
        let layout = Layout { segments: vec![segment] };
        let region = Region { start: 0, len, rule };
        let mut found = Vec::new();
        Sweep::run(
            Window { bytes, offset: 0, from: 0, to: len, at_rest: None },
            &region,
            &layout,
            &mut found,
        );
        let places: Vec<_> = found.iter().map(|found| (found.offset, found.referent, found.class)).collect();
        // A stretch finds what the whole does, where no reference crosses its edges.
        let step = if matches!(region.rule, Rule::Words(_) | Rule::Chained { .. }) { 8 } else { 1 };
        for cut in (0..=len).step_by(step) {
            let mut pieces = Vec::new();
            for (from, to) in [(0, cut), (cut, len)] {
                Sweep::run(
                    Window { bytes, offset: 0, from, to, at_rest: None },
                    &region,
                    &layout,
                    &mut pieces,
                );
            }
            let crosses = |found: &&Reference| {
                found.offset >= cut || found.offset.wrapping_add(found.form.len() as u64) <= cut
            };
            let whole: Vec<u64> = found.iter().filter(crosses).map(|found| found.offset).collect();
            let pieces: Vec<u64> = pieces.iter().map(|found| found.offset).collect();
            assert_eq!(pieces, whole, "cut at {cut}");
        }
        places
    }

    #[test]
    fn x86_64_code_has_the_references_of_its_instructions() {
        // push rbp; call +0x10; lea rdi, [rip+0x20]; je +2; jmp far outside; mov rax, [rsp+8]; ret
        let code = [
            0x55, 0xE8, 0x10, 0, 0, 0, 0x48, 0x8D, 0x3D, 0x20, 0, 0, 0, 0x74, 0x02, 0xE9, 0, 0, 0, 0x40,
            0x48, 0x8B, 0x44, 0x24, 0x08, 0xC3,
        ];
        let expected = [
            (2, 0x1016, Class::CALL),
            (9, 0x102D, Class::OPERAND),
            (14, 0x1011, Class::SHORT),
            (24, 8, Class::near(x86_64::Base::Stack)),
        ];
        assert_eq!(found(&code, Rule::X86_64 { absolute: false }), expected);
    }

    #[test]
    fn a_short_jump_may_be_the_last_that_a_region_holds() {
        // jmp +2, alone and behind ret: nothing lies behind it that could be read along.
        assert_eq!(found(&[0xEB, 0x02], Rule::X86_64 { absolute: false }), [(1, 0x1004, Class::SHORT)]);
        assert_eq!(found(&[0xC3, 0xEB, 0x02], Rule::X86_64 { absolute: false }), [(2, 0x1005, Class::SHORT)]);
    }

    #[test]
    fn immediates_and_displacements_are_addresses_only_where_said() {
        // mov edi, 0x1100; mov eax, [rax*8+0x1200]; mov ecx, 5
        let code = [0xBF, 0, 0x11, 0, 0, 0x8B, 0x04, 0xC5, 0, 0x12, 0, 0, 0xB9, 5, 0, 0, 0];
        let expected = [(1, 0x1100, Class::IMMEDIATE), (8, 0x1200, Class::ABSOLUTE)];
        assert_eq!(found(&code, Rule::X86_64 { absolute: true }), expected);
        let expected = [(8, 0x1200, Class::far(x86_64::Base::Other))];
        assert_eq!(found(&code, Rule::X86_64 { absolute: false }), expected);
    }

    #[test]
    fn aarch64_pages_know_their_low_parts() {
        let words: [u32; 6] = [
            0x9000_0001, // adrp x1, 0
            0x9104_0022, // add x2, x1, #0x100
            0xF940_0C23, // ldr x3, [x1, #0x18]
            0x9400_0004, // bl +16
            0x3400_0080, // cbz w0, +16
            0xD65F_03C0, // ret
        ];
        let code: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        let expected = [
            (0, 0x1100, Class::PAGE),
            (4, 0x1100, Class::PAGE_ADD),
            (8, 0x1018, Class::PAGE_LOAD),
            (12, 0x101C, Class::BRANCH_LINK),
            (16, 0x1020, Class::BRANCH_IF),
        ];
        assert_eq!(found(&code, Rule::Aarch64), expected);
    }

    #[test]
    fn words_are_pointers_or_count_from_a_base() {
        let mut data = 0x1234_u64.to_le_bytes().to_vec();
        data.extend(0x0300_u32.to_le_bytes());
        data.extend(7_u32.to_le_bytes());
        let words = Words { pointers: true, base: Some(0x1000), limit: 0x800, other: None };
        let expected = [(0, 0x1234, Class::POINTER), (8, 0x1300, Class::WORD)];
        let all = found(&data, Rule::Words(words));
        assert_eq!(all[..2], expected);
        let self_relative = Words { pointers: false, ..Words::default() };
        assert_eq!(found(&0x10_u32.to_le_bytes(), Rule::Words(self_relative)), [(0, 0x1010, Class::TABLE)]);
    }

    #[test]
    fn records_have_fields_at_their_places() {
        let fields = vec![
            RecordField { at: 0, holds: Holds::From(0x1000) },
            RecordField { at: 4, holds: Holds::Here },
        ];
        let data: Vec<u8> = [16_u32, 8, 32, 4, 48].iter().flat_map(|word| word.to_le_bytes()).collect();
        let expected = [
            (0, 0x1010, Class::field(0)),
            (4, 0x100C, Class::field(1)),
            (8, 0x1020, Class::field(0)),
            (12, 0x1010, Class::field(1)),
            (16, 0x1030, Class::field(0)),
        ];
        assert_eq!(found(&data, Rule::Records { stride: 8, fields }), expected);
    }

    #[test]
    fn unwinding_records_are_known_by_their_look() {
        let mut data = vec![0; 16];
        for word in [20_u32, 20, 0x40, 0x10] {
            data.extend(word.to_le_bytes());
        }
        data.extend([4, 0x21, 0, 0, 0, 0, 0, 0]);
        let expected = [
            (20, 0x1000, Class::UNWIND_COMMON),
            (24, 0x1058, Class::UNWIND_CODE),
            (33, 0x1042, Class::UNWIND_DATA),
        ];
        assert_eq!(found(&data, Rule::Unwinding), expected);

        // The same with fields of eight bytes.
        data.truncate(16);
        for word in [32_u32, 20, 0x40, 0, 0x10, 0] {
            data.extend(word.to_le_bytes());
        }
        data.extend([8, 0x21, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let expected = [
            (20, 0x1000, Class::UNWIND_COMMON),
            (24, 0x1058, Class::UNWIND_CODE),
            (41, 0x104A, Class::UNWIND_DATA),
        ];
        assert_eq!(found(&data, Rule::Unwinding), expected);
    }

    #[test]
    fn go_functions_say_how_long_they_are() {
        let mut record = [0_u8; 56];
        for (at, value) in
            [(0, 0x100), (4, 0x20), (16, 1), (20, 2), (24, 3), (28, 1), (32, 5), (36, 99), (44, 6), (48, 7)]
        {
            record[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
        }
        record[43] = 1;
        let bases = GoBases { text: 0x1000, names: 0x1100, tables: 0x1200, units: 0x1300, data: 0x1400 };
        let all = found(&record, Rule::GoFunctions(bases));
        let expected = [
            (0, 0x1100, Class::GO_ENTRY),
            (4, 0x1120, Class::GO_NAME),
            (16, 0x1201, Class::GO_STACK),
            (20, 0x1202, Class::GO_FILE),
            (24, 0x1203, Class::GO_LINE),
            (32, 0x1314, Class::GO_UNIT),
            (36, 99, Class::GO_START_LINE),
            (44, 0x1206, Class::GO_TABLE),
            (48, 0x1407, Class::GO_DATA),
        ];
        assert_eq!(all, expected);
    }

    #[test]
    fn chained_pointers_are_told_by_what_else_they_hold() {
        let next = 2 << 51;
        let words = [
            next | 0x80 << 36 | 0x100, // one of a chain, with upper bits of its own
            0x100,                     // a small number
            next | 1 << 44 | 0x100,    // a bit that has no meaning
            next | 0xA000,             // leads outside
            1 << 63 | next | 77,       // bound to a symbol
            1 << 36 | 0x200,           // the last of its page
        ];
        let data: Vec<u8> = words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect();
        let expected = [(0, 0x1100, Class::CHAINED), (32, 77, Class::BOUND), (40, 0x1200, Class::CHAINED)];
        assert_eq!(found(&data, Rule::Chained { base: Some(0x1000) }), expected);
        let expected = [(0, 0x1100, Class::CHAINED), (8, 5, Class::BOUND)];
        let addresses = [next | 0x1100, 1 << 63 | 5].map(u64::to_le_bytes).concat();
        assert_eq!(found(&addresses, Rule::Chained { base: None }), expected);
    }

    #[test]
    fn an_index_of_functions_has_a_word_for_every_sixteen_parts() {
        let mut index = vec![9; 50];
        index[20..24].copy_from_slice(&70_u32.to_le_bytes());
        let expected = [(0, 0x0909_0909, Class::GO_FUNCTION), (20, 70, Class::GO_FUNCTION)];
        let all = found(&index, Rule::Buckets(Buckets::default()));
        assert_eq!(all[..2], expected);
        assert_eq!(all.len(), 3);
    }

    #[test]
    fn rebase_opcodes_hold_offsets_in_segments() {
        let opcodes = [0x11, 0x21, 0x80, 0x82, 0x00, 0x51, 0x21, 0x88, 0x82, 0x00, 0x51, 0x00];
        let expected = [(2, 0x1100, Class::REBASE), (7, 0x1108, Class::REBASE)];
        assert_eq!(found(&opcodes, Rule::Rebases { bases: vec![0, 0x1000] }), expected);
    }
}
