//! Publishing and serving a smidgen repository.
//!
//! A repository is a folder or bucket of static files ([`store`]): signed metadata, and blobs named by their content.
//!
//! Nothing here prints: what happens goes to a [`Reporter`], what was done is returned as a report.

pub mod budget;
pub mod gc;
pub mod mapped;
pub mod reporter;
pub mod resign;
pub mod serve;
pub mod store;
pub mod verify;

pub use reporter::{Event, Reporter};
