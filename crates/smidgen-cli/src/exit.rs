//! What the program's exit code tells a script: one list, for the program, its help and its tests.

use std::process::ExitCode;

/// How a run of the program ended. The numbers are a promise to scripts; `docs/cli.md` lists them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The command did what it was asked to do, or found that there was nothing to do.
    Done = 0,
    /// Anything that has no code of its own.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// Something that must be proven was not: a signature, an expiry, a version, a digest.
    Untrusted = 3,
    /// Trying again later can help: the network, a busy server, another run that holds the lock.
    Later = 4,
    /// The machine refused: no room, no permission.
    Refused = 5,
    /// What was asked for does not exist: an unknown product, release or line.
    NotApplicable = 6,
    /// `verify` or `doctor` ran to its end and found something wrong in the repository.
    Findings = 7,
    /// `doctor` found something that will go wrong unless somebody acts in time.
    Warned = 8,
}

impl Exit {
    /// Every exit code, in order.
    pub(crate) const ALL: [Self; 9] = [
        Self::Done,
        Self::Failed,
        Self::Usage,
        Self::Untrusted,
        Self::Later,
        Self::Refused,
        Self::NotApplicable,
        Self::Findings,
        Self::Warned,
    ];

    /// The number that the shell sees.
    pub(crate) fn number(self) -> u8 {
        self as u8
    }

    /// The line of the help.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or nothing to do",
            Self::Failed => "failed for a reason without a code of its own",
            Self::Usage => "the command line makes no sense",
            Self::Untrusted => "not proven: signature, expiry, version or digest",
            Self::Later => "try again later: network, busy server, lock held by another run",
            Self::Refused => "the machine refused: no room, no permission",
            Self::NotApplicable => "unknown product, release or line: nothing applies",
            Self::Findings => "verify or doctor found something wrong in the repository",
            Self::Warned => "doctor warns: something will go wrong unless somebody acts",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}
