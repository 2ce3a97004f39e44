//! Publishing and serving a smidgen repository.
//!
//! A repository is a folder or bucket of static files ([`store`]): signed metadata, and blobs named by their content.
//! [`repository`] knows in which order they are written so that a crash at any moment leaves the repository as it was
//! or complete; [`publish`] turns new builds into releases, each patch with its [`proof`]; [`withdraw`], [`gc`], [`verify`], [`doctor`] and [`resign`] look
//! after what is there; [`ceremony`] changes [`keys`]; [`pipeline`] does a whole release from a manifest; [`serve`] answers clients, as any web server over
//! the same folder would.
//!
//! Nothing here prints: what happens goes to a [`Reporter`], what was done is returned as a report.

pub mod budget;
pub mod ceremony;
pub mod clock;
mod digests;
pub mod doctor;
mod encode;
pub mod gc;
pub mod keys;
mod layout;
mod lines;
pub mod mapped;
pub mod pipeline;
pub mod proof;
pub mod publish;
pub mod reporter;
pub mod repository;
pub mod resign;
pub mod serve;
pub mod store;
pub mod verify;
pub mod withdraw;

pub use reporter::{Event, Reporter};
