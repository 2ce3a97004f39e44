//! What the commands that make a draft have in common: reading the root in force, and writing and showing the next one.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde::Serialize;
use smidgen_metadata::{RoleKind, Root};
use smidgen_server::ceremony::{Change, Comparison, Draft, Progress, propose};
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;

use crate::exit::Exit;
use crate::failure::Problem;
use crate::new_file::NewFile;
use crate::screen::Screen;

/// A new key that a draft brings, made by the same command.
#[derive(Clone, Debug, Serialize)]
pub(super) struct NewKey {
    pub(super) name: String,
    pub(super) id: String,
}

#[derive(Serialize)]
struct Report<'a> {
    draft: &'a Path,
    version: u64,
    new_keys: &'a [NewKey],
    #[serde(flatten)]
    comparison: Comparison,
    signatures: Progress,
}

/// The repository at `repo`, and its root in force.
pub(super) async fn root_of(repo: &str) -> Result<(Store, Root)> {
    let store = Store::open(repo)?;
    let root = Repository::new(store.clone()).root().await?;
    Ok((store, root))
}

/// Where a draft goes: nothing may be there, because it could have signatures.
pub(super) fn refuse_present(out: &Path) -> Result<()> {
    if !out.exists() {
        return Ok(());
    }
    let message =
        format!("{} exists, and may have signatures: give another name, or take it away", out.display());
    Err(Problem::new(Exit::Usage, "draft_exists", message).into())
}

/// Makes the draft after `root` and shows what it changes.
pub(super) fn write(
    screen: &Screen,
    repo: &str,
    root: &Root,
    changes: &[Change],
    new_keys: &[NewKey],
    out: &PathBuf,
) -> Result<()> {
    let now = Repository::new(Store::open(repo)?).now();
    let draft = Draft::unsigned(&propose(root, changes, now)?)?;
    save(out, draft.bytes(), &[])?;
    let report = Report {
        draft: out,
        version: draft.version(),
        new_keys,
        comparison: draft.compare(root, now),
        signatures: draft.progress(root),
    };
    screen.show(&report, |report| {
        let mut text = summary(&report.comparison, &report.signatures);
        for key in report.new_keys {
            text.push_str(&format!("made the key {}, {}\n", key.name, short(&key.id)));
        }
        text.push_str(&format!(
            "wrote {}: have it signed where root keys are (`smidgen key sign-root`)\n",
            report.draft.display()
        ));
        text
    })
}

/// Writes a draft.
pub(super) fn save(path: &Path, bytes: &[u8], inputs: &[&Path]) -> Result<()> {
    let mut file = NewFile::create(path, inputs)?;
    file.write_all(bytes).with_context(|| format!("failed to write {}", path.display()))?;
    file.publish(None)
}

/// What a draft changes, and who has signed it.
pub(super) fn summary(comparison: &Comparison, signatures: &Progress) -> String {
    let mut text: String = comparison.changes.iter().map(|change| format!("{change}\n")).collect();
    for surprise in &comparison.surprises {
        text.push_str(&format!("LOOK TWICE: {surprise} ({})\n", surprise.code()));
    }
    text.push_str(&format!(
        "signatures: {} of {} by keys of the old root, {} of {} by keys of the new one\n",
        signatures.signed_by_old.len(),
        signatures.needed_of_old,
        signatures.signed_by_new.len(),
        signatures.needed_of_new,
    ));
    text
}

/// The beginning of a key's id, as people compare it.
pub(super) fn short(id: &str) -> &str {
    id.get(..16).unwrap_or(id)
}

/// One of the roles that a root names.
pub(super) fn role(text: &str) -> Result<RoleKind, String> {
    RoleKind::ALL
        .into_iter()
        .find(|role| role.as_str() == text)
        .ok_or_else(|| format!("found {text:?}, expected root, targets, snapshot or timestamp"))
}
