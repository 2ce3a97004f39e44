//! One peer on one pair while the rounds go on: diffed, applied, compared, until enough is known.

use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use smidgen_delta::Digest;

use super::Arguments;
use crate::peer::{Files, Peer, Verb};
use crate::probe::{self, Usage};
use crate::results::{Cost, Figures, Outcome, Threads};

/// Applying is short, and so is what it is judged by: it is repeated so often, unless that takes this many CPU seconds.
pub(super) const APPLY_ROUNDS: usize = 15;
const APPLY_SECONDS: f64 = 10.0;
/// Rounds that peers of a judged ratio get in any case: one round can be unlucky.
const JUDGED_ROUNDS: usize = 2;

/// One peer on one pair, while the rounds go on.
pub(super) struct Trial<'a> {
    pub(super) peer: Peer,
    version: &'a str,
    /// Threads to diff with: one for everybody who is compared.
    threads: usize,
    files: Files,
    patch_size: u64,
    patch_digest: Option<Digest>,
    diffs: Vec<Usage>,
    applies: Vec<Usage>,
    pub(super) failure: Option<String>,
}

impl<'a> Trial<'a> {
    pub(super) fn new(peer: Peer, version: &'a str, files: Files) -> Self {
        Self {
            peer,
            version,
            threads: 1,
            files,
            patch_size: 0,
            patch_digest: None,
            diffs: Vec::new(),
            applies: Vec::new(),
            failure: None,
        }
    }

    /// The same with so many threads to diff with, of a codec of ours.
    pub(super) fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    pub(super) fn diff(&mut self, round: usize, arguments: &Arguments) {
        let judged =
            matches!(self.peer, Peer::BidiffZstd | Peer::OursClassic | Peer::OursReference | Peer::OursAuto);
        if self.failure.is_some() || !goes_on(&self.diffs, round, judged, arguments.seconds) {
            return;
        }
        let command = self.peer.command(Verb::Diff, &self.files, &arguments.python);
        let measured = command.and_then(|mut command| {
            if self.threads > 1 {
                command.arg(self.threads.to_string());
            }
            let usage = probe::measure(&command)?;
            let patch = fs::read(&self.files.patch).context("failed to read the patch")?;
            Ok((usage, patch.len() as u64, Digest::of(&patch)))
        });
        match measured {
            Err(error) => self.failure = Some(format!("diff: {error:#}")),
            Ok((_, _, digest)) if self.peer.is_ours() && self.patch_digest.is_some_and(|it| it != digest) => {
                self.failure = Some("diff: two runs made different patches".to_owned());
            }
            Ok((usage, size, digest)) => {
                self.diffs.push(usage);
                self.patch_size = size;
                self.patch_digest = Some(digest);
            }
        }
    }

    pub(super) fn apply(&mut self, round: usize, arguments: &Arguments) -> Result<()> {
        // What is judged here is short: all peers get the same rounds.
        if self.failure.is_some() || !goes_on(&self.applies, round, true, APPLY_SECONDS) {
            return Ok(());
        }
        let command = self.peer.command(Verb::Apply, &self.files, &arguments.python)?;
        match probe::measure(&command) {
            Err(error) => self.failure = Some(format!("apply: {error:#}")),
            Ok(usage) => {
                if same(&self.files.rebuilt, &self.files.new)? {
                    self.applies.push(usage);
                } else {
                    self.failure = Some("apply: the rebuilt file is not the new file".to_owned());
                }
                // Each run creates its file; none is spared by what another one left.
                fs::remove_file(&self.files.rebuilt)?;
            }
        }
        Ok(())
    }

    /// This one's diffs with one thread beside another one's with two; `None` if either did not run.
    pub(super) fn beside(&self, two: &Self) -> Option<Threads> {
        let (one_patch, two_patch) = (self.patch_digest?, two.patch_digest?);
        let ran = self.failure.is_none() && two.failure.is_none();
        let least = |trial: &Self| trial.diffs.iter().map(|usage| usage.wall).fold(f64::INFINITY, f64::min);
        ran.then(|| Threads { one: least(self), two: least(two), same_patch: one_patch == two_patch })
    }

    pub(super) fn outcome(&self) -> Outcome {
        match (&self.failure, Cost::of(&self.diffs), Cost::of(&self.applies)) {
            (None, Some(diff), Some(apply)) => Outcome::Measured(Figures {
                version: self.version.to_owned(),
                patch_size: self.patch_size,
                diff,
                apply,
            }),
            (failure, _, _) => Outcome::Failed(failure.clone().unwrap_or_else(|| "never run".to_owned())),
        }
    }
}

/// Whether a job that has been run so often gets another round.
fn goes_on(runs: &[Usage], round: usize, judged: bool, seconds: f64) -> bool {
    let spent: f64 = runs.iter().map(|usage| usage.cpu).sum();
    round == 0 || (judged && round < JUDGED_ROUNDS) || spent < seconds
}

/// Whether two files hold the same bytes.
fn same(one: &Path, other: &Path) -> Result<bool> {
    let open = |path: &Path| {
        let file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
        Ok::<_, anyhow::Error>((file.metadata()?.len(), BufReader::new(file)))
    };
    let ((one_size, mut one), (other_size, mut other)) = (open(one)?, open(other)?);
    if one_size != other_size {
        return Ok(false);
    }
    let (mut left, mut right) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut remaining = one_size;
    while remaining > 0 {
        let len = left.len().min(usize::try_from(remaining).unwrap_or(usize::MAX));
        let (Some(left), Some(right)) = (left.get_mut(..len), right.get_mut(..len)) else { break };
        read_both(&mut one, left, &mut other, right)?;
        if left != right {
            return Ok(false);
        }
        remaining -= len as u64;
    }
    Ok(true)
}

fn read_both(
    one: &mut impl Read,
    left: &mut [u8],
    other: &mut impl Read,
    right: &mut [u8],
) -> io::Result<()> {
    one.read_exact(left)?;
    other.read_exact(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_equal_files_from_different_ones() {
        let scratch = tempfile::tempdir().expect("a folder");
        let file = |name: &str, content: &[u8]| {
            let path = scratch.path().join(name);
            fs::write(&path, content).expect("writable");
            path
        };
        let long = vec![3; 200_000];
        let mut changed = long.clone();
        changed[150_000] = 4;
        let (a, b) = (file("a", &long), file("b", &long));
        assert!(same(&a, &b).expect("readable"));
        assert!(!same(&a, &file("c", &changed)).expect("readable"));
        assert!(!same(&a, &file("d", &long[1..])).expect("readable"));
        assert!(same(&file("e", b""), &file("f", b"")).expect("readable"));
    }

    #[test]
    fn repeats_what_is_short_or_judged() {
        let slow = [Usage { cpu: 30.0, wall: 30.0, peak: 1 }];
        assert!(goes_on(&[], 0, false, 20.0));
        assert!(!goes_on(&slow, 1, false, 20.0));
        assert!(goes_on(&slow, 1, true, 20.0));
        assert!(!goes_on(&slow, 2, true, 20.0));
        assert!(goes_on(&[Usage { cpu: 0.1, wall: 0.1, peak: 1 }], 4, false, 20.0));
    }
}
