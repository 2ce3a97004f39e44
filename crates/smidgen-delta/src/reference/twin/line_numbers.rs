//! The old file with its line numbers put right.

use std::collections::BTreeMap;

use super::plan::Lines;

/// An entry of a pc table: its value, where its run begins and ends, and where the step to it stands in how many bytes.
struct Entry {
    value: i32,
    start: u32,
    end: u32,
    at: u64,
    len: usize,
}

pub(super) fn put_right(old: &[u8], lines: &Lines) -> Vec<u8> {
    let mut made = old.to_vec();
    for (at, byte) in (Reading { old, lines, left: lines.tables_len, changes: BTreeMap::new() }).read() {
        made[at as usize] = byte;
    }
    made
}

struct Reading<'a> {
    old: &'a [u8],
    lines: &'a Lines,
    /// Entries that may still be read.
    left: u64,
    /// What was found first for each place.
    changes: BTreeMap<u64, u8>,
}

impl Reading<'_> {
    fn read(mut self) -> BTreeMap<u64, u8> {
        for index in 0..self.lines.functions {
            if self.left == 0 {
                break;
            }
            let record = self.lines.list + u64::from(self.word(self.lines.list + 8 * index + 4).unwrap());
            if record + 44 <= self.old.len() as u64 {
                self.read_function(record);
            }
        }
        self.changes
    }

    fn read_function(&mut self, record: u64) {
        let [files, lines, tables, unit, start_line] =
            [20, 24, 28, 32, 36].map(|at| self.word(record + at).unwrap());
        let data = self.old[record as usize + 43];
        let mut entries = self.entries(files);
        self.charge(&mut entries);
        let mut reached = entries.iter().map(|entry| self.file(unit, entry.value));
        let Some(own) = reached.next() else { return };
        if !self.is_moved(own) && !reached.any(|file| self.is_moved(file)) {
            return;
        }
        let moved = self.moved(own, start_line as i32);
        self.change_word(record + 36, moved);

        // All of it, whatever may still be read.
        let files = self.entries(files);
        let mut entries = self.entries(lines);
        self.charge(&mut entries);
        let sources = self.sources(&entries, &files, unit);
        let mut steps = Vec::new();
        let mut last = -1_i32;
        for (entry, file) in entries.iter().zip(sources) {
            let line = self.moved(file, entry.value);
            let step = line.wrapping_sub(last);
            steps.push(varint(((step << 1) ^ (step >> 31)) as u32));
            last = line;
        }
        if entries.iter().zip(&steps).all(|(entry, step)| entry.len == step.len()) {
            for (entry, step) in entries.iter().zip(&steps) {
                (entry.at..).zip(step).for_each(|(at, byte)| self.change(at, *byte));
            }
        }

        if tables > 2 && data > 3 {
            let table = self.word(record + 44 + 8).unwrap_or(0);
            let calls = self.word(record + 44 + 4 * (u64::from(tables) + 3)).unwrap_or(u32::MAX);
            if table != 0 && calls != u32::MAX {
                let mut entries = self.entries(table);
                self.charge(&mut entries);
                let sources = self.sources(&entries, &files, unit);
                for (entry, file) in entries.iter().zip(sources).filter(|(entry, _)| entry.value >= 0) {
                    let at = self.lines.data + u64::from(calls) + 16 * entry.value as u64 + 12;
                    if let Some(line) = self.word(at).filter(|_| self.is_moved(file)) {
                        let moved = self.moved(file, line as i32);
                        self.change_word(at, moved);
                    }
                }
            }
        }
    }

    /// Only so many entries may be read in all.
    fn charge(&mut self, entries: &mut Vec<Entry>) {
        entries.truncate(self.left as usize);
        self.left -= entries.len() as u64;
    }

    fn entries(&self, table: u32) -> Vec<Entry> {
        let end = (self.lines.tables + self.lines.tables_len) as usize;
        let mut at = (self.lines.tables + u64::from(table)) as usize;
        let mut entries = Vec::new();
        let (mut value, mut start) = (-1_i32, 0_u32);
        loop {
            let Some((step, after)) = number(&self.old[..end], at) else { return entries };
            if step == 0 && !entries.is_empty() {
                return entries;
            }
            let Some((len, next)) = number(&self.old[..end], after) else { return entries };
            value = value.wrapping_add((step >> 1) as i32 ^ -((step & 1) as i32));
            let Some(run_end) = start.checked_add(len) else { return entries };
            entries.push(Entry { value, start, end: run_end, at: at as u64, len: after - at });
            (at, start) = (next, run_end);
        }
    }

    /// The file that each entry's code is from.
    fn sources(&self, entries: &[Entry], files: &[Entry], unit: u32) -> Vec<Option<u32>> {
        let mut rest = files.iter();
        let (mut value, mut end) = (-1, 0);
        let source = |entry: &Entry| {
            while end <= entry.start
                && let Some(next) = rest.next()
            {
                (value, end) = (next.value, next.end);
            }
            self.file(unit, value)
        };
        entries.iter().map(source).collect()
    }

    /// The word by which a file goes.
    fn file(&self, unit: u32, value: i32) -> Option<u32> {
        let index = u64::try_from(i64::from(unit) + i64::from(value)).ok()?;
        self.word(self.lines.files.checked_add(4 * index)?)
    }

    fn is_moved(&self, file: Option<u32>) -> bool {
        file.is_some_and(|file| self.lines.shifts.iter().any(|shift| shift.0 == file))
    }

    fn moved(&self, file: Option<u32>, line: i32) -> i32 {
        let shifts = self.lines.shifts.iter().rev();
        let mut shifts =
            shifts.filter(|shift| Some(shift.0) == file && i64::from(shift.1) <= i64::from(line));
        line.wrapping_add(shifts.next().map_or(0, |shift| shift.2))
    }

    fn change_word(&mut self, at: u64, word: i32) {
        (at..).zip(word.to_le_bytes()).for_each(|(at, byte)| self.change(at, byte));
    }

    /// Bytes that stay as they are do not count, and those beyond 4 GiB stay.
    fn change(&mut self, at: u64, byte: u8) {
        if at >> 32 == 0 && self.old[at as usize] != byte {
            self.changes.entry(at).or_insert(byte);
        }
    }

    fn word(&self, at: u64) -> Option<u32> {
        let bytes = self.old.get(usize::try_from(at).ok()?..)?.first_chunk()?;
        Some(u32::from_le_bytes(*bytes))
    }
}

/// The number at `at`, and where it ends.
fn number(bytes: &[u8], at: usize) -> Option<(u32, usize)> {
    let mut number = 0_u64;
    for index in 0..5 {
        let byte = *bytes.get(at + index)?;
        number |= u64::from(byte & 0x7F) << (7 * index);
        if byte < 0x80 {
            return Some((u32::try_from(number).ok()?, at + index + 1));
        }
    }
    None
}

fn varint(mut number: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
    bytes
}
