//! Line numbers in Go's tables (Go 1.20 and later), put right in the old file before anything else is made of it.
//!
//! A line that comes into a source file moves all lines behind it, in every function and wherever one of them was inlined.
//! The tables that lead from code to lines hold steps, so that one edit changes a step or two of each function that
//! the file reaches, at places that have nothing to do with each other. But all of these steps follow from a few words:
//! by how many lines what stood in a file from some line on has moved.
//!
//! Steps keep their places: a table one of whose steps would take more bytes, or fewer, stays as it is. Layouts:
//! `runtime/symtab.go` (`_func`, `pcvalue`, `readvarint`) and `runtime/symtabinl.go` (`inlinedCall`) of the Go distribution.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::io;

use super::{
    buckets::ENTRY,
    go::{DATA, FILE_TABLE, HEAD, LINE_TABLE, START_LINE, TABLES, UNIT},
};
use crate::{
    ApplyError, SectionKind,
    old::{Change, OldFile},
    varint,
};

/// Which line numbers of the old file are others, and by how much.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct LineNumbers {
    /// Where they stand.
    pub(crate) tables: Tables,
    /// How many bytes of the old file change at most; the same byte may be counted more than once.
    pub(crate) changes: u32,
    /// By file, then by line, each pair once.
    pub(crate) shifts: Vec<Shift>,
}

/// Where Go's tables are in a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Tables {
    /// First byte of the pc tables, and their bytes.
    pub(crate) start: u64,
    pub(crate) len: u64,
    /// The list of functions.
    pub(crate) list: u64,
    pub(crate) functions: u32,
    /// The list of files: words, which records and pc tables count. A file's word is its name.
    pub(crate) files: u64,
    /// What records count function data from.
    pub(crate) data: u64,
}

impl Tables {
    /// Whether reading them takes no longer than making so many bytes: each byte of the pc tables may be an entry, and each
    /// function has a record.
    pub(crate) fn are_read_within(&self, bytes: u64) -> bool {
        let records = u64::from(self.functions).saturating_mul(ENTRY.saturating_add(HEAD as u64));
        self.len <= bytes && records <= bytes
    }

    /// One past the last byte of the pc tables.
    pub(crate) fn end(&self) -> u64 {
        self.start.saturating_add(self.len)
    }
}

/// From this line of a file on, lines moved by so many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Shift {
    pub(crate) file: u32,
    pub(crate) line: u32,
    pub(crate) by: i32,
}

/// Which of the further pc tables says what was inlined, and which piece of function data that counts.
const INLINED_TABLE: u64 = 2;
const INLINED_DATA: u64 = 3;
/// Bytes of an inlined call, and where in it a word says at which line the function starts.
const CALL: u64 = 16;
const CALL_LINE: u64 = 12;

impl LineNumbers {
    /// The bytes of `old` that change, of which there are never more than so many.
    pub(crate) fn changes(&self, old: &mut OldFile<'_>, most: usize) -> Result<Changes, ApplyError> {
        let mut search = Search {
            numbers: self,
            old,
            left: self.tables.len,
            most,
            changes: Changes { found: Vec::with_capacity(self.changes as usize), most: 0 },
            recent: [(u64::MAX, &[]); RECENT],
        };
        let Tables { list, functions, .. } = self.tables;
        for index in 0..u64::from(functions) {
            if search.left == 0 {
                break;
            }
            let entry = list.saturating_add(index.saturating_mul(ENTRY));
            if let Some(record) = search.word(entry.saturating_add(4))? {
                search.function(list.saturating_add(record.into()))?;
            }
        }
        Ok(search.changes)
    }

    /// What moved in a file.
    fn moves(&self, file: u32) -> &[Shift] {
        let from = self.shifts.partition_point(|shift| shift.file < file);
        let to = self.shifts.partition_point(|shift| shift.file <= file);
        self.shifts.get(from..to).unwrap_or_default()
    }
}

/// Bytes of the old file that change.
#[derive(Default)]
pub(crate) struct Changes {
    /// In the order in which they are found.
    pub(crate) found: Vec<Change>,
    /// The most that there ever were: those of a table that stays as it is were among them for a while.
    pub(crate) most: usize,
}

/// There are more changes than were declared.
const TOO_MANY: ApplyError =
    ApplyError::Section { section: SectionKind::Plan, what: "is for fewer changed line numbers", at: 0 };

/// Where a line went to.
fn moved(moves: &[Shift], line: i32) -> i32 {
    let before = moves.partition_point(|shift| i64::from(shift.line) <= i64::from(line));
    let shift = before.checked_sub(1).and_then(|index| moves.get(index));
    line.wrapping_add(shift.map_or(0, |shift| shift.by))
}

struct Search<'s, 'f> {
    numbers: &'s LineNumbers,
    old: &'s mut OldFile<'f>,
    /// Entries of tables that may still be read, whatever functions are said to share one: as many as tables have bytes.
    /// (Those of file tables are read again for the tables beside them, which does not count.)
    left: u64,
    most: usize,
    changes: Changes,
    /// What moved in files that were asked for of late, by their place in the list.
    recent: [(u64, &'s [Shift]); RECENT],
}

/// How many files are remembered, a power of two: neighbours have most of theirs in common.
const RECENT: usize = 256;

impl<'s> Search<'s, '_> {
    /// The lines of a function whose record begins there.
    fn function(&mut self, record: u64) -> Result<(), ApplyError> {
        let Some(head) = self.bytes::<HEAD>(record)? else { return Ok(()) };
        let word = |at: usize| {
            let word = head.get(at..).and_then(<[u8]>::first_chunk);
            word.map_or(0, |word| u32::from_le_bytes(*word))
        };
        let tables = self.numbers.tables;
        let files = || Files::new(&tables, word(UNIT), word(FILE_TABLE));
        let mut all = files();
        let mut first: Option<&[Shift]> = None;
        let mut reaches = false;
        while self.next(&mut all.table)? {
            let moves = self.moves(&all)?;
            reaches |= !moves.is_empty();
            first.get_or_insert(moves);
        }
        if !reaches {
            return Ok(());
        }
        let start_line = record.saturating_add(START_LINE as u64);
        self.change_word(start_line, word(START_LINE), first.unwrap_or_default())?;
        self.line_table(files(), word(LINE_TABLE))?;
        let further = u64::from(word(TABLES));
        let data = head.get(DATA).copied().map_or(0, u64::from);
        if further > INLINED_TABLE && data > INLINED_DATA {
            let named = record.saturating_add(HEAD as u64);
            let at = |index: u64| named.saturating_add(index.saturating_mul(4));
            let table = self.word(at(INLINED_TABLE))?.unwrap_or(0);
            let calls = self.word(at(further.saturating_add(INLINED_DATA)))?.unwrap_or(u32::MAX);
            if table != 0 && calls != u32::MAX {
                self.inlined_calls(files(), table, tables.data.saturating_add(calls.into()))?;
            }
        }
        Ok(())
    }

    /// The steps of a line table.
    fn line_table(&mut self, mut files: Files<'s>, table: u32) -> Result<(), ApplyError> {
        let before = self.changes.found.len();
        let mut lines = PcTable::new(&self.numbers.tables, table);
        let mut last = -1_i32;
        let mut fits = true;
        while self.next(&mut lines)? {
            let line = moved(self.moves_of(&mut files, lines.start)?, lines.value);
            let step = varint::zigzag(line.wrapping_sub(last).into()) as u32;
            last = line;
            fits &= varint_len(step) == lines.step_len;
            for index in 0..if fits { lines.step_len } else { 0 } {
                let byte = |step: u32| varint_byte(step, index, lines.step_len);
                self.change(lines.step_at.saturating_add(index.into()), byte(lines.step), byte(step))?;
            }
        }
        if !fits {
            self.changes.found.truncate(before);
        }
        Ok(())
    }

    /// The start lines of inlined functions. Which file they are from is what the file table says of their code.
    fn inlined_calls(&mut self, mut files: Files<'s>, table: u32, calls: u64) -> Result<(), ApplyError> {
        let mut inlined = PcTable::new(&self.numbers.tables, table);
        while self.next(&mut inlined)? {
            let Ok(index) = u64::try_from(inlined.value) else { continue };
            let moves = self.moves_of(&mut files, inlined.start)?;
            let at = calls.saturating_add(index.saturating_mul(CALL)).saturating_add(CALL_LINE);
            if !moves.is_empty()
                && let Some(line) = self.word(at)?
            {
                self.change_word(at, line, moves)?;
            }
        }
        Ok(())
    }

    /// What moved in the file that the code at `pc` is from. The last file goes on to the end.
    fn moves_of(&mut self, files: &mut Files<'s>, pc: u32) -> Result<&'s [Shift], ApplyError> {
        while files.table.end <= pc && files.table.next(self.old).map_err(ApplyError::OldUnreadable)? {
            files.moves = None;
        }
        match files.moves {
            Some(moves) => Ok(moves),
            None => {
                let moves = self.moves(files)?;
                files.moves = Some(moves);
                Ok(moves)
            }
        }
    }

    /// What moved in the file that a file table has come to.
    fn moves(&mut self, files: &Files<'_>) -> Result<&'s [Shift], ApplyError> {
        let index = i64::from(files.unit).wrapping_add(files.table.value.into());
        let Ok(index) = u64::try_from(index) else { return Ok(&[]) };
        let slot = index as usize & RECENT.wrapping_sub(1);
        if let Some((recent, moves)) = self.recent.get(slot)
            && *recent == index
        {
            return Ok(moves);
        }
        let file = self.word(self.numbers.tables.files.saturating_add(index.saturating_mul(4)))?;
        let moves = file.map_or(&[][..], |file| self.numbers.moves(file));
        if let Some(recent) = self.recent.get_mut(slot) {
            *recent = (index, moves);
        }
        Ok(moves)
    }

    /// Goes on to the next entry of a table, if there is one.
    fn next(&mut self, table: &mut PcTable) -> Result<bool, ApplyError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(false) };
        let is_there = table.next(self.old).map_err(ApplyError::OldUnreadable)?;
        if is_there {
            self.left = left;
        }
        Ok(is_there)
    }

    fn change_word(&mut self, at: u64, line: u32, moves: &[Shift]) -> Result<(), ApplyError> {
        let moved = moved(moves, line.cast_signed()).to_le_bytes();
        for (index, (was, byte)) in line.to_le_bytes().into_iter().zip(moved).enumerate() {
            self.change(at.saturating_add(index as u64), was, byte)?;
        }
        Ok(())
    }

    fn change(&mut self, at: u64, was: u8, byte: u8) -> Result<(), ApplyError> {
        // Encoders take no file in which a place is longer than a word.
        if let Ok(at) = u32::try_from(at)
            && was != byte
        {
            let Changes { found, most } = &mut self.changes;
            if found.len() >= self.most {
                return Err(TOO_MANY);
            }
            found.push(Change { at, byte });
            *most = found.len().max(*most);
        }
        Ok(())
    }

    fn word(&mut self, at: u64) -> Result<Option<u32>, ApplyError> {
        Ok(self.bytes(at)?.map(u32::from_le_bytes))
    }

    /// Bytes of the old file, if it has them.
    fn bytes<const N: usize>(&mut self, at: u64) -> Result<Option<[u8; N]>, ApplyError> {
        if at.checked_add(N as u64).is_none_or(|end| end > self.old.size()) {
            return Ok(None);
        }
        let mut bytes = [0; N];
        self.old.read(&mut bytes, at).map_err(ApplyError::OldUnreadable)?;
        Ok(Some(bytes))
    }
}

/// A function's file table: which file each piece of its code is from.
struct Files<'s> {
    /// Which of all files is the first that the table counts.
    unit: u32,
    table: PcTable,
    /// What moved in the file that it has come to, once that was asked.
    moves: Option<&'s [Shift]>,
}

impl Files<'_> {
    fn new(tables: &Tables, unit: u32, table: u32) -> Self {
        Self { unit, table: PcTable::new(tables, table), moves: None }
    }
}

/// A pc table while it is read: a value for each run of code. Entries are the value's step and the run's length, as numbers of
/// seven bits a byte, low ones first; the value starts from -1, and a step of zero behind the first entry ends the table.
struct PcTable {
    value: i32,
    /// Where in the function's code its run begins, and where it ends.
    start: u32,
    end: u32,
    /// The step that led to the value, as it stands in the table, where, and in how many bytes.
    step: u32,
    step_at: u64,
    step_len: u8,
    is_first: bool,
    has_ended: bool,
    bytes: Cursor,
}

impl PcTable {
    fn new(tables: &Tables, table: u32) -> Self {
        let at = tables.start.saturating_add(table.into());
        let bytes = Cursor { at, end: tables.end(), read: [0; Cursor::READ], len: 0, taken: 0 };
        Self {
            value: -1,
            start: 0,
            end: 0,
            step: 0,
            step_at: at,
            step_len: 0,
            is_first: true,
            has_ended: false,
            bytes,
        }
    }

    /// Goes on to the next entry, if there is one; what ended stays where it ended.
    fn next(&mut self, old: &mut OldFile<'_>) -> io::Result<bool> {
        if self.has_ended {
            return Ok(false);
        }
        let step_at = self.bytes.place();
        let entry = match self.bytes.number(old)? {
            Some((0, _)) if !self.is_first => None,
            Some(step) => self.bytes.number(old)?.map(|(len, _)| (step, len)),
            None => None,
        };
        // Code of a function has no more bytes than a word counts.
        let entry = entry.and_then(|(step, len)| Some((step, self.end.checked_add(len)?)));
        let Some(((step, step_len), end)) = entry else {
            self.has_ended = true;
            return Ok(false);
        };
        (self.step, self.step_at, self.step_len) = (step, step_at, step_len);
        self.is_first = false;
        self.value = self.value.wrapping_add(varint::unzigzag(step.into()) as i32);
        self.start = self.end;
        self.end = end;
        Ok(true)
    }
}

/// Bytes of the old file one after the other, up to the end of all tables.
struct Cursor {
    /// Where the next ones are read from, and where there are no more.
    at: u64,
    end: u64,
    /// What was read and not taken yet.
    read: [u8; Self::READ],
    len: usize,
    taken: usize,
}

impl Cursor {
    const READ: usize = 64;

    /// The place of the next byte.
    fn place(&self) -> u64 {
        self.at.saturating_sub(self.len.saturating_sub(self.taken) as u64)
    }

    fn next(&mut self, old: &mut OldFile<'_>) -> io::Result<Option<u8>> {
        if self.taken == self.len {
            let len = self.end.saturating_sub(self.at).min(Self::READ as u64);
            let room = self.read.get_mut(..len as usize).unwrap_or_default();
            old.read(room, self.at)?;
            (self.len, self.taken) = (len as usize, 0);
            self.at = self.at.saturating_add(len);
        }
        let byte = self.read.get(..self.len).and_then(|read| read.get(self.taken)).copied();
        self.taken = self.taken.saturating_add(usize::from(byte.is_some()));
        Ok(byte)
    }

    /// The next number and how many bytes it takes, at most [`MAX_VARINT`]. Nearly all take one.
    #[inline]
    fn number(&mut self, old: &mut OldFile<'_>) -> io::Result<Option<(u32, u8)>> {
        match self.read.get(self.taken) {
            Some(&byte) if byte < 0x80 && self.taken < self.len => {
                self.taken = self.taken.wrapping_add(1);
                Ok(Some((byte.into(), 1)))
            }
            _ => self.long_number(old),
        }
    }

    #[cold]
    fn long_number(&mut self, old: &mut OldFile<'_>) -> io::Result<Option<(u32, u8)>> {
        let mut number = 0_u64;
        for index in 0..MAX_VARINT {
            let Some(byte) = self.next(old)? else { return Ok(None) };
            number |= u64::from(byte & 0x7F).wrapping_shl(u32::from(index).wrapping_mul(7));
            if byte < 0x80 {
                return Ok(u32::try_from(number).ok().map(|number| (number, index.wrapping_add(1))));
            }
        }
        Ok(None)
    }
}

/// The most bytes that a number takes.
const MAX_VARINT: u8 = 5;

fn varint_len(number: u32) -> u8 {
    (32_u32.saturating_sub(number.leading_zeros())).div_ceil(7).max(1) as u8
}

/// A byte of a number that takes `len` of them.
fn varint_byte(number: u32, index: u8, len: u8) -> u8 {
    let bits = number.wrapping_shr(u32::from(index).wrapping_mul(7)) as u8 & 0x7F;
    if index.wrapping_add(1) < len { bits | 0x80 } else { bits }
}

#[cfg(all(test, feature = "diff"))]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "test code on small numbers"
)]
pub(crate) mod sample;

#[cfg(all(test, feature = "diff"))]
#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::unwrap_used,
    reason = "test code on small numbers"
)]
mod tests {
    use super::{sample::Function, *};

    const FILES: [u32; 4] = [900, 100, 500, 700];

    /// A function of file 500, into which two of others were inlined.
    fn function() -> Function {
        Function {
            name: "main.main".into(),
            unit: 1,
            start_line: 40,
            files: vec![(1, 30), (0, 10), (1, 5), (2, 20), (1, 100)],
            lines: vec![(41, 10), (43, 20), (300, 10), (44, 5), (12, 20), (45, 60), (41, 40)],
            inlined: vec![(-1, 30), (0, 10), (-1, 5), (1, 20), (-1, 100)],
            calls: vec![298, 9],
        }
    }

    fn changed(file: &[u8], lines: &LineNumbers) -> Vec<u8> {
        let mut old = OldFile::new(&file);
        let changes = lines.changes(&mut old, usize::MAX).unwrap().found;
        old.change(changes);
        let mut made = vec![0; file.len()];
        old.read(&mut made, 0).unwrap();
        made
    }

    #[test]
    fn lines_move_in_every_table_that_speaks_of_them() {
        let (mut old, mut new) = (vec![0; 11], vec![0; 11]);
        let places = sample::write(&mut old, &FILES, &[function()]);
        let mut next = function();
        // Three lines more in front of line 43 of the function's own file; one less in the file of the first call.
        next.lines = vec![(41, 10), (46, 20), (299, 10), (47, 5), (12, 20), (48, 60), (41, 40)];
        next.calls = vec![297, 9];
        sample::write(&mut new, &FILES, &[next]);
        let shifts = vec![
            Shift { file: 100, line: 0, by: -1 },
            Shift { file: 500, line: 42, by: 3 },
            Shift { file: 500, line: 1000, by: 8 },
        ];
        let lines = places.lines(shifts);
        assert!(changed(&old, &lines) == new);
        // The digest is that of the file as it is.
        let mut file = OldFile::new(&old);
        let changes = lines.changes(&mut file, usize::MAX).unwrap().found;
        file.change(changes);
        assert_eq!(file.digest().unwrap(), crate::Digest::of(&old));
    }

    #[test]
    fn a_table_one_of_whose_steps_would_take_more_bytes_stays() {
        let (mut old, mut new) = (Vec::new(), Vec::new());
        let places = sample::write(&mut old, &FILES, &[function()]);
        // From 45 back to 12 is a step of -33 in one byte; from 95 it would be one of -83.
        let lines = places.lines(vec![Shift { file: 500, line: 42, by: 50 }]);
        sample::write(&mut new, &FILES, &[function()]);
        assert!(changed(&old, &lines) == new);
        let lines = places.lines(vec![Shift { file: 500, line: 40, by: 50 }]);
        let next = Function { start_line: 90, ..function() };
        new.clear();
        sample::write(&mut new, &FILES, &[next]);
        assert!(changed(&old, &lines) == new, "the line that it starts at moves all the same");
    }

    #[test]
    fn there_are_no_more_changes_than_were_declared() {
        let mut old = Vec::new();
        let places = sample::write(&mut old, &FILES, &[function()]);
        let lines = places.lines(vec![Shift { file: 500, line: 42, by: 3 }]);
        let old: &[u8] = &old;
        let find = |most| lines.changes(&mut OldFile::new(&old), most);
        let count = find(usize::MAX).unwrap().most;
        assert_eq!(find(count).unwrap().found.len(), count);
        let error = find(count - 1).map(drop).unwrap_err();
        assert!(error.to_string().contains("is for fewer changed line numbers"), "{error}");
    }

    #[test]
    fn no_more_entries_are_read_than_tables_have_bytes() {
        let mut old = Vec::new();
        let tables = sample::write(&mut old, &FILES, &[function()]).tables;
        // A list that says a thousand times that the function is there.
        let list = old.len();
        let record = tables.list as usize + ENTRY as usize;
        old.extend([0; 8000]);
        old.extend_from_within(record..list);
        for entry in old[list..list + 8000].chunks_exact_mut(8) {
            entry[4..].copy_from_slice(&8000_u32.to_le_bytes());
        }
        let old: &[u8] = &old;
        let found = [1, 2, 1000].map(|functions| {
            let tables = Tables { list: list as u64, functions, ..tables };
            let shifts = vec![Shift { file: 500, line: 42, by: 3 }];
            let lines = LineNumbers { tables, changes: 0, shifts };
            lines.changes(&mut OldFile::new(&old), usize::MAX).unwrap().found.len()
        });
        assert_eq!(found[1], 2 * found[0]);
        assert!(found[2] < 10 * found[0], "{found:?}");
    }

    #[test]
    fn numbers_read_back() {
        for (number, len) in [(0, 1), (0x7F, 1), (0x80, 2), (0x3FFF, 2), (0x4000, 3), (u32::MAX, 5)] {
            assert_eq!(varint_len(number), len);
            let bytes: Vec<u8> = (0..len).map(|index| varint_byte(number, index, len)).collect();
            let source: &[u8] = &bytes;
            let mut old = OldFile::new(&source);
            let tables = Tables { len: bytes.len() as u64, ..Tables::default() };
            assert_eq!(PcTable::new(&tables, 0).bytes.number(&mut old).unwrap(), Some((number, len)));
        }
    }
}
