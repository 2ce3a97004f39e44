//! How regions and their rules are written.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{
    super::{
        coder::Coder,
        list::unwind_info::Style,
        model::{Number, Symbol},
        region::{
            Buckets, GoBases, Holds, MAX_BASES, MAX_FIELDS, Packed, Packing, RecordField, Region, Rule,
            Unwound, Words,
        },
    },
    MAX_RECORDS, Wrong,
};

/// The kinds of rule, as they are written.
pub(super) mod kind {
    pub(in super::super) const X86_64: u32 = 0;
    pub(in super::super) const AARCH64: u32 = 1;
    pub(in super::super) const WORDS: u32 = 2;
    pub(in super::super) const RECORDS: u32 = 3;
    pub(in super::super) const UNWINDING: u32 = 4;
    pub(in super::super) const GO_FUNCTIONS: u32 = 5;
    pub(in super::super) const REBASES: u32 = 6;
    pub(in super::super) const SORTED: u32 = 7;
    pub(in super::super) const CHAINED: u32 = 8;
    pub(in super::super) const BUCKETS: u32 = 9;
    pub(in super::super) const PACKED: u32 = 10;
}

#[derive(Default)]
pub(super) struct RegionModels {
    gap: Number,
    len: Number,
    pub(super) kind: Symbol<4, 16>,
    flag: Number,
    pub(super) count: Number,
    at: Number,
    holds: Number,
    base: Number,
    limit: Number,
    list: Number,
    last_base: u64,
}

pub(super) fn code_regions(
    coder: &mut impl Coder,
    wanted: &[Region],
    count: u64,
    old_size: u64,
) -> Result<Vec<Region>, Wrong> {
    let mut models = RegionModels::default();
    let mut regions: Vec<Region> = Vec::new();
    let mut records = MAX_RECORDS;
    let mut end = 0_u64;
    for index in 0..count as usize {
        let wanted = wanted.get(index);
        let gap = models.gap.code(coder, wanted.map_or(0, |region| region.start.saturating_sub(end)));
        let len = models.len.code(coder, wanted.map_or(0, |region| region.len));
        let start = end.saturating_add(gap);
        end = start.saturating_add(len);
        if len == 0 || end > old_size {
            return Err(Wrong("has a region that does not lie in the old file"));
        }
        let rule = models.code_rule(coder, wanted.map(|region| &region.rule), old_size)?;
        if matches!(rule, Rule::GoFunctions(_)) {
            let left = records.checked_sub(len);
            records = left.ok_or(Wrong("has more than 256 MiB of records of functions"))?;
        }
        regions.push(Region { start, len, rule });
    }
    Ok(regions)
}

impl RegionModels {
    pub(super) fn code_rule(
        &mut self,
        coder: &mut impl Coder,
        wanted: Option<&Rule>,
        old_size: u64,
    ) -> Result<Rule, Wrong> {
        let kind = self.kind.code(
            coder,
            match wanted {
                None | Some(Rule::X86_64 { .. }) => kind::X86_64,
                Some(Rule::Aarch64) => kind::AARCH64,
                Some(Rule::Words(_)) => kind::WORDS,
                Some(Rule::Records { .. }) => kind::RECORDS,
                Some(Rule::Sorted { .. }) => kind::SORTED,
                Some(Rule::Unwinding) => kind::UNWINDING,
                Some(Rule::GoFunctions(_)) => kind::GO_FUNCTIONS,
                Some(Rule::Rebases { .. }) => kind::REBASES,
                Some(Rule::Chained { .. }) => kind::CHAINED,
                Some(Rule::Buckets(_)) => kind::BUCKETS,
                Some(Rule::Packed(_)) => kind::PACKED,
            },
        );
        match kind {
            kind::X86_64 => {
                let absolute = matches!(wanted, Some(Rule::X86_64 { absolute: true }));
                Ok(Rule::X86_64 { absolute: self.code_flag(coder, absolute) })
            }
            kind::AARCH64 => Ok(Rule::Aarch64),
            kind::WORDS => {
                let wanted = match wanted {
                    Some(Rule::Words(words)) => *words,
                    _ => Words::default(),
                };
                Ok(Rule::Words(self.code_words(coder, wanted)))
            }
            kind::RECORDS => {
                let (stride, fields) = self.code_records(coder, wanted)?;
                Ok(Rule::Records { stride, fields })
            }
            kind::SORTED => {
                let (stride, fields) = self.code_records(coder, wanted)?;
                Ok(Rule::Sorted { stride, fields })
            }
            kind::UNWINDING => Ok(Rule::Unwinding),
            kind::GO_FUNCTIONS => {
                let wanted = match wanted {
                    Some(Rule::GoFunctions(bases)) => *bases,
                    _ => GoBases::default(),
                };
                Ok(Rule::GoFunctions(GoBases {
                    text: self.code_base(coder, wanted.text),
                    names: self.code_base(coder, wanted.names),
                    tables: self.code_base(coder, wanted.tables),
                    units: self.code_base(coder, wanted.units),
                    data: self.code_base(coder, wanted.data),
                }))
            }
            kind::REBASES => {
                let wanted = match wanted {
                    Some(Rule::Rebases { bases }) => bases.as_slice(),
                    _ => &[],
                };
                let count = self.count.code(coder, wanted.len() as u64);
                if count > MAX_BASES as u64 {
                    return Err(Wrong("has rebases of too many segments"));
                }
                let base = |index: u64| wanted.get(index as usize).copied().unwrap_or(0);
                Ok(Rule::Rebases {
                    bases: (0..count).map(|index| self.code_base(coder, base(index))).collect(),
                })
            }
            kind::PACKED => {
                let wanted = match wanted {
                    Some(Rule::Packed(packed)) => Some(*packed),
                    _ => None,
                };
                self.code_packed(coder, wanted).map(Rule::Packed)
            }
            kind::CHAINED => {
                let wanted = match wanted {
                    Some(Rule::Chained { base }) => *base,
                    _ => None,
                };
                let counts = self.code_flag(coder, wanted.is_some());
                Ok(Rule::Chained { base: counts.then(|| self.code_base(coder, wanted.unwrap_or(0))) })
            }
            kind::BUCKETS => {
                let wanted = match wanted {
                    Some(Rule::Buckets(buckets)) => *buckets,
                    _ => Buckets::default(),
                };
                let buckets = Buckets {
                    list: self.list.code(coder, wanted.list),
                    functions: self.count.code(coder, wanted.functions.into()) as u32,
                    text: self.code_base(coder, wanted.text),
                    parts: self.count.code(coder, wanted.parts.into()) as u32,
                };
                let end = buckets.list.saturating_add(buckets.list_len());
                if end > old_size {
                    return Err(Wrong("has a list of functions that does not lie in the old file"));
                }
                Ok(Rule::Buckets(buckets))
            }
            _ => Err(Wrong("has a rule that this version does not know")),
        }
    }

    fn code_words(&mut self, coder: &mut impl Coder, wanted: Words) -> Words {
        let mut words = Words { pointers: self.code_flag(coder, wanted.pointers), ..Words::default() };
        if self.code_flag(coder, wanted.base.is_some()) {
            words.base = Some(self.code_base(coder, wanted.base.unwrap_or(0)));
            words.limit = self.limit.code(coder, wanted.limit.into()) as u32;
            if self.code_flag(coder, wanted.other.is_some()) {
                words.other = Some(self.code_base(coder, wanted.other.unwrap_or(0)));
            }
        }
        words
    }

    fn code_records(
        &mut self,
        coder: &mut impl Coder,
        wanted: Option<&Rule>,
    ) -> Result<(u32, Vec<RecordField>), Wrong> {
        let (stride, wanted) = match wanted {
            Some(Rule::Records { stride, fields } | Rule::Sorted { stride, fields }) => {
                (*stride, fields.as_slice())
            }
            _ => (0, [].as_slice()),
        };
        let stride = self.count.code(coder, stride.into()) as u32;
        let count = self.count.code(coder, wanted.len() as u64);
        // A record has room for its fields, so that no byte is looked at more often than there are fields.
        if stride == 0 || count > MAX_FIELDS as u64 || count.saturating_mul(4) > stride.into() {
            return Err(Wrong("has records that cannot be"));
        }
        let mut fields = Vec::new();
        for index in 0..count as usize {
            let wanted = wanted.get(index).copied().unwrap_or(RecordField { at: 0, holds: Holds::Address });
            let at = self.at.code(coder, wanted.at.into()) as u32;
            let (holds, base) = match wanted.holds {
                Holds::Address => (0, 0),
                Holds::From(base) => (1, base),
                Holds::Here => (2, 0),
                Holds::Around(base) => (3, base),
            };
            let holds = match self.holds.code(coder, holds) {
                0 => Holds::Address,
                1 => Holds::From(self.code_base(coder, base)),
                3 => Holds::Around(self.code_base(coder, base)),
                _ => Holds::Here,
            };
            if at >= stride {
                return Err(Wrong("has a field outside its record"));
            }
            fields.push(RecordField { at, holds });
        }
        Ok((stride, fields))
    }

    fn code_packed(&mut self, coder: &mut impl Coder, wanted: Option<Packed>) -> Result<Packed, Wrong> {
        let packing = wanted.map_or(Packing::Starts, |packed| packed.packing);
        let number = match packing {
            Packing::Starts => 0,
            Packing::Blocks => 1,
            Packing::Bitmaps => 2,
            Packing::Unwinding(_) => 3,
        };
        let packing = match self.count.code(coder, number) {
            0 => Packing::Starts,
            1 => Packing::Blocks,
            2 => Packing::Bitmaps,
            3 => {
                let wanted = match packing {
                    Packing::Unwinding(unwound) => unwound,
                    _ => Unwound::default(),
                };
                let style = Style {
                    mode: (self.count.code(coder, wanted.style.mode.into()) & 15) as u8,
                    tight: self.code_flag(coder, wanted.style.tight),
                };
                Packing::Unwinding(Unwound {
                    style,
                    old_frames: self.code_base(coder, wanted.old_frames),
                    new_frames: self.code_base(coder, wanted.new_frames),
                    end: self.limit.code(coder, wanted.end.into()) as u32,
                })
            }
            _ => return Err(Wrong("has a list that this version cannot unpack")),
        };
        Ok(Packed {
            packing,
            old_base: self.code_base(coder, wanted.map_or(0, |packed| packed.old_base)),
            new_base: self.code_base(coder, wanted.map_or(0, |packed| packed.new_base)),
            len: self.len.code(coder, wanted.map_or(0, |packed| packed.len)),
        })
    }

    fn code_flag(&mut self, coder: &mut impl Coder, wanted: bool) -> bool {
        self.flag.code(coder, wanted.into()) == 1
    }

    /// An address, as the distance from the one before.
    fn code_base(&mut self, coder: &mut impl Coder, wanted: u64) -> u64 {
        let distance = wanted.wrapping_sub(self.last_base).cast_signed();
        self.last_base = self.last_base.wrapping_add_signed(self.base.code_signed(coder, distance));
        self.last_base
    }
}
