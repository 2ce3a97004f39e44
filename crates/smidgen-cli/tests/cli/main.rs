//! The program from the outside: what people and scripts see.

// The lints that spare tests look for this.
#![cfg(test)]

mod builds;
mod help;
mod patch_files;
mod program;
mod server;
mod serving;
