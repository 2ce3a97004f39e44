//! Small programs with tables as Go writes them.

use super::{HEAD, LineNumbers, Shift, Tables};
use crate::varint;

/// Values and the lengths of their runs.
pub(crate) type Table = Vec<(i32, u32)>;

#[derive(Clone, Debug, Default)]
pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) unit: u32,
    pub(crate) start_line: u32,
    pub(crate) files: Table,
    pub(crate) lines: Table,
    /// Which of the calls each piece of code is from, or -1.
    pub(crate) inlined: Table,
    /// The start lines of what was called.
    pub(crate) calls: Vec<u32>,
}

/// Where the parts of a program are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Places {
    pub(crate) names: u64,
    pub(crate) tables: Tables,
}

impl Places {
    pub(crate) fn lines(&self, shifts: Vec<Shift>) -> LineNumbers {
        LineNumbers { tables: self.tables, changes: 0, shifts }
    }
}

/// Appends a program to `file`: the list of files, names, pc tables, the list of functions and their records, calls.
pub(crate) fn write(file: &mut Vec<u8>, list_of_files: &[u32], functions: &[Function]) -> Places {
    let mut tables = Tables { functions: functions.len() as u32, ..Tables::default() };
    tables.files = file.len() as u64;
    file.extend(list_of_files.iter().flat_map(|name| name.to_le_bytes()));
    let start_of_names = file.len();
    let mut names = Vec::new();
    for function in functions {
        names.push((file.len() - start_of_names) as u32);
        file.extend(function.name.bytes().chain([0]));
    }
    tables.start = file.len() as u64;
    // None starts at zero, which means that there is no table.
    file.push(0);
    let mut starts = Vec::new();
    for function in functions {
        starts.push([&function.files, &function.lines, &function.inlined].map(|table| {
            let start = file.len() as u32 - tables.start as u32;
            write_table(file, table);
            start
        }));
    }
    tables.len = file.len() as u64 - tables.start;
    tables.list = file.len() as u64;
    let record = |index: usize| (8 * functions.len() + index * (HEAD + 4 * 7)) as u32;
    for index in 0..functions.len() {
        file.extend([7, record(index)].iter().flat_map(|word: &u32| word.to_le_bytes()));
    }
    let mut calls = 0;
    for (index, function) in functions.iter().enumerate() {
        let [files, lines, inlined] = starts[index];
        // Entry, name, arguments, returns, stack table; files, lines; how many tables; unit, start line; four pieces of data.
        let head = [7, names[index], 0, 0, 0, files, lines, 3, function.unit, function.start_line, 4 << 24];
        let named = [0, 0, inlined, 5, 6, 7, calls];
        file.extend(head.into_iter().chain(named).flat_map(u32::to_le_bytes));
        calls += 16 * function.calls.len() as u32;
    }
    tables.data = file.len() as u64;
    let calls = functions.iter().flat_map(|function| &function.calls);
    file.extend(calls.flat_map(|line| [1, 2, 3, *line]).flat_map(u32::to_le_bytes));
    Places { names: start_of_names as u64, tables }
}

fn write_table(file: &mut Vec<u8>, table: &[(i32, u32)]) {
    let mut last = -1_i32;
    for (value, len) in table {
        varint::write(file, varint::zigzag(value.wrapping_sub(last).into()));
        varint::write(file, (*len).into());
        last = *value;
    }
    file.push(0);
}
