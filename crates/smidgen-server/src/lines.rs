//! All build lines of a repository. Metadata answers questions about one line; those who look after a repository need
//! every one.

use std::collections::BTreeMap;

use smidgen_metadata::canonical::Value;
use smidgen_metadata::{BuildLine, Line, PluginRelease, Target, Targets};

/// A build line and its releases.
#[derive(Clone, Debug)]
pub(crate) struct ListedLine {
    pub(crate) id: BuildLine,
    #[allow(dead_code, reason = "gc and verify will read it")]
    pub(crate) line: Line,
}

/// An entry of targets metadata that is no release of a build line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NotALine {
    /// The target path, or the folder of the line.
    pub(crate) path: String,
    pub(crate) reason: String,
}

/// Reads every build line that `targets` lists. What is no release is told apart, not passed over.
pub(crate) fn read(targets: &Targets) -> (Vec<ListedLine>, Vec<NotALine>) {
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
