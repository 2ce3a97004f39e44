//! Binary patches between two builds of a file: a deterministic encoder, and a small, bounded decoder that takes
//! nothing a patch says on trust.
//!
//! - [`diff`](mod@diff) makes a patch from two files in memory (feature `diff`).
//! - [`Patch`] opens one, inspects it, and applies it: the old file is read in place through [`ReadAt`], the new one
//!   is streamed out, both digests are verified.
//! - [`full`] packs and expands full copies, for when no patch pays.
//!
//! No files, sockets, clocks, threads that outlive a call, or unsafe code of our own. Words: `old` and `new` are the two
//! files, `patch` the artefact that turns one into the other; the byte format is described in `docs/format.md`.

pub use blake3;

pub use crate::{
    account::{Account, ClassCosts, Costs, Share},
    codec::{Codec, ParseCodecError},
    digest::{Digest, ParseDigestError, digest_of},
    error::{ApplyError, ParseError},
    fault::Fault,
    header::{Header, MAGIC, RAW_ALLOWANCE, RAW_PER_NEW_BYTE, SectionHeader, SectionKind, VERSION},
    inspection::Inspection,
    limits::Limits,
    patch::{Applied, Patch},
    read_at::ReadAt,
};

mod account;
mod codec;
#[cfg(feature = "diff")]
pub mod diff;
mod digest;
mod error;
mod fault;
mod frame;
pub mod full;
mod header;
mod inspection;
mod limits;
mod old;
mod output;
mod patch;
mod read_at;
mod reader;
mod reference;
mod section;
mod unpacker;
mod varint;
