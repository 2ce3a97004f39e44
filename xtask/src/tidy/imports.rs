//! The import table: which of our crates may use which, and with which features.

use std::path::Path;

use anyhow::{Context, Result};
use cargo_metadata::{DependencyKind, MetadataCommand};

use super::Findings;

/// One of our crates using another.
pub(super) struct Import {
    from: String,
    to: String,
    features: Vec<String>,
    default_features: bool,
    development: bool,
}

/// `(crate, what it may import of ours)`. The reasons stand in `ARCHITECTURE.md`.
const TABLE: [(&str, &[&str]); 8] = [
    ("smidgen-delta", &[]),
    ("smidgen-metadata", &[]),
    ("smidgen-client", &["smidgen-delta", "smidgen-metadata"]),
    ("smidgen-server", &["smidgen-delta", "smidgen-metadata"]),
    ("smidgen-cli", &["smidgen-delta", "smidgen-metadata", "smidgen-client", "smidgen-server"]),
    ("smidgen-testkit", &["smidgen-delta", "smidgen-metadata", "smidgen-client"]),
    ("smidgen-compare", &["smidgen-delta"]),
    ("xtask", &["smidgen-server"]),
];

/// Features that must not reach a program that embeds the client.
const CLIENT_MUST_NOT_ENABLE: [(&str, &str); 2] = [("smidgen-delta", "diff"), ("smidgen-metadata", "sign")];

/// Reads the declared imports between the members of the workspace.
pub(super) fn read(root: &Path) -> Result<Vec<Import>> {
    let mut command = MetadataCommand::new();
    command.manifest_path(root.join("Cargo.toml")).no_deps();
    let metadata = command.exec().context("failed to read the crate graph")?;
    let ours: Vec<String> =
        metadata.workspace_packages().iter().map(|package| package.name.to_string()).collect();
    let mut imports = Vec::new();
    for package in metadata.workspace_packages() {
        for dependency in package.dependencies.iter().filter(|dependency| ours.contains(&dependency.name)) {
            imports.push(Import {
                from: package.name.to_string(),
                to: dependency.name.clone(),
                features: dependency.features.clone(),
                default_features: dependency.uses_default_features,
                development: dependency.kind == DependencyKind::Development,
            });
        }
        if !TABLE.iter().any(|(name, _)| *name == package.name.as_str()) {
            // An import of itself is in no list, so a crate that the table does not know is always found.
            let name = package.name.to_string();
            imports.push(Import {
                from: name.clone(),
                to: name,
                features: vec![],
                default_features: false,
                development: false,
            });
        }
    }
    Ok(imports)
}

/// Judges the imports by the table. Tests may use `smidgen-testkit`, which nothing else may, and their own crate with more
/// features.
pub(super) fn judge(imports: &[Import], findings: &mut Findings) {
    for import in imports {
        let allowed =
            TABLE.iter().find(|(name, _)| *name == import.from).map_or(&[][..], |(_, allowed)| allowed);
        let for_tests = import.development && ["smidgen-testkit", &import.from].contains(&import.to.as_str());
        if !for_tests && !allowed.contains(&import.to.as_str()) {
            findings.add(&import.from, format!("may not import {}; it may import {allowed:?}", import.to));
        }
        if import.from != "smidgen-client" || import.development {
            continue;
        }
        for (to, feature) in CLIENT_MUST_NOT_ENABLE {
            let enabled = import.features.iter().any(|enabled| enabled == feature) || import.default_features;
            if import.to == to && enabled {
                findings
                    .add(&import.from, format!("enables `{feature}` of {to}; the client ships without it"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn import(from: &str, to: &str, features: &[&str], development: bool) -> Import {
        let features = features.iter().map(ToString::to_string).collect();
        Import { from: from.into(), to: to.into(), features, default_features: false, development }
    }

    fn findings_of(import: Import) -> usize {
        let mut findings = Findings::default();
        judge(&[import], &mut findings);
        findings.0.len()
    }

    #[test]
    fn judges_imports_by_the_table() {
        assert_eq!(findings_of(import("smidgen-client", "smidgen-delta", &[], false)), 0);
        assert_eq!(findings_of(import("smidgen-client", "smidgen-testkit", &[], true)), 0);
        assert_eq!(findings_of(import("smidgen-client", "smidgen-testkit", &[], false)), 1);
        assert_eq!(findings_of(import("smidgen-client", "smidgen-server", &[], true)), 1);
        assert_eq!(findings_of(import("smidgen-client", "smidgen-delta", &["diff"], false)), 1);
        assert_eq!(findings_of(import("smidgen-delta", "smidgen-metadata", &[], false)), 1);
        assert_eq!(findings_of(import("smidgen-stranger", "smidgen-stranger", &[], false)), 1);
    }
}
