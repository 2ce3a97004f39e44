//! The program from the outside: what people and scripts see.

// The lints that spare tests look for this.
#![cfg(test)]

mod bad_input;
mod builds;
mod fleet;
mod foreign;
mod help;
mod interruption;
mod journey;
mod judge;
mod keys;
mod patch_files;
mod program;
mod publisher;
mod server;
mod serving;
