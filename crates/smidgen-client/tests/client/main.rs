//! The client against mirrors, disks and clocks that misbehave.

// What the tests share is as free as they are to say that something is broken.
#![allow(clippy::panic, clippy::print_stderr, clippy::unwrap_used)]

mod bad_input;
mod crash;
mod delegated;
mod events;
mod idle_poll;
mod journey;
mod metadata_attack;
mod network;
mod real_disk;
mod site;
