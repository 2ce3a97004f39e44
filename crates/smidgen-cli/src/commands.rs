//! One file for each command: read the arguments, call the library, show what came of it.

pub(crate) mod apply;
pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod inspect;
pub(crate) mod man;
pub(crate) mod serve;
