//! The tables and vectors of `docs/sweeps.md`, read for the tests that hold them against the decoders.

/// The document.
const TEXT: &str = include_str!("../../../../../docs/sweeps.md");

/// What one field of a vector is, as the document writes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Found {
    /// Place in the vector.
    pub(crate) place: u64,
    pub(crate) len: usize,
    pub(crate) class: u8,
    pub(crate) form: String,
    /// What it counts from.
    pub(crate) counts: String,
    pub(crate) referent: u64,
}

/// Bytes of a vector, `from..to`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Part {
    pub(crate) from: u64,
    pub(crate) to: u64,
}

/// One line of a block of vectors.
#[derive(Debug)]
pub(crate) struct Vector {
    /// The line as it stands there.
    pub(crate) line: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Whether the rule says absolute.
    pub(crate) absolute: bool,
    /// Offset of its first byte.
    pub(crate) at: u64,
    pub(crate) region: Part,
    pub(crate) stretch: Part,
    /// The match, if the stretch is at rest.
    pub(crate) rest: Option<Part>,
    /// Lengths of the instructions, and whether reading ends because one is not whole; for x86-64.
    pub(crate) lengths: Option<(Vec<u8>, bool)>,
    pub(crate) found: Vec<Found>,
}

impl Vector {
    /// The file that it stands in.
    pub(crate) fn file(&self) -> Vec<u8> {
        let end = segments().iter().map(|segment| segment.offset + segment.len).max().unwrap_or(0);
        let mut file = vec![0; end as usize];
        let at = self.at as usize;
        file.resize(file.len().max(at + self.bytes.len()), 0);
        file[at..at + self.bytes.len()].copy_from_slice(&self.bytes);
        file
    }
}

/// A segment of the files that vectors stand in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Segment {
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) address: u64,
    pub(crate) memory_len: u64,
}

/// A row of the table of forms.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) name: &'static str,
    pub(crate) len: usize,
    /// First and last bit of each piece, lowest first.
    pub(crate) bits: Vec<(u32, u32)>,
    pub(crate) signed: bool,
    pub(crate) unit: u64,
}

impl Form {
    /// The value in the bits of a field.
    pub(crate) fn value(&self, field: u64) -> u64 {
        let (mut value, mut done) = (0, 0);
        for (first, last) in &self.bits {
            let bits = last - first + 1;
            value |= (field >> first & (u64::MAX >> (64 - bits))) << done;
            done += bits;
        }
        value
    }

    /// What the field leads to.
    pub(crate) fn referent(&self, field: u64, counts: &str, from: u64) -> u64 {
        let value = self.value(field);
        let bits: u32 = self.bits.iter().map(|(first, last)| last - first + 1).sum();
        let signed = if self.signed && value >> (bits - 1) == 1 { value | u64::MAX << bits } else { value };
        let distance = signed.wrapping_mul(self.unit);
        match counts {
            "number" => value,
            "page" => from & !0xFFF | distance & 0xFFF,
            _ if self.name == "adrp" => (from & !0xFFF).wrapping_add(distance),
            _ => from.wrapping_add(distance),
        }
    }
}

/// A row of the table of operands; `None` fits all.
#[derive(Debug)]
pub(crate) struct Operand {
    pub(crate) mode: u8,
    pub(crate) rm: Option<u8>,
    pub(crate) base: Option<u8>,
    /// Bytes of ModRM and SIB.
    pub(crate) len: u8,
    pub(crate) displacement: u8,
    pub(crate) class: Option<u8>,
}

/// A row of the table of aarch64 words.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) mask: u32,
    pub(crate) value: u32,
    /// Whether an ADRP must be remembered for `Rn`.
    pub(crate) behind_adrp: bool,
    /// For any register, for register 31.
    pub(crate) classes: [u8; 2],
    pub(crate) form: &'static str,
    pub(crate) counts: &'static str,
}

/// The lines of a block, without the one that names the columns.
fn block(name: &str) -> impl Iterator<Item = &'static str> {
    let mut lines = TEXT.lines().skip_while(move |line| line.strip_prefix("```") != Some(name)).skip(1);
    assert!(lines.next().is_some(), "the document has a block {name}");
    lines.take_while(|line| !line.starts_with("```"))
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text, 16).unwrap_or_else(|_| panic!("{text} is hexadecimal"))
}

fn decimal(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is decimal"))
}

/// `x*n` as n times `x`.
fn repeated(word: &str) -> impl Iterator<Item = &str> {
    let (word, count) = word.split_once('*').map_or((word, 1), |(word, count)| (word, decimal(count)));
    std::iter::repeat_n(word, count as usize)
}

fn part(text: &str) -> Part {
    let (from, to) = text.split_once("..").unwrap_or_else(|| panic!("{text} is from..to"));
    Part { from: decimal(from), to: decimal(to) }
}

fn bytes(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace().flat_map(repeated) {
        match word.len() {
            2 => bytes.push(hex(word) as u8),
            8 => bytes.extend((hex(word) as u32).to_le_bytes()),
            _ => panic!("{word} is a byte or a word"),
        }
    }
    bytes
}

fn found(text: &str) -> Found {
    let words: Vec<&str> = text.split_whitespace().collect();
    let [place, len, class, form, counts, referent] = words[..] else {
        panic!("{text}: place, bytes, class, form, what it counts from, referent");
    };
    Found {
        place: decimal(place),
        len: decimal(len) as usize,
        class: decimal(class) as u8,
        form: form.into(),
        counts: counts.into(),
        referent: hex(referent),
    }
}

fn lengths(text: &str) -> (Vec<u8>, bool) {
    let words: Vec<&str> = text.split_whitespace().flat_map(repeated).collect();
    let is_cut = words.last() == Some(&"end");
    let whole = &words[..words.len() - usize::from(is_cut)];
    (whole.iter().map(|word| decimal(word) as u8).collect(), is_cut)
}

/// The vectors of a rule.
pub(crate) fn vectors(rule: &str) -> Vec<Vector> {
    let has_lengths = rule == "x86-64";
    let read = |line: &'static str| {
        let columns: Vec<&str> = line.split('|').map(str::trim).collect();
        let (given, how, lens, all) = match columns[..] {
            [given, how, lens, all, _] if has_lengths => (given, how, Some(lens), all),
            [given, how, all, _] if !has_lengths => (given, how, None, all),
            _ => panic!("{line}: the columns are not those of the block"),
        };
        let bytes = bytes(given);
        let whole = Part { from: 0, to: bytes.len() as u64 };
        let mut vector = Vector {
            line,
            bytes,
            absolute: false,
            at: 0x1000,
            region: whole,
            stretch: whole,
            rest: None,
            lengths: lens.map(lengths),
            found: all.split(',').filter(|field| !field.trim().is_empty()).map(found).collect(),
        };
        for word in how.split_whitespace() {
            match word.split_once('=') {
                None if word == "absolute" => vector.absolute = true,
                Some(("at", offset)) => vector.at = hex(offset),
                Some(("region", places)) => vector.region = part(places),
                Some(("stretch", places)) => vector.stretch = part(places),
                Some(("rest", places)) => vector.rest = Some(part(places)),
                _ => panic!("{line}: {word} is not said of vectors"),
            }
        }
        // A region of its own is all that there is to sweep.
        vector.stretch.from = vector.stretch.from.max(vector.region.from);
        vector.stretch.to = vector.stretch.to.min(vector.region.to);
        assert!(
            [vector.region, vector.stretch].iter().all(|part| part.from < part.to && part.to <= whole.to)
        );
        vector
    };
    block(&format!("vectors {rule}")).map(read).collect()
}

/// The segments of the files that vectors stand in.
pub(crate) fn segments() -> Vec<Segment> {
    let read = |line: &str| {
        let words: Vec<u64> = line.split_whitespace().map(hex).collect();
        let [offset, len, address, memory_len] = words[..] else { panic!("{line}: four numbers") };
        Segment { offset, len, address, memory_len }
    };
    block("segments").map(read).collect()
}

/// The table of forms.
pub(crate) fn forms() -> Vec<Form> {
    let read = |line: &'static str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, len, bits @ .., signed, unit] = &words[..] else { panic!("{line}: five columns") };
        let bits = bits.iter().map(|bits| part(bits)).map(|bits| (bits.from as u32, bits.to as u32));
        Form {
            name,
            len: decimal(len) as usize,
            bits: bits.collect(),
            signed: *signed == "yes",
            unit: decimal(unit),
        }
    };
    block("forms").map(read).collect()
}

/// A map of opcodes: letters by opcode.
pub(crate) fn map(name: &str) -> Vec<&'static str> {
    let mut cells = Vec::new();
    for (row, line) in block(&format!("map {name}")).enumerate() {
        let (label, letters) = line.split_once(' ').unwrap_or_default();
        assert_eq!(hex(label), 16 * row as u64, "{line}");
        cells.extend(letters.split_whitespace());
        assert_eq!(cells.len(), 16 * row + 16, "{line}");
    }
    assert_eq!(cells.len(), 256, "map {name}");
    cells
}

/// The table of operands.
pub(crate) fn operands() -> Vec<Operand> {
    let number = |word: &str| match word {
        "*" | "-" => None,
        number => Some(decimal(number) as u8),
    };
    let read = |line: &str| {
        let words: Vec<Option<u8>> = line.split_whitespace().map(number).collect();
        let [Some(mode), rm, base, Some(len), Some(displacement), class] = words[..] else {
            panic!("{line}: six columns");
        };
        Operand { mode, rm, base, len, displacement, class }
    };
    block("operands").map(read).collect()
}

/// The table of aarch64 words.
pub(crate) fn rows() -> Vec<Row> {
    let read = |line: &'static str| {
        let words: Vec<&'static str> = line.split_whitespace().collect();
        let [mask, value, behind, class, rest @ ..] = &words[..] else { panic!("{line}: seven columns") };
        let class = decimal(class) as u8;
        // A second class is a number, a form is not.
        let (stack, rest) = match rest {
            [stack, rest @ ..] if stack.parse::<u8>().is_ok() => (decimal(stack) as u8, rest),
            _ => (class, rest),
        };
        Row {
            mask: hex(mask) as u32,
            value: hex(value) as u32,
            behind_adrp: *behind == "yes",
            classes: [class, stack],
            form: rest[0],
            counts: rest[1],
        }
    };
    block("rows aarch64").map(read).collect()
}
