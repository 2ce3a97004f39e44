//! All build lines of a repository. Metadata answers questions about one line; those who look after a repository need
//! every one.

use std::collections::{BTreeMap, BTreeSet};

use smidgen_metadata::canonical::Value;
use smidgen_metadata::{Blob, BuildLine, Line, PluginRelease, Target, Targets};

use crate::layout::TARGETS;
use crate::repository::State;

/// A build line and its releases.
#[derive(Clone, Debug)]
pub(crate) struct ListedLine {
    pub(crate) id: BuildLine,
    pub(crate) line: Line,
}

/// An entry of targets metadata that is no release of a build line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotALine {
    /// The target path, or the folder of the line.
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// Reads every build line of a state that was loaded whole. What is no release is told apart, not passed over.
pub(crate) fn read(state: &State) -> (Vec<ListedLine>, Vec<NotALine>) {
    let (mut lines, mut others) = (Vec::new(), Vec::new());
    for (_, role) in state.listing().chain([("targets", state.targets())]) {
        let (found, strange) = read_role(role);
        lines.extend(found);
        others.extend(strange);
    }
    (lines, others)
}

/// The same for one role.
pub(crate) fn read_role(targets: &Targets) -> (Vec<ListedLine>, Vec<NotALine>) {
    let mut ids = BTreeMap::new();
    let mut others = Vec::new();
    for (path, target) in &targets.targets {
        match line_of(path, target) {
            Some(id) => _ = ids.insert(id.target_prefix(), id),
            None => others.push(NotALine {
                path: path.clone(),
                reason:
                    "expected product/channel/platform/line id/sequence/name, with the plugins of that line"
                        .into(),
            }),
        }
    }
    let mut lines = Vec::new();
    for (path, id) in ids {
        match Line::read(targets, &id) {
            Ok(Some(line)) => lines.push(ListedLine { id, line }),
            Ok(None) => {}
            Err(fault) => others.push(NotALine { path, reason: fault.to_string() }),
        }
    }
    (lines, others)
}

/// The build line that a target belongs to, if its path and its plugins agree.
fn line_of(path: &str, target: &Target) -> Option<BuildLine> {
    let mut parts = path.split('/');
    let (product, channel, platform) = (parts.next()?, parts.next()?, parts.next()?);
    let Some(Value::Array(plugins)) = target.custom.as_ref()?.get("plugins") else { return None };
    let names: Option<Vec<String>> = plugins
        .iter()
        .map(|plugin| match plugin {
            Value::String(text) => text.parse::<PluginRelease>().ok().map(|plugin| plugin.name.to_string()),
            _ => None,
        })
        .collect();
    let line = BuildLine::new(product, channel, platform, names?.iter().map(String::as_str)).ok()?;
    path.starts_with(&line.target_prefix()).then_some(line)
}

/// Every file that a state lists, whatever it is for: raw files, full copies and patches.
pub(crate) fn files_of_state(state: &State) -> BTreeSet<String> {
    state.listing().map(|(_, role)| role).chain([state.targets()]).flat_map(files).collect()
}

/// Every file that `targets` lists, whatever it is for: raw files, full copies and patches. Read from the bare entries, so
/// that one which is no release keeps its files as well.
pub(crate) fn files(targets: &Targets) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for (path, target) in &targets.targets {
        if let Some(sha256) = target.hashes.to_sha256() {
            let (folder, name) = path.rsplit_once('/').map_or(("", &**path), |(folder, name)| (folder, name));
            let folder = if folder.is_empty() { TARGETS.to_owned() } else { format!("{TARGETS}/{folder}") };
            files.insert(format!("{folder}/{sha256}.{name}"));
        }
        let Some(custom) = &target.custom else { continue };
        if let Some(Value::Array(full)) = custom.get("full") {
            files.extend(full.get(1).and_then(blob));
        }
        if let Some(Value::Array(patches)) = custom.get("patches") {
            files.extend(patches.iter().filter_map(|patch| match patch {
                Value::Array(items) => items.get(3).and_then(blob),
                _ => None,
            }));
        }
    }
    files
}

fn blob(digest: &Value) -> Option<String> {
    let Value::String(digest) = digest else { return None };
    Some(Blob { size: 0, digest: digest.parse().ok()? }.path())
}
