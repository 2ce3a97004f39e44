//! What smidgen's tests run on: seeded builds, repositories good and bad, and a disk, a network and a clock that fail on
//! command.
//!
//! Made from the codec, from metadata with signing, and from the client's traits, and from nothing of the server: what
//! it publishes judges the server's publisher as well.

#![forbid(unsafe_code)]
// Test code: what cannot be made is a broken test, and says so where it breaks.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]

mod clock;
mod faulty_disk;
mod fleet;
mod loopback;
mod memory_disk;
mod mirror;
mod program;
mod python;
mod repository;
mod seed;

pub use clock::SetClock;
pub use faulty_disk::{Damage, FaultyDisk};
pub use fleet::Fleet;
pub use loopback::{Loopback, Served};
pub use memory_disk::{MemoryDisk, PowerCut};
pub use mirror::{Asked, Fault, Mirror};
pub use program::Program;
pub use python::{python_with, skip};
pub use repository::{Expiry, Repository};
pub use seed::Seed;
