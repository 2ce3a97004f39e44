//! The release layer: what a target's `custom` says about builds, and the questions that it answers.

mod build_line;
mod entry;
mod history;
mod line;
mod name;
mod plugin;
mod severity;

pub use build_line::{BuildLine, LineId};
pub use entry::{Blob, PatchEntry, Release};
pub use history::{HISTORY_CAP, HistoryEntry};
pub use line::{Line, LineError};
pub use name::{Name, NameError};
pub use plugin::PluginRelease;
pub use severity::{Policy, Severity};
