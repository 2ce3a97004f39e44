//! Which lines moved, and by how much: what functions of the same name say whose code has the same pieces.

use std::cell::Cell;

use super::{
    super::{
        buckets::ENTRY,
        go::{FILE_TABLE, LINE_TABLE, START_LINE, UNIT},
        line_numbers::{Changes, LineNumbers, Shift, Tables},
    },
    numbers::{name_at, u32_at},
};
use crate::{old::OldFile, varint};

/// Where Go's tables are in a file, and the names of its functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NamedTables {
    pub(super) names: u64,
    pub(super) tables: Tables,
}

/// Lines that moved as their neighbours did not are spoken of only if code comes from them so often: saying it takes as many
/// bytes as it spares otherwise.
const OFTEN: usize = 4;
/// Bytes that a shift takes in a patch, about.
const PRICE: usize = 3;

/// A run of code: the file and the line that it is from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Vote {
    file: u32,
    line: u32,
    by: i32,
}

/// What moved between two files, if saying so pays; and the old file as it is then.
pub(super) fn find(
    old: &[u8],
    was: &NamedTables,
    new: &[u8],
    is: &NamedTables,
) -> Option<(LineNumbers, Vec<u8>)> {
    if !was.tables.are_read_within(new.len() as u64) {
        return None;
    }
    let shifts = shifts(votes(&Functions::of(old, was), &Functions::of(new, is)));
    let mut lines = LineNumbers { tables: was.tables, changes: 0, shifts };
    // More changes than tables have bytes are none that this was made for.
    let most = usize::try_from(was.tables.len).ok()?;
    let Changes { found, most } = lines.changes(&mut OldFile::new(&old), most).ok()?;
    if found.len() <= PRICE * lines.shifts.len() {
        return None;
    }
    lines.changes = u32::try_from(most).ok()?;
    let mut made = old.to_vec();
    // Of two at one place the first is valid.
    for change in found.iter().rev() {
        *made.get_mut(change.at as usize)? = change.byte;
    }
    Some((lines, made))
}

/// The functions of a file.
struct Functions<'a> {
    file: &'a [u8],
    tables: &'a Tables,
    /// Name and place of each record, ordered by both.
    records: Vec<(&'a [u8], u64)>,
    /// Entries of tables that may still be read, in a file that may lie.
    left: Cell<u64>,
}

impl<'a> Functions<'a> {
    fn of(file: &'a [u8], NamedTables { names, tables }: &'a NamedTables) -> Self {
        let record = |index: u64| {
            let record = tables.list + u64::from(u32_at(file, tables.list + ENTRY * index + 4)?);
            let name = names + u64::from(u32_at(file, record + 4)?);
            (name <= file.len() as u64).then(|| (name_at(file, name), record))
        };
        let mut records: Vec<_> = (0..tables.functions.into()).filter_map(record).collect();
        records.sort_unstable();
        Self { file, tables, records, left: Cell::new(2 * tables.len) }
    }

    /// The records of each name, by name.
    fn named(&self) -> impl Iterator<Item = (&'a [u8], &[(&'a [u8], u64)])> {
        let groups = self.records.chunk_by(|one, next| one.0 == next.0);
        groups.filter_map(|group| Some((group.first()?.0, group)))
    }

    /// The entries of the pc table that a word of a record names: values, and how long their runs are.
    fn table(&self, record: u64, word: usize) -> impl Iterator<Item = (i32, u32)> {
        let start = u32_at(self.file, record + word as u64).map(|table| self.tables.start + u64::from(table));
        let range = start.map(|start| start as usize..self.tables.end() as usize);
        let mut rest = range.and_then(|range| self.file.get(range)).unwrap_or_default();
        let mut number = move || {
            let (number, after) = varint::read(rest).ok()?;
            rest = after;
            u32::try_from(number).ok()
        };
        let mut value = -1_i32;
        let mut is_first = true;
        std::iter::from_fn(move || {
            self.left.set(self.left.get().checked_sub(1)?);
            let step = number()?;
            let len = number()?;
            if step == 0 && !is_first {
                return None;
            }
            is_first = false;
            value = value.wrapping_add(varint::unzigzag(step.into()) as i32);
            Some((value, len))
        })
    }

    fn files(&self, record: u64) -> impl Iterator<Item = (i32, u32)> {
        self.table(record, FILE_TABLE)
    }

    fn lines(&self, record: u64) -> impl Iterator<Item = (i32, u32)> {
        self.table(record, LINE_TABLE)
    }

    fn start_line(&self, record: u64) -> Option<i32> {
        u32_at(self.file, record + START_LINE as u64).map(u32::cast_signed)
    }

    /// The word by which a file goes.
    fn name_of(&self, record: u64, index: i32) -> Option<u32> {
        let index = i64::from(u32_at(self.file, record + UNIT as u64)?) + i64::from(index);
        u32_at(self.file, self.tables.files + 4 * u64::try_from(index).ok()?)
    }
}

/// What all pairs of functions say.
fn votes(old: &Functions<'_>, new: &Functions<'_>) -> Vec<Vote> {
    let mut votes = Vec::new();
    let mut others = new.named().peekable();
    for (name, group) in old.named() {
        while others.next_if(|other| other.0 < name).is_some() {}
        let Some((_, other)) = others.next_if(|other| other.0 == name) else { continue };
        // Of several with one name, which is which is not known if one came.
        if group.len() == other.len() {
            for ((_, was), (_, is)) in group.iter().zip(other) {
                compare(old, *was, new, *is, &mut votes);
            }
        }
    }
    votes
}

/// What two functions say of the pieces of code that both begin with, and that both end with.
fn compare(old: &Functions<'_>, was: u64, new: &Functions<'_>, is: u64, votes: &mut Vec<Vote>) {
    let mut vote = |file: Option<u32>, line: i32, moved: i32| {
        if let (Some(file), Ok(line)) = (file, u32::try_from(line)) {
            votes.push(Vote { file, line, by: moved.wrapping_sub(line.cast_signed()) });
        }
    };
    let (lines, moved): (Vec<_>, Vec<_>) = (old.lines(was).collect(), new.lines(is).collect());
    let same = |((_, len), (_, other)): &((i32, u32), (i32, u32))| len == other;
    let pairs = || lines.iter().copied().zip(moved.iter().copied());
    let head = pairs().take_while(same).count();
    let back = lines.iter().copied().rev().zip(moved.iter().copied().rev());
    let tail = back.take_while(same).count().min(lines.len().min(moved.len()) - head);

    let mut files = old.files(was).peekable();
    if head > 0
        && let (Some((index, _)), Some(line), Some(moved)) =
            (files.peek(), old.start_line(was), new.start_line(is))
    {
        vote(old.name_of(was, *index), line, moved);
    }
    let (mut file, mut file_end) = (None, 0_u64);
    let mut at = 0_u64;
    for (index, (line, len)) in lines.iter().enumerate() {
        while file_end <= at
            && let Some((index, len)) = files.next()
        {
            file = old.name_of(was, index);
            file_end += u64::from(len);
        }
        let other = if index < head { Some(index) } else { (index + moved.len()).checked_sub(lines.len()) };
        let is_alike = index < head || index >= lines.len() - tail;
        if let Some((moved, _)) = other.filter(|_| is_alike).and_then(|other| moved.get(other)) {
            vote(file, *line, *moved);
        }
        at += u64::from(*len);
    }
}

/// What most say of each line, and of its neighbours.
fn shifts(mut votes: Vec<Vote>) -> Vec<Shift> {
    votes.sort_unstable();
    let mut shifts: Vec<Shift> = Vec::new();
    for file in votes.chunk_by(|one, next| one.file == next.file) {
        // Lines that moved alike, and how often code comes from them.
        let mut runs: Vec<(Shift, usize)> = Vec::new();
        for line in file.chunk_by(|one, next| one.line == next.line) {
            let groups = line.chunk_by(|one, next| one.by == next.by);
            let Some(most) = groups.max_by_key(|group| group.len()) else { continue };
            let Vote { file, line, by } = most[0];
            match runs.last_mut() {
                Some((run, often)) if run.by == by => *often += most.len(),
                _ => runs.push((Shift { file, line, by }, most.len())),
            }
        }
        let mut by = 0;
        for (run, _) in runs.into_iter().filter(|(_, often)| *often >= OFTEN) {
            if run.by != by {
                by = run.by;
                shifts.push(run);
            }
        }
    }
    shifts
}

#[cfg(test)]
mod tests {
    use super::{
        super::super::line_numbers::sample::{self, Function, Places},
        *,
    };

    fn tables(Places { names, tables }: Places) -> NamedTables {
        NamedTables { names, tables }
    }

    /// Functions in two files, each of which inlines the one before; some lines are inserted into both.
    fn functions(count: u32, moved: impl Fn(u32, u32) -> u32) -> Vec<Function> {
        let function = |index: u32| {
            let (own, other) = (index % 2, (index + 1) % 2);
            let line = |line: u32| moved(own, line);
            let start = 20 * index + 20;
            let called = moved(other, start - 20);
            let value = u32::cast_signed;
            Function {
                name: format!("main.f{index}"),
                unit: 0,
                start_line: line(start),
                files: vec![(value(own), 30), (value(other), 10), (value(own), 40)],
                lines: vec![
                    (value(line(start + 1)), 10),
                    (value(line(start + 3)), 20),
                    (value(called + 1), 10),
                    (value(line(start + 4)), 40),
                ],
                inlined: vec![(-1, 30), (0, 10), (-1, 40)],
                calls: vec![called],
            }
        };
        (0..count).map(function).collect()
    }

    #[test]
    fn what_moved_is_told_from_functions_of_the_same_name() {
        let files = [10, 90];
        let moved = |file: u32, line: u32| line + if file == 0 { u32::from(line >= 100) * 3 } else { 1 };
        let (mut old, mut new) = (vec![1; 50], vec![2; 70]);
        let was = tables(sample::write(&mut old, &files, &functions(40, |_, line| line)));
        let is = tables(sample::write(&mut new, &files, &functions(40, moved)));
        let (lines, made) = find(&old, &was, &new, &is).unwrap();
        let pairs = made[was.tables.files as usize..].iter().zip(&new[is.tables.files as usize..]);
        // The first function calls one at a line that no code is from.
        assert_eq!(pairs.filter(|(made, new)| made != new).count(), 1);
        assert_eq!(made.len() - was.tables.files as usize, new.len() - is.tables.files as usize);
        let shifts: Vec<_> = lines.shifts.iter().map(|shift| (shift.file, shift.by)).collect();
        assert_eq!(shifts, [(10, 3), (90, 1)]);
        assert!(find(&old, &was, &old, &was).is_none(), "nothing moved");
    }

    #[test]
    fn tables_that_lie_are_no_failure() {
        let mut file = vec![1; 50];
        let honest = tables(sample::write(&mut file, &[10, 90], &functions(9, |_, line| line)));
        let mut noise = 1_u64;
        for round in 0..3000 {
            let mut lying = file.clone();
            for _ in 0..round % 9 {
                noise = noise.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
                let len = lying.len() as u64;
                lying[((noise >> 33) % len) as usize] = (noise >> 24) as u8;
            }
            let lie = |tables| NamedTables { tables, ..honest };
            let tables = match round % 3 {
                0 => honest,
                1 => lie(Tables { list: noise >> 52, functions: 2000, ..honest.tables }),
                _ => lie(Tables { files: noise >> 20, data: noise << 7, ..honest.tables }),
            };
            let _ = find(&file, &honest, &lying, &tables);
            if let Some((lines, made)) = find(&lying, &tables, &file, &honest) {
                assert_eq!(made.len(), lying.len());
                assert!(lines.changes > 0);
            }
        }
    }
}
