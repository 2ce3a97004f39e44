//! One file for each command: read the arguments, call the library, show what came of it.

pub(crate) mod apply;
mod budget;
pub(crate) mod completions;
pub(crate) mod diff;
pub(crate) mod doctor;
pub(crate) mod gc;
pub(crate) mod gen_deltas;
pub(crate) mod init;
pub(crate) mod inspect;
pub(crate) mod key;
mod line;
pub(crate) mod man;
pub(crate) mod product;
pub(crate) mod prove;
pub(crate) mod publish;
pub(crate) mod resign;
pub(crate) mod serve;
pub(crate) mod status;
pub(crate) mod update;
pub(crate) mod verify;
pub(crate) mod withdraw;
