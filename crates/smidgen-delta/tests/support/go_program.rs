//! A small program with the tables that Go's linker writes: function records, pc tables and inlined calls.
//!
//! It would not run, but its tables lead where real ones do (`runtime/symtab.go` of the Go distribution).

/// The address of the file's first byte.
const BASE: u64 = 0x40_0000;
const CODE: usize = 0x1000;
/// Bytes of code of a function.
const LEN: usize = 80;
/// Bytes of a record: its head, three pc tables, four pieces of data.
const RECORD: usize = 72;

/// A program of the functions `which`, each in one of two files, each inlining a line of the other one's. `line` says
/// which line a line of a file is by now.
pub(crate) fn of(which: &[u32], line: impl Fn(u32, u32) -> u32) -> Vec<u8> {
    let mut file = vec![0; CODE];
    for (index, function) in which.iter().enumerate() {
        let next = if index + 1 < which.len() { LEN as i32 } else { -((index * LEN) as i32) } - 5;
        file.push(0xE8);
        file.extend(next.to_le_bytes());
        file.extend((5..LEN).map(|at| 0x50 + (at as u8 ^ *function as u8) % 16));
    }
    let header = file.len();
    file.extend([0xF1, 0xFF, 0xFF, 0xFF, 0, 0, 1, 8]);
    file.resize(header + 72, 0);
    let names = file.len();
    let name_offsets: Vec<usize> = which
        .iter()
        .map(|function| {
            let start = file.len() - names;
            file.extend(format!("main.f{function}\0").into_bytes());
            start
        })
        .collect();
    align(&mut file);
    let units = file.len();
    put_words(&mut file, &[0, 7]);
    let files = file.len();
    file.extend(b"one.go\0two.go\0\0\0");
    let tables = file.len();
    // None starts at zero, which means that there is no table.
    file.push(0);
    let table_offsets: Vec<[usize; 3]> =
        which.iter().map(|function| pc_tables(&mut file, tables, *function, &line)).collect();
    align(&mut file);
    let records = file.len();
    let first = (8 * which.len() + 4).next_multiple_of(8);
    for index in 0..which.len() {
        put_words(&mut file, &[LEN * index, first + RECORD * index]);
    }
    put_words(&mut file, &[LEN * which.len()]);
    align(&mut file);
    for (index, function) in which.iter().enumerate() {
        let [of_files, of_lines, of_calls] = table_offsets[index];
        let start = line(function % 2, 20 * function + 20) as usize;
        let head = [LEN * index, name_offsets[index], 0, 0, 0, of_files, of_lines, 3, 0, start, 4 << 24];
        put_words(&mut file, &head);
        put_words(&mut file, &[0, 0, of_calls, 0, 0, 0, 16 * index]);
    }
    let data = file.len();
    for function in which {
        put_words(&mut file, &[1, 2, 3, line((function + 1) % 2, 20 * function) as usize]);
    }
    let buckets = file.len();
    let parts = (LEN * which.len()).div_ceil(256);
    for part in 0..parts {
        let function = |part: usize| 256 * part / LEN;
        if part % 16 == 0 {
            put_words(&mut file, &[function(part)]);
        }
        file.push((function(part) - function(part / 16 * 16)) as u8);
    }
    align(&mut file);
    let types = file.len();
    put_words(&mut file, &[300, 12, 0, 500]);
    let module = file.len();
    let mut words = [0_u64; 48];
    for (word, offset) in [
        (0, header),
        (1, names),
        (13, records),
        (19, buckets),
        (21, CODE + LEN * which.len()),
        (22, CODE),
        (37, types),
        (38, module),
        (40, data),
    ] {
        words[word] = BASE + offset as u64;
    }
    words[14] = (data - records) as u64;
    file.extend(words.iter().flat_map(|word| word.to_le_bytes()));

    let places = [
        which.len(),
        2,
        0,
        names - header,
        units - header,
        files - header,
        tables - header,
        records - header,
    ];
    put(&mut file, header + 8, &places.map(|place| place as u64));
    let len = file.len() as u64;
    file[..20].copy_from_slice(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3E\0");
    put(&mut file, 32, &[64, 0]);
    file[54..58].copy_from_slice(&[56, 0, 1, 0]);
    file[64..72].copy_from_slice(&[1, 0, 0, 0, 7, 0, 0, 0]);
    put(&mut file, 72, &[0, BASE, BASE, len, len]);
    file
}

/// The tables of files, lines and inlined calls of a function; where they begin.
fn pc_tables(
    file: &mut Vec<u8>,
    tables: usize,
    function: u32,
    line: &impl Fn(u32, u32) -> u32,
) -> [usize; 3] {
    let (own, other) = (function % 2, (function + 1) % 2);
    let start = 20 * function + 20;
    let lines = [
        (line(own, start + 1), 10),
        (line(own, start + 3), 20),
        (line(other, start - 20) + 1, 10),
        (line(own, start + 4), 40),
    ];
    let of_files = [(own, 30), (other, 10), (own, 40)].map(|(value, len)| (value as i32, len));
    let of_lines = lines.map(|(value, len)| (value as i32, len));
    let of_calls = [(-1, 30), (0, 10), (-1, 40)];
    [&of_files[..], &of_lines, &of_calls].map(|table| {
        let at = file.len() - tables;
        let mut last = -1;
        for (value, len) in table {
            let step = value - last;
            last = *value;
            number(file, (step << 1 ^ step >> 31).cast_unsigned());
            number(file, *len);
        }
        file.push(0);
        at
    })
}

fn number(file: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        file.push(number as u8 | 0x80);
        number >>= 7;
    }
    file.push(number as u8);
}

fn align(file: &mut Vec<u8>) {
    file.resize(file.len().next_multiple_of(8), 0);
}

fn put_words(file: &mut Vec<u8>, words: &[usize]) {
    file.extend(words.iter().flat_map(|word| (*word as u32).to_le_bytes()));
}

fn put(file: &mut [u8], at: usize, words: &[u64]) {
    let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    file[at..at + bytes.len()].copy_from_slice(&bytes);
}
