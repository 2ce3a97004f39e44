//! The trusted set against a publisher, attackers and foreign programs.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod attack;
mod clock;
mod delegation;
mod follower;
mod foreign;
mod form;
mod graph;
mod publisher;
#[path = "../../../smidgen-testkit/src/python.rs"]
#[allow(unreachable_pub, reason = "public where it lives")]
mod python;
mod release;
mod rotation;
mod weight;
