//! What the patch says of a file: where it lies in memory, and by which rule references are found in which range.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub(crate) use super::list::unwind_info::Style;

/// A range of a file and the addresses that it is loaded at.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Segment {
    /// First byte in the file.
    pub(crate) offset: u64,
    /// Bytes in the file.
    pub(crate) len: u64,
    /// Address of the first byte.
    pub(crate) address: u64,
    /// Bytes in memory; what exceeds `len` has no bytes in the file.
    pub(crate) memory_len: u64,
    /// Whether it holds instructions.
    pub(crate) code: bool,
}

impl Segment {
    /// Whether `address` lies in it.
    #[inline]
    pub(crate) fn holds(&self, address: u64) -> bool {
        address.wrapping_sub(self.address) < self.memory_len
    }
}

/// The segments of one file.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub(crate) struct Layout {
    /// By address; their addresses do not overlap.
    pub(crate) segments: Vec<Segment>,
}

impl Layout {
    /// The segment that holds `address`.
    pub(crate) fn by_address(&self, address: u64) -> Option<&Segment> {
        let next = self.segments.partition_point(|segment| segment.address <= address);
        let segment = self.segments.get(next.checked_sub(1)?)?;
        segment.holds(address).then_some(segment)
    }

    /// The first address of all segments and the last: no address outside lies in one.
    pub(crate) fn span(&self) -> (u64, u64) {
        match (self.segments.first(), self.segments.last()) {
            (Some(first), Some(last)) => (first.address, last.address.saturating_add(last.memory_len)),
            _ => (u64::MAX, 0),
        }
    }

    /// The file offset of an address that has a byte in the file.
    #[cfg(feature = "diff")]
    pub(crate) fn offset(&self, address: u64) -> Option<u64> {
        let segment = self.by_address(address)?;
        let inside = address.wrapping_sub(segment.address);
        (inside < segment.len).then(|| segment.offset.wrapping_add(inside))
    }

    /// The address of a file offset.
    pub(crate) fn address(&self, offset: u64) -> Option<u64> {
        self.room(offset).0
    }

    /// The address of a file offset, if it has one, and for how many bytes this goes on.
    pub(crate) fn room(&self, offset: u64) -> (Option<u64>, u64) {
        let mut until = u64::MAX;
        for segment in &self.segments {
            match offset.checked_sub(segment.offset) {
                Some(inside) if inside < segment.len => {
                    let left = segment.len.wrapping_sub(inside);
                    return (Some(segment.address.wrapping_add(inside)), left);
                }
                Some(_) => {}
                None => until = until.min(segment.offset.wrapping_sub(offset)),
            }
        }
        (None, until)
    }
}

/// A range of the old file and the rule that finds the references in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Region {
    /// First byte in the file.
    pub(crate) start: u64,
    /// Bytes.
    pub(crate) len: u64,
    /// How references are found.
    pub(crate) rule: Rule,
}

impl Region {
    /// One past the last byte.
    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

/// How the references of a region are found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Rule {
    /// x86-64 instructions.
    X86_64 {
        /// Whether immediates and displacements may be addresses.
        absolute: bool,
    },
    /// aarch64 instructions.
    Aarch64,
    /// Words that may be addresses or distances.
    Words(Words),
    /// Records of equal length with fields at fixed places.
    Records {
        /// Bytes of a record, at least one.
        stride: u32,
        /// The fields, by place, at most [`MAX_FIELDS`].
        fields: Vec<RecordField>,
    },
    /// The same, in the order of the addresses that their first field holds: what becomes of them stands, in order
    /// again, behind the old file.
    Sorted {
        /// Bytes of a record, at least one.
        stride: u32,
        /// The fields, the one that is sorted by first, at most [`MAX_FIELDS`].
        fields: Vec<RecordField>,
    },
    /// `.eh_frame`.
    Unwinding,
    /// Go's function records.
    GoFunctions(GoBases),
    /// Mach-O's rebase opcodes.
    Rebases {
        /// The addresses of the segments, by ordinal, at most [`MAX_BASES`].
        bases: Vec<u64>,
    },
    /// A packed list of ascending addresses: what becomes of it stands, packed again, behind the old file.
    Packed(Packed),
    /// Mach-O's chained pointers.
    Chained {
        /// Address that they count from, if they do.
        base: Option<u64>,
    },
    /// Go's index of functions by address: what becomes of it stands behind the old file.
    Buckets(Buckets),
}

/// The most segments that opcodes can name here.
pub(crate) const MAX_BASES: usize = 8;

/// The most fields that a record can have.
pub(crate) const MAX_FIELDS: usize = 8;

/// A list of ascending addresses, and the table that it is to become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Packed {
    /// How it is packed.
    pub(crate) packing: Packing,
    /// What addresses count from in the old file.
    pub(crate) old_base: u64,
    /// What they count from in the new one.
    pub(crate) new_base: u64,
    /// Bytes of the new table.
    pub(crate) len: u64,
}

/// How a list of addresses is packed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Packing {
    /// As distances.
    Starts,
    /// In blocks, page by page.
    Blocks,
    /// As bitmaps.
    Bitmaps,
    /// With ways to unwind, in pages.
    Unwinding(Unwound),
}

/// What is to be known of an index of unwinding.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Unwound {
    /// How the table is laid out.
    pub(crate) style: Style,
    /// What records count from in the old file.
    pub(crate) old_frames: u64,
    /// What they count from in the new one.
    pub(crate) new_frames: u64,
    /// Where the last address of the new list ends.
    pub(crate) end: u32,
}

/// What the words of a region can be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Words {
    /// Whether 64-bit words can be addresses.
    pub(crate) pointers: bool,
    /// Address that 32-bit words count from; without it, they are taken for distances from themselves to code.
    pub(crate) base: Option<u64>,
    /// Words from this on do not count from the base.
    pub(crate) limit: u32,
    /// Address that they may count from instead.
    pub(crate) other: Option<u64>,
}

/// A field of a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct RecordField {
    /// Bytes from the start of the record.
    pub(crate) at: u32,
    /// What it holds.
    pub(crate) holds: Holds,
}

/// What a field of a record holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holds {
    /// A 64-bit address.
    Address,
    /// 32 bits that count from an address.
    From(u64),
    /// The same, either way.
    Around(u64),
    /// 32 bits that count from the field itself.
    Here,
}

/// What an index of functions by address follows from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Buckets {
    /// File offset of the list of functions, by where they begin.
    pub(crate) list: u64,
    /// How many functions it has.
    pub(crate) functions: u32,
    /// Address that they are counted from.
    pub(crate) text: u64,
    /// Parts that the code of the new file has.
    pub(crate) parts: u32,
}

/// The addresses that the fields of Go's function records count from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct GoBases {
    /// Start of the code.
    pub(crate) text: u64,
    /// Function names.
    pub(crate) names: u64,
    /// Tables over the program counter.
    pub(crate) tables: u64,
    /// File tables of the compilation units.
    pub(crate) units: u64,
    /// Function data.
    pub(crate) data: u64,
}
