//! Two builds of a program that the input describes, in every container: what moved is followed, and the patch rebuilds
//! the new build, bit for bit.
#![no_main]

use libfuzzer_sys::fuzz_target;
use program::{KINDS, Program};
use smidgen_delta::{
    Codec, Limits, Patch,
    diff::{DiffOptions, diff, sections_of},
};

#[path = "../../tests/support/program.rs"]
mod program;

// The first byte chooses container and machine, the second says how many edits of four bytes follow, and the third how
// many lies of three (place and byte) in each of the two files; what is left describes the program.
fuzz_target!(|bytes: &[u8]| {
    let [kind, edits, lies, rest @ ..] = bytes else { return };
    let (container, machine) = KINDS[usize::from(*kind) % KINDS.len()];
    let mut rest = rest.iter().copied();
    let edits: Vec<[u8; 4]> =
        (0..edits % 32).map(|_| std::array::from_fn(|_| rest.next().unwrap_or(0))).collect();
    let lies: Vec<[u8; 3]> =
        (0..lies % 32).map(|_| std::array::from_fn(|_| rest.next().unwrap_or(0))).collect();
    let program = Program::read(&mut rest);
    let mut next = program.clone();
    edits.into_iter().for_each(|edit| next.edit(edit));
    let mut old = program.image(container, machine);
    let mut new = next.image(container, machine);
    for (index, [high, low, byte]) in lies.into_iter().enumerate() {
        let file = if index % 2 == 0 { &mut old } else { &mut new };
        let at = usize::from(u16::from_be_bytes([high, low])) % file.len();
        file[at] = byte;
    }
    let patch = match diff(&old, &new, &DiffOptions::default().with_codec(Codec::Reference)) {
        Ok(patch) => patch,
        // What these files say of themselves is never a reason to make none.
        Err(error) => panic!("{error}"),
    };
    let patch = Patch::open(patch, &Limits::default()).expect("our own header");
    let mut rebuilt = Vec::new();
    patch.apply(&old, &mut rebuilt).expect("our own patch");
    assert!(rebuilt == new);
    // Whatever the file says of its sections, they lie in it, and all bits of the patch are accounted for.
    let mut borders = vec![0];
    for section in sections_of(&new) {
        assert!(section.len > 0 && section.offset + section.len <= new.len() as u64);
        borders.extend([section.offset, section.offset + section.len]);
    }
    borders.dedup();
    let account = patch.account(&old, &borders).expect("it was applied before").expect("it is a reference patch");
    let bits = account.layout.bits + account.parts.iter().map(|part| part.bits()).sum::<f64>();
    let packed: u64 = patch.header().sections.iter().map(|section| section.packed_size).sum();
    assert!((packed as f64 - bits / 8.0).abs() < 16.0, "{packed} bytes, {bits} bits");
});
