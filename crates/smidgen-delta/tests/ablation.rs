//! The encoder without some of its ideas: its patches rebuild the new file all the same, and are others where an idea
//! had something to do.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests fail by panicking")]

use smidgen_delta::{
    Codec, Limits, Patch,
    diff::{DiffOptions, Idea, diff, diff_without},
};
use support::{
    Seeded,
    program::{
        Container::{Chained, Elf, MachO, Pe},
        KINDS,
        Machine::{Aarch64, X86_64},
        Program,
    },
    signed::signed,
};

mod support;

/// All of them; those of Go's tables, of `.eh_frame` and of pointers that are zero have nothing to do in these programs.
const IDEAS: [Idea; 19] = [
    Idea::Formats,
    Idea::Code,
    Idea::Words,
    Idea::Loaded,
    Idea::Records,
    Idea::Unwinding,
    Idea::Sorted,
    Idea::Lists,
    Idea::Rebases,
    Idea::Digests,
    Idea::GoTables,
    Idea::GoFunctions,
    Idea::Buckets,
    Idea::LineNumbers,
    Idea::Labels,
    Idea::SecondRound,
    Idea::Prices,
    Idea::Models,
    Idea::Parts,
];

fn options() -> DiffOptions {
    DiffOptions::default().with_codec(Codec::Reference)
}

/// The patch without these ideas, which rebuilds the new file.
fn without(ideas: &[Idea], old: &[u8], new: &[u8]) -> Vec<u8> {
    let patch = diff_without(ideas, old, new, &options()).unwrap();
    let mut made = Vec::new();
    Patch::open(&patch[..], &Limits::default()).unwrap().apply(&old, &mut made).unwrap();
    assert!(made == new, "{ideas:?}");
    patch
}

/// A program, and the same with functions that changed places, and others that changed.
fn edited() -> (Program, Program) {
    let (old, mut new) = (Program::seeded(600, None), Program::seeded(600, Some(200)));
    for which in 0..40 {
        new.edit([4, which * 5, which * 3, 0]);
        new.edit([0, which * 6, which % 30, which]);
        new.edit([5, which * 6 + 1, which % 3 * 2, which]);
    }
    (old, new)
}

#[test]
fn each_idea_makes_another_patch_where_it_has_something_to_do() {
    let (old, new) = edited();
    for (idea, container, machine) in [
        (Idea::Formats, Elf, X86_64),
        (Idea::Code, Elf, X86_64),
        (Idea::Code, Elf, Aarch64),
        (Idea::Words, Elf, Aarch64),
        (Idea::Records, MachO, Aarch64),
        (Idea::Sorted, Elf, X86_64),
        (Idea::Sorted, Pe, X86_64),
        (Idea::Lists, Pe, X86_64),
        (Idea::Lists, MachO, Aarch64),
        (Idea::Rebases, MachO, Aarch64),
        (Idea::Rebases, Chained, Aarch64),
        (Idea::Labels, Elf, X86_64),
        (Idea::SecondRound, Elf, X86_64),
        (Idea::Prices, Elf, X86_64),
    ] {
        let (old, new) = (old.image(container, machine), new.image(container, machine));
        let (whole, less) = (without(&[], &old, &new), without(&[idea], &old, &new));
        assert!(less != whole, "{idea:?} {container:?} {machine:?}: {} both", whole.len());
    }
}

#[test]
fn extra_bytes_are_coded_as_it_is_said() {
    let kinds = |ideas: &[Idea], new: &[u8]| -> usize {
        let patch = without(ideas, b"", new);
        Patch::open(&patch[..], &Limits::default()).unwrap().header().sections.len()
    };
    let (few, many) = (Seeded(1).bytes(2000), Seeded(2).bytes(40_000));
    // The plan and one section, or one for each part that there is.
    assert_eq!(kinds(&[], &few), kinds(&[Idea::Parts], &many));
    assert_eq!(kinds(&[], &many), kinds(&[Idea::Models], &few));
    assert!(without(&[Idea::Models], b"", &few) != without(&[], b"", &few));
    assert!(without(&[Idea::Parts], b"", &many) != without(&[], b"", &many));
}

/// Once data got models wherever they were less than a twelfth of the file, and patches of some of Go's programs a tenth larger.
#[test]
fn data_that_come_again_are_left_to_zstd_where_models_take_more() {
    let old = Seeded(1).bytes(400_000);
    let with = |data: Vec<u8>| [old.clone(), data].concat();
    let again = with(Seeded(2).bytes(4000).repeat(6));
    let (smallest, models) = (without(&[], &old, &again), without(&[Idea::Parts], &old, &again));
    assert!(smallest.len() < models.len(), "{} and {}", smallest.len(), models.len());
    // Few values, none of which comes again as the one before did.
    let mut seed = Seeded(3);
    let once = with((0..24_000).map(|at| b"abcdefgh"[seed.below(1 + at % 8)]).collect());
    assert!(without(&[], &old, &once) == without(&[Idea::Parts], &old, &once));
}

/// A signed file of Mach-O that is bytes otherwise.
fn signed_bytes(seed: u64) -> Vec<u8> {
    const PAGES: usize = 40;
    let mut file = Seeded(3).bytes(PAGES << 12);
    let fresh = Seeded(seed).bytes(PAGES);
    (0..PAGES).for_each(|page| file[(page << 12) + 200] = fresh[page]);
    file[..64].fill(0);
    let head = [0xFEED_FACF_u32, 0x0100_000C, 0, 2].map(u32::to_le_bytes).concat();
    file[..16].copy_from_slice(&head);
    signed(file)
}

#[test]
fn digests_are_sent_where_computing_them_is_left_out() {
    let (old, new) = (signed_bytes(1), signed_bytes(2));
    let (computed, sent) = (without(&[], &old, &new), without(&[Idea::Digests], &old, &new));
    assert!(sent.len() > computed.len() + 1000, "{} and {}", sent.len(), computed.len());
}

#[test]
fn any_ideas_may_be_left_out_together() {
    let mut seed = Seeded(5);
    for (container, machine) in KINDS {
        for _ in 0..24 {
            let old = Program::read(&mut seed.bytes(3000).into_iter());
            let mut new = old.clone();
            (0..seed.below(20)).for_each(|_| new.edit(seed.bytes(4).try_into().unwrap()));
            let (old, new) = (old.image(container, machine), new.image(container, machine));
            let ideas: Vec<Idea> = IDEAS.into_iter().filter(|_| seed.below(3) == 0).collect();
            without(&ideas, &old, &new);
        }
    }
}

#[test]
fn nothing_left_out_is_the_patch_that_ships() {
    let (old, new) = edited();
    let (old, new) = (old.image(Elf, X86_64), new.image(Elf, X86_64));
    assert!(without(&[], &old, &new) == diff(&old, &new, &options()).unwrap());
}
