//! Real builds to measure on: `fixtures/pairs.toml` and `fixtures/siblings.toml` name them, the registries' own clients
//! fetch them.

mod package;
mod ustar;

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::workspace;

/// Which pairs to fetch.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Fetch only these pairs, by id.
    #[arg(long, value_name = "ID", num_args = 1..)]
    only: Vec<String>,
    /// Downloads at a time.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=16))]
    jobs: u8,
    /// Fetch the siblings of the pairs instead: other, larger and more distant programs, 4 GB.
    #[arg(long)]
    siblings: bool,
    /// Print the list of pairs and fetch nothing.
    #[arg(long)]
    list: bool,
}

/// Two consecutive builds of one program for one platform.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pair {
    /// Short name, which is also the folder's name.
    pub(crate) id: String,
    /// What the program is written in.
    pub(crate) language: String,
    /// Container and machine, such as `ELF/x86-64`.
    pub(crate) format: String,
    registry: Registry,
    package: String,
    /// Platform tags that pip may choose from.
    #[serde(default)]
    platforms: Vec<String>,
    /// The program's own file name.
    pub(crate) file: String,
    pub(crate) old: Build,
    pub(crate) new: Build,
    /// None for siblings.
    pub(crate) goals: Option<Goals>,
}

/// What is demanded of the reference-aware patch of a pair, in bytes of the whole patch.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Goals {
    /// Not to be exceeded.
    pub(crate) must: u64,
    /// What to aim at; does not bind.
    pub(crate) aim: u64,
    /// The best peer before, whether it can run here or not.
    pub(crate) quoted: Quoted,
}

/// A figure that was measured elsewhere.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Quoted {
    pub(crate) peer: String,
    pub(crate) size: u64,
}

/// One build of a pair.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Build {
    pub(crate) version: String,
    pub(crate) size: u64,
    #[serde(with = "hex::serde")]
    sha256: [u8; 32],
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Registry {
    Npm,
    Pypi,
}

/// Which build of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Old,
    New,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
        }
    }
}

impl Pair {
    /// The build on that side.
    pub(crate) fn build(&self, side: Side) -> &Build {
        match side {
            Side::Old => &self.old,
            Side::New => &self.new,
        }
    }

    /// Where the build is kept once fetched.
    pub(crate) fn path(&self, side: Side) -> PathBuf {
        folder().join(&self.id).join(side.name())
    }
}

/// Where fetched builds are kept: `<id>/old` and `<id>/new`.
pub(crate) fn folder() -> PathBuf {
    workspace::root().join("target").join("corpus")
}

/// A list of pairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    /// What the codec is measured by.
    Pairs,
    /// What it was not made for.
    Siblings,
}

impl List {
    fn file(self) -> &'static str {
        match self {
            Self::Pairs => "pairs.toml",
            Self::Siblings => "siblings.toml",
        }
    }
}

/// The pairs with these ids in the order of the list; all of them when `only` is empty.
pub(crate) fn pairs(list: List, only: &[String]) -> Result<Vec<Pair>> {
    let path = workspace::root().join("fixtures").join(list.file());
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    select(parse(&text).with_context(|| format!("failed to understand {}", path.display()))?, only)
}

fn parse(text: &str) -> Result<Vec<Pair>> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct List {
        pair: Vec<Pair>,
    }
    let pairs = toml::from_str::<List>(text)?.pair;
    for (index, pair) in pairs.iter().enumerate() {
        if pairs.iter().take(index).any(|earlier| earlier.id == pair.id) {
            bail!("pair {:?} is listed twice", pair.id);
        }
        // The id becomes a folder.
        if pair.id.is_empty() || !pair.id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            bail!("pair id {:?} is not made of letters, digits and hyphens", pair.id);
        }
    }
    Ok(pairs)
}

fn select(pairs: Vec<Pair>, only: &[String]) -> Result<Vec<Pair>> {
    if let Some(unknown) = only.iter().find(|id| pairs.iter().all(|pair| pair.id != **id)) {
        let known: Vec<&str> = pairs.iter().map(|pair| pair.id.as_str()).collect();
        bail!("no pair is called {unknown:?}; there are {}", known.join(", "));
    }
    Ok(pairs.into_iter().filter(|pair| only.is_empty() || only.contains(&pair.id)).collect())
}

/// `cargo xtask corpus`.
#[allow(clippy::print_stdout, reason = "the list is the answer")]
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let list = if arguments.siblings { List::Siblings } else { List::Pairs };
    let pairs = pairs(list, &arguments.only)?;
    if arguments.list {
        for pair in &pairs {
            println!(
                "{:<16} {:<8} {:<12} {} of {} {} -> {}",
                pair.id,
                pair.language,
                pair.format,
                pair.file,
                pair.package,
                pair.old.version,
                pair.new.version
            );
        }
        return Ok(());
    }
    fetch(&pairs, usize::from(arguments.jobs))
}

/// Makes sure that both builds of every pair are in place with the promised size and SHA-256, `jobs` downloads at a time.
///
/// What is there already is verified and kept, so that a run that was cut short is simply started again. All
/// failures are told at the end; one does not keep the others from being fetched.
pub(crate) fn fetch(pairs: &[Pair], jobs: usize) -> Result<()> {
    let waiting: VecDeque<(&Pair, Side)> =
        pairs.iter().flat_map(|pair| [(pair, Side::Old), (pair, Side::New)]).collect();
    let waiting = Mutex::new(waiting);
    let failures = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((pair, side)) = next else { break };
                    if let Err(error) = fetch_build(pair, side) {
                        say(pair, side, "failed");
                        let failure = format!("{} {}: {error:#}", pair.id, side.name());
                        failures.lock().unwrap_or_else(PoisonError::into_inner).push(failure);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap_or_else(PoisonError::into_inner);
    failures.sort();
    if !failures.is_empty() {
        bail!("failed to fetch {} of {} builds\n{}", failures.len(), 2 * pairs.len(), failures.join("\n"));
    }
    Ok(())
}

fn fetch_build(pair: &Pair, side: Side) -> Result<()> {
    let (build, path) = (pair.build(side), pair.path(side));
    if path.exists() {
        match verify(&path, build) {
            Ok(()) => {
                say(pair, side, "in place");
                return Ok(());
            }
            Err(error) => say(pair, side, &format!("fetched again, since {error:#}")),
        }
    } else {
        say(pair, side, "fetching");
    }
    let folder = folder();
    fs::create_dir_all(&folder).with_context(|| format!("failed to create {}", folder.display()))?;
    // Beside the destination, so that the rename at the end is atomic.
    let scratch = tempfile::Builder::new().prefix(".fetch-").tempdir_in(&folder)?;
    let archive = package::download(pair, side, scratch.path())?;
    let extracted = scratch.path().join("extracted");
    package::extract(pair, &archive, &extracted)?;
    verify(&extracted, build)?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    fs::rename(&extracted, &path).with_context(|| format!("failed to create {}", path.display()))?;
    say(pair, side, &format!("{} bytes, SHA-256 verified", build.size));
    Ok(())
}

/// Fails unless the file has the promised size and SHA-256.
fn verify(path: &Path, build: &Build) -> Result<()> {
    let mut file = File::open(path).with_context(|| format!("failed to open {}", path.display()))?;
    let size = file.metadata()?.len();
    if size != build.size {
        bail!("the file has {size} bytes, the list promises {}", build.size);
    }
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let len = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).with_context(|| format!("failed to read {}", path.display())),
        };
        hasher.update(buffer.get(..len).unwrap_or_default());
    }
    let found: [u8; 32] = hasher.finalize().into();
    if found != build.sha256 {
        bail!("the file has SHA-256 {}, the list promises {}", hex::encode(found), hex::encode(build.sha256));
    }
    Ok(())
}

#[allow(clippy::print_stderr, reason = "progress of a developer's command")]
fn say(pair: &Pair, side: Side, what: &str) {
    eprintln!("{:<16} {} {:<8} {what}", pair.id, side.name(), pair.build(side).version);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed() -> Vec<Pair> {
        pairs(List::Pairs, &[]).expect("the committed list is well formed")
    }

    #[test]
    fn siblings_share_no_folder_with_the_pairs() {
        let siblings = pairs(List::Siblings, &[]).expect("the committed list is well formed");
        assert!(siblings.len() >= 12);
        for sibling in &siblings {
            assert!(listed().iter().all(|pair| pair.id != sibling.id), "{}", sibling.id);
            assert!(sibling.old.sha256 != sibling.new.sha256, "{}", sibling.id);
            assert!(sibling.goals.is_none(), "{}", sibling.id);
        }
    }

    #[test]
    fn the_committed_list_is_understood() {
        let pairs = listed();
        assert_eq!(pairs.len(), 10);
        assert!(pairs.iter().all(|pair| pair.old.sha256 != pair.new.sha256));
        assert!(
            pairs.iter().all(|pair| !matches!(pair.registry, Registry::Pypi) || !pair.platforms.is_empty())
        );
    }

    #[test]
    fn every_pair_has_goals_that_lie_below_its_full_size() {
        for pair in listed() {
            let goals = pair.goals.as_ref().expect(&pair.id);
            let in_order = goals.aim < goals.must && goals.must < pair.new.size;
            assert!(in_order && goals.quoted.size < pair.new.size, "{}", pair.id);
        }
    }

    #[test]
    fn selects_pairs_in_the_order_of_the_list() {
        let only = ["tstar".to_owned(), "ninja-x64".to_owned()];
        let ids: Vec<String> =
            select(listed(), &only).expect("both exist").into_iter().map(|pair| pair.id).collect();
        assert_eq!(ids, ["ninja-x64", "tstar"]);
    }

    #[test]
    fn names_the_known_pairs_when_one_is_unknown() {
        let error =
            select(listed(), &["nonesuch".to_owned()]).expect_err("there is no such pair").to_string();
        assert!(error.contains("nonesuch") && error.contains("esbuild-x64"), "{error}");
    }

    #[test]
    fn refuses_an_id_that_would_leave_the_folder() {
        let text = fs::read_to_string(workspace::root().join("fixtures/pairs.toml")).expect("readable");
        assert!(parse(&text.replace("\"ninja-x64\"", "\"../ninja\"")).is_err());
        assert!(parse(&text.replace("\"ninja-x64\"", "\"tstar\"")).is_err());
    }

    #[test]
    fn tells_what_a_wrong_file_has_and_should_have() {
        let scratch = tempfile::tempdir().expect("a folder");
        let path = scratch.path().join("build");
        fs::write(&path, b"abc").expect("writable");
        let right = Sha256::digest(b"abc").into();
        let build = |size, sha256| Build { version: "1".to_owned(), size, sha256 };
        verify(&path, &build(3, right)).expect("it is what was promised");
        let size = verify(&path, &build(4, right)).expect_err("too short").to_string();
        assert!(size.contains("3 bytes") && size.contains('4'), "{size}");
        let digest = verify(&path, &build(3, [0; 32])).expect_err("another file").to_string();
        assert!(digest.contains("ba7816bf") && digest.contains("00000000"), "{digest}");
    }
}
