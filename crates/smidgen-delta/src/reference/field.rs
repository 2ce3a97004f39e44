//! A reference: where it stands, what it encodes, and how its field is read and written.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::x86_64::Base;

/// The bits that hold the value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Form {
    /// One signed byte.
    Byte,
    /// Four bytes, little-endian, signed.
    Word,
    /// Eight bytes, little-endian.
    Long,
    /// Four bytes, little-endian, unsigned.
    Unsigned,
    /// Four bytes, little-endian, unsigned, in units of four.
    Quad,
    /// Four bytes, little-endian, that count backwards.
    Back,
    /// Three bytes of seven bits, lowest first; all but the last have their top bit set.
    Leb,
    /// The lower 36 bits of eight bytes, little-endian.
    Link,
    /// Three bytes, little-endian.
    Ordinal,
    /// aarch64 B and BL: 26 bits, in words.
    Branch26,
    /// aarch64 B.cond, CBZ, LDR literal: 19 bits from bit 5, in words.
    Branch19,
    /// aarch64 TBZ: 14 bits from bit 5, in words.
    Branch14,
    /// aarch64 ADR: 21 bits, split.
    Adr,
    /// aarch64 ADRP: 21 bits, split, in pages.
    Page,
    /// aarch64 LDP and STP: 7 bits from bit 15.
    Pair,
    /// aarch64 LDUR and STUR: 9 bits from bit 12.
    Near,
    /// aarch64 ADD or load and store: 12 bits from bit 10, the low part of an address, in units of `1 << scale`.
    Low {
        /// Bits that the address is shifted by.
        scale: u8,
    },
}

impl Form {
    /// Bytes that the field covers.
    #[inline]
    pub(crate) fn len(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Leb | Self::Ordinal => 3,
            Self::Long | Self::Link => 8,
            _ => 4,
        }
    }

    /// Bits that the value has.
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Byte => 8,
            Self::Word | Self::Unsigned | Self::Quad | Self::Back => 32,
            Self::Long => 64,
            Self::Link => 36,
            Self::Ordinal => 24,
            Self::Branch26 => 26,
            Self::Branch19 => 19,
            Self::Branch14 => 14,
            Self::Adr | Self::Page | Self::Leb => 21,
            Self::Pair => 7,
            Self::Near => 9,
            Self::Low { .. } => 12,
        }
    }

    /// The value, unsigned, as it stands in the field.
    #[inline]
    pub(crate) fn read(self, field: &[u8]) -> u64 {
        let raw = self.raw(field);
        match self {
            Self::Byte
            | Self::Ordinal
            | Self::Word
            | Self::Unsigned
            | Self::Quad
            | Self::Back
            | Self::Long => raw,
            Self::Leb => raw & 0x7F | raw >> 1 & 0x3F80 | raw >> 2 & 0x1F_C000,
            Self::Link => raw & 0xF_FFFF_FFFF,
            Self::Branch26 => raw & 0x03FF_FFFF,
            Self::Branch19 => raw >> 5 & 0x7_FFFF,
            Self::Branch14 => raw >> 5 & 0x3FFF,
            Self::Adr | Self::Page => raw >> 29 & 3 | (raw >> 5 & 0x7_FFFF) << 2,
            Self::Pair => (raw >> 15) & 0x7F,
            Self::Near => (raw >> 12) & 0x1FF,
            Self::Low { .. } => raw >> 10 & 0xFFF,
        }
    }

    /// Puts the value into the field; bits that do not belong to it stay.
    pub(crate) fn write(self, field: &mut [u8], value: u64) {
        let raw = self.raw(field);
        let (mask, bits) = match self {
            Self::Byte
            | Self::Ordinal
            | Self::Word
            | Self::Unsigned
            | Self::Quad
            | Self::Back
            | Self::Long => (u64::MAX, value),
            Self::Leb => (0x7F_7F7F, value & 0x7F | (value & 0x3F80) << 1 | (value & 0x1F_C000) << 2),
            Self::Link => (0xF_FFFF_FFFF, value),
            Self::Branch26 => (0x03FF_FFFF, value),
            Self::Branch19 => (0x7_FFFF << 5, value << 5),
            Self::Branch14 => (0x3FFF << 5, value << 5),
            Self::Adr | Self::Page => {
                (3 << 29 | 0x7_FFFF << 5, (value & 3) << 29 | (value >> 2 & 0x7_FFFF) << 5)
            }
            Self::Pair => (0x7F << 15, value << 15),
            Self::Near => (0x1FF << 12, value << 12),
            Self::Low { .. } => (0xFFF << 10, value << 10),
        };
        let raw = raw & !mask | bits & mask;
        match field.first_chunk_mut::<4>() {
            Some(field) if self.len() == 4 => *field = (raw as u32).to_le_bytes(),
            _ => {
                for (to, from) in field.iter_mut().take(self.len()).zip(raw.to_le_bytes()) {
                    *to = from;
                }
            }
        }
    }

    /// The bytes of the field as one number; what is missing reads as zero.
    #[inline]
    fn raw(self, field: &[u8]) -> u64 {
        match (self.len(), field) {
            (1, [byte, ..]) => (*byte).into(),
            (4, [a, b, c, d, ..]) => u32::from_le_bytes([*a, *b, *c, *d]).into(),
            (8, [a, b, c, d, e, f, g, h, ..]) => u64::from_le_bytes([*a, *b, *c, *d, *e, *f, *g, *h]),
            _ => field.iter().take(self.len()).rev().fold(0, |raw, byte| raw << 8 | u64::from(*byte)),
        }
    }

    /// The address that `value` encodes in a field that counts from `anchor`.
    #[inline]
    pub(crate) fn referent(self, value: u64, anchor: u64) -> u64 {
        let signed = |bits: u32| {
            let shift = u64::BITS.wrapping_sub(bits);
            ((value.wrapping_shl(shift)) as i64).wrapping_shr(shift) as u64
        };
        match self {
            Self::Byte => anchor.wrapping_add(signed(8)),
            Self::Word => anchor.wrapping_add(signed(32)),
            Self::Unsigned
            | Self::Long
            | Self::Link
            | Self::Ordinal
            | Self::Leb
            | Self::Pair
            | Self::Near => anchor.wrapping_add(value),
            Self::Quad => anchor.wrapping_add(value << 2),
            Self::Back => anchor.wrapping_sub(value),
            Self::Branch26 => anchor.wrapping_add(signed(26) << 2),
            Self::Branch19 => anchor.wrapping_add(signed(19) << 2),
            Self::Branch14 => anchor.wrapping_add(signed(14) << 2),
            Self::Adr => anchor.wrapping_add(signed(21)),
            Self::Page => (anchor & !0xFFF).wrapping_add(signed(21) << 12),
            Self::Low { scale } => anchor & !0xFFF | value.wrapping_shl(scale.into()) & 0xFFF,
        }
    }

    /// The value that encodes `referent` in a field that counts from `anchor`, cut to the bits there are.
    pub(crate) fn value(self, referent: u64, anchor: u64) -> u64 {
        let distance = referent.wrapping_sub(anchor);
        let value = match self {
            Self::Byte
            | Self::Word
            | Self::Unsigned
            | Self::Long
            | Self::Link
            | Self::Ordinal
            | Self::Leb
            | Self::Adr
            | Self::Pair
            | Self::Near => distance,
            Self::Quad => distance >> 2,
            Self::Back => anchor.wrapping_sub(referent),
            Self::Branch26 | Self::Branch19 | Self::Branch14 => distance >> 2,
            Self::Page => (referent & !0xFFF).wrapping_sub(anchor & !0xFFF) >> 12,
            Self::Low { scale } => (referent & 0xFFF).wrapping_shr(scale.into()),
        };
        value & self.mask()
    }

    /// All bits of a value.
    pub(crate) fn mask(self) -> u64 {
        u64::MAX.wrapping_shr(u64::BITS.wrapping_sub(self.bits()))
    }
}

/// What the value of a field counts from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Anchor {
    /// So many bytes after the field's own first byte.
    Here(u8),
    /// An address of the old file; in the new file, what corresponds to it.
    At(u64),
    /// Nothing: the value is the address.
    Zero,
    /// The page that the instruction before it loaded.
    Page,
    /// No address at all: the value moves by what the value of its class before it moved by.
    Step,
    /// No address at all: a displacement from a register, which moves as an equal one last did.
    Offset,
}

/// A kind of reference; each has statistics of its own.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Class(pub(crate) u8);

impl Class {
    /// How many there can be.
    pub(crate) const COUNT: usize = 64;

    pub(crate) const CALL: Self = Self(0);
    pub(crate) const JUMP: Self = Self(1);
    pub(crate) const CONDITION: Self = Self(2);
    pub(crate) const OPERAND: Self = Self(3);
    pub(crate) const SHORT: Self = Self(4);
    pub(crate) const IMMEDIATE: Self = Self(5);
    pub(crate) const ABSOLUTE: Self = Self(6);
    /// Displacements of one byte from the stack pointer, the frame pointer, another register.
    const NEAR: u8 = 7;
    /// The same, of four bytes.
    const FAR: u8 = 10;

    pub(crate) const POINTER: Self = Self(13);
    /// A word that seems to lead from about itself to code, as the entries of jump tables do: imprecise, so it teaches
    /// nothing.
    pub(crate) const TABLE: Self = Self(14);
    pub(crate) const WORD: Self = Self(15);

    pub(crate) const UNWIND_COMMON: Self = Self(16);
    pub(crate) const UNWIND_CODE: Self = Self(17);
    pub(crate) const UNWIND_DATA: Self = Self(18);

    pub(crate) const GO_FUNCTION: Self = Self(19);
    pub(crate) const GO_ENTRY: Self = Self(20);
    pub(crate) const GO_NAME: Self = Self(21);
    pub(crate) const GO_STACK: Self = Self(22);
    pub(crate) const GO_FILE: Self = Self(23);
    pub(crate) const GO_LINE: Self = Self(24);
    pub(crate) const GO_UNIT: Self = Self(25);
    pub(crate) const GO_START_LINE: Self = Self(26);
    pub(crate) const GO_TABLE: Self = Self(27);
    pub(crate) const GO_DATA: Self = Self(28);

    pub(crate) const REBASE: Self = Self(29);
    pub(crate) const CHAINED: Self = Self(30);
    pub(crate) const BOUND: Self = Self(31);

    pub(crate) const BRANCH: Self = Self(32);
    pub(crate) const BRANCH_LINK: Self = Self(33);
    pub(crate) const BRANCH_IF: Self = Self(34);
    pub(crate) const BRANCH_BIT: Self = Self(35);
    pub(crate) const LITERAL: Self = Self(36);
    pub(crate) const ADDRESS: Self = Self(37);
    pub(crate) const PAGE: Self = Self(38);
    pub(crate) const PAGE_ADD: Self = Self(39);
    pub(crate) const PAGE_LOAD: Self = Self(40);
    /// Immediates added to the stack pointer or another register, as ADD and SUB, load and store, and pairs have them.
    const SUM: u8 = 41;
    const ACCESS: u8 = 43;
    const PAIR: u8 = 45;

    /// An address of a packed list, and what stands beside it.
    pub(crate) const LISTED: Self = Self(62);

    /// The fields of records have a class each, by ordinal.
    const FIELD: u8 = 48;

    /// A displacement of one byte.
    pub(crate) fn near(base: Base) -> Self {
        Self(Self::NEAR.wrapping_add(base as u8))
    }

    /// A displacement of four bytes.
    pub(crate) fn far(base: Base) -> Self {
        Self(Self::FAR.wrapping_add(base as u8))
    }

    /// An immediate of an addition, by whether it is to the stack pointer.
    pub(crate) fn sum(stack: bool) -> Self {
        Self(Self::SUM.wrapping_add(stack.into()))
    }

    /// An immediate of a load or store, by whether the base is the stack pointer.
    pub(crate) fn access(stack: bool) -> Self {
        Self(Self::ACCESS.wrapping_add(stack.into()))
    }

    /// An immediate of a pair of loads or stores, by whether the base is the stack pointer.
    pub(crate) fn pair(stack: bool) -> Self {
        Self(Self::PAIR.wrapping_add(stack.into()))
    }

    /// The nth field of a record.
    pub(crate) fn field(index: usize) -> Self {
        Self(Self::FIELD.wrapping_add(index.min(15) as u8))
    }

    /// What such references are, for people.
    pub(crate) fn name(self) -> &'static str {
        match self.index() as u8 {
            0 => "call",
            1 => "jump",
            2 => "conditional jump",
            3 => "operand",
            4 => "short jump",
            5 => "immediate",
            6 => "absolute displacement",
            7 => "short displacement, stack",
            8 => "short displacement, frame",
            9 => "short displacement",
            10 => "displacement, stack",
            11 => "displacement, frame",
            12 => "displacement",
            13 => "pointer",
            14 => "word from itself to code",
            15 => "word from a base",
            16 => "unwinding: common part",
            17 => "unwinding: code",
            18 => "unwinding: data",
            19 => "Go: number of a function",
            20 => "Go: entry",
            21 => "Go: name",
            22 => "Go: stack table",
            23 => "Go: file table",
            24 => "Go: line table",
            25 => "Go: unit",
            26 => "Go: start line",
            27 => "Go: other table",
            28 => "Go: data",
            29 => "rebase",
            30 => "chained pointer",
            31 => "bound symbol",
            32 => "branch",
            33 => "branch with link",
            34 => "conditional branch",
            35 => "branch on bit",
            36 => "literal",
            37 => "address",
            38 => "page",
            39 => "low part, added",
            40 => "low part, accessed",
            41 => "sum",
            42 => "sum, stack",
            43 => "access",
            44 => "access, stack",
            45 => "pair",
            46 => "pair, stack",
            48 => "field 1 of a record",
            49 => "field 2 of a record",
            50 => "field 3 of a record",
            51 => "field 4 of a record",
            52..62 => "further field of a record",
            62 => "entry of a list",
            _ => "unknown",
        }
    }

    /// For use as an index below [`COUNT`](Self::COUNT).
    pub(crate) fn index(self) -> usize {
        usize::from(self.0) & 63
    }
}

/// A reference in the old file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reference {
    /// Offset of the field's first byte.
    pub(crate) offset: u64,
    /// Address that is referred to; for [`Anchor::Step`] and [`Anchor::Offset`], the number itself.
    pub(crate) referent: u64,
    /// What the value counts from.
    pub(crate) anchor: Anchor,
    /// How it is encoded.
    pub(crate) form: Form,
    /// Its kind.
    pub(crate) class: Class,
    /// Address that the value may count from instead.
    pub(crate) other: Option<u64>,
}

impl Reference {
    /// The value in a file of which `bytes` is the part from `offset` on, if the field lies in it as a whole.
    pub(crate) fn value_in(&self, bytes: &[u8], offset: u64) -> Option<u64> {
        let at = self.offset.checked_sub(offset)? as usize;
        bytes.get(at..at.checked_add(self.form.len())?).map(|field| self.form.read(field))
    }
}

/// The match that references stand in.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Inside {
    /// Its first byte in the new file.
    pub(crate) place: u64,
    /// Address of its first byte in the old file.
    pub(crate) address: u64,
    /// How many bytes from there move together in memory; 0 if they have no address.
    pub(crate) len: u64,
}

impl Inside {
    /// Whether a field leads to a place that moves along with it, so that its value stays.
    #[inline]
    pub(crate) fn moves_along(&self, referent: u64, anchor: Anchor, form: Form) -> bool {
        let along = referent.wrapping_sub(self.address) < self.len;
        along && matches!(anchor, Anchor::Here(_)) && form != Form::Page
    }

    /// Whether a field most likely keeps its value: it moves along with what it leads to, or counts from a register.
    #[inline]
    pub(crate) fn may_rest(&self, referent: u64, anchor: Anchor, form: Form) -> bool {
        anchor == Anchor::Offset || self.moves_along(referent, anchor, form)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects, reason = "test code on small numbers")]
mod tests {
    use super::*;

    const FORMS: [Form; 20] = [
        Form::Pair,
        Form::Near,
        Form::Byte,
        Form::Word,
        Form::Long,
        Form::Unsigned,
        Form::Quad,
        Form::Back,
        Form::Leb,
        Form::Link,
        Form::Ordinal,
        Form::Branch26,
        Form::Branch19,
        Form::Branch14,
        Form::Adr,
        Form::Page,
        Form::Low { scale: 0 },
        Form::Low { scale: 1 },
        Form::Low { scale: 3 },
        Form::Low { scale: 4 },
    ];

    /// What each form holds, from the manuals: field, anchor, referent.
    #[test]
    fn fields_lead_where_the_manuals_say() {
        let vectors: [(Form, &[u8], u64, u64); 13] = [
            (Form::Byte, &[0xFE], 0x1002, 0x1000),
            (Form::Word, &[0xFC, 0xFF, 0xFF, 0xFF], 0x1004, 0x1000),
            (Form::Unsigned, &[0, 0, 0, 0x80], 0x1000, 0x8000_1000),
            (Form::Quad, &[2, 0, 0, 0], 0x1000, 0x1008),
            (Form::Back, &[0x10, 0, 0, 0], 0x1010, 0x1000),
            (Form::Long, &[1, 2, 3, 4, 5, 6, 7, 8], 0, 0x0807_0605_0403_0201),
            (Form::Leb, &[0x81, 0x82, 0x03], 0x10_0000, 0x10_C101),
            (Form::Link, &[0x10, 2, 3, 4, 0xF5, 0x80, 0x10, 0], 0x10, 0x5_0403_0220),
            // bl #-4; b.ne #8; tbz w0, #0, #12; adr x0, #5; adrp x1, #0x3000
            (Form::Branch26, &[0xFF, 0xFF, 0xFF, 0x97], 0x1000, 0xFFC),
            (Form::Branch19, &[0x41, 0, 0, 0x54], 0x1000, 0x1008),
            (Form::Branch14, &[0x60, 0, 0, 0x36], 0x1000, 0x100C),
            (Form::Adr, &[0x20, 0, 0, 0x30], 0x1000, 0x1005),
            (Form::Page, &[0x01, 0, 0, 0xF0], 0x1234, 0x4000),
        ];
        for (form, field, anchor, referent) in vectors {
            let value = form.read(field);
            assert_eq!(form.referent(value, anchor), referent, "{form:?}");
            assert_eq!(form.value(referent, anchor), value, "{form:?}");
        }
        // ldr x0, [x1, #0x18]
        let low = Form::Low { scale: 3 };
        assert_eq!(low.referent(low.read(&[0x20, 0x0C, 0x40, 0xF9]), 0x5000), 0x5018);
    }

    #[test]
    fn what_is_written_reads_back_and_other_bits_stay() {
        for form in FORMS {
            for seed in 0..64_u64 {
                let noise = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
                let value = noise.rotate_left(17) & form.mask();
                let mut field = noise.to_le_bytes();
                form.write(&mut field, value);
                assert_eq!(form.read(&field), value, "{form:?}");
                let kept = form.read(&noise.to_le_bytes());
                form.write(&mut field, kept);
                if form != Form::Leb {
                    assert_eq!(field, noise.to_le_bytes(), "{form:?}");
                }
            }
        }
    }

    #[test]
    fn fields_cut_short_are_read_as_if_zeros_followed() {
        for form in FORMS {
            for len in 0..form.len() {
                let mut field = vec![0xFF; len];
                let value = form.read(&field);
                form.write(&mut field, value);
                assert_eq!(field, vec![0xFF; len]);
            }
        }
    }
}
