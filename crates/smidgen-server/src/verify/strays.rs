//! What lies in the repository and is not listed.

use std::collections::BTreeSet;

use smidgen_metadata::{RoleKind, Targets};

use super::{Finding, VerifyReport};
use crate::layout::{Kind, Versioned};
use crate::lines;
use crate::repository::Repository;

/// Holds every file of the store against what `targets` list; without targets only what is out of place for sure is found.
pub(super) async fn check(repository: &Repository, targets: Option<&Targets>, report: &mut VerifyReport) {
    let listed: Option<BTreeSet<String>> = targets.map(lines::files);
    let files = match repository.store().list("").await {
        Ok(files) => files,
        Err(error) => {
            report.findings.push(Finding::fault(error.code(), "", error.to_string()));
            return;
        }
    };
    let versions = repository.load().await.ok();
    let in_force = |role| versions.as_ref().map_or(u64::MAX, |state| state.version(role));
    for file in files {
        let orphan = match Kind::of(&file.key) {
            Kind::Key => {
                let message = "a secret key may lie inside the repository, where it is served to the world: move it out, \
                               and replace it if it is one";
                report.findings.push(Finding::fault("key_in_repository", file.key, message));
                continue;
            }
            Kind::Foreign => {
                let message = "this is no part of a repository, but is served with it: move it elsewhere";
                report.findings.push(Finding::note("foreign_file", file.key, message));
                continue;
            }
            Kind::Role(Versioned::Targets, version) => version > in_force(RoleKind::Targets),
            Kind::Role(Versioned::Snapshot, version) => version > in_force(RoleKind::Snapshot),
            Kind::NextTimestamp => true,
            Kind::Blob | Kind::Raw => listed.as_ref().is_some_and(|listed| !listed.contains(&file.key)),
            Kind::Role(Versioned::Root, _) | Kind::Timestamp | Kind::Lock => false,
        };
        if orphan {
            let message = format!(
                "nothing lists these {} bytes: `smidgen gc` removes what it may after its grace period",
                file.size
            );
            report.findings.push(Finding::note("orphan", file.key, message));
        }
    }
    for torn in repository.store().torn().await.unwrap_or_default() {
        let message = "a write was interrupted here: `smidgen gc` removes it after its grace period";
        report.findings.push(Finding::note("orphan", torn.key, message));
    }
}
