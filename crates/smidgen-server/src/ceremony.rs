//! Changing keys: from the wish for another key to a new root that all clients follow.
//!
//! 1. [`propose`] makes the next root, unsigned, from the present one and some [`Change`]s.
//! 2. The file travels to where root keys are. [`Draft::compare`] says there what it changes against the root that this
//!    place trusts, and [`Draft::sign`] adds a signature, unless there is a [`Surprise`] that nobody has accepted.
//! 3. [`install`] puts the signed root in force, and with it everything that other keys must sign now.
//!
//! [`rotate_release`] changes the key of releases, which targets name and no root.
//!
//! A draft is an ordinary `N.root.json` with as many signatures as it has got so far: other TUF programs can read and sign
//! it too.

mod change;
mod compare;
mod draft;
mod error;
mod install;
mod release;

pub use change::{Change, find_key, propose};
pub use compare::{Comparison, Surprise};
pub use draft::{Draft, Progress};
pub use error::CeremonyError;
pub use install::{InstallReport, Installed, install};
pub use release::{ReleaseReport, rotate_release};
