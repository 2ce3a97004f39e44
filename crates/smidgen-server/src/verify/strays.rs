//! What lies in the repository and is not listed.

use std::collections::BTreeSet;

use smidgen_metadata::{Role as _, RoleKind, RoleName, Shards};

use super::{Finding, VerifyReport};
use crate::layout::Kind;
use crate::repository::{Repository, State};
use crate::store::Entry;

/// Holds every file of the store against those that are `listed`; without them only what is out of place for sure is found.
pub(super) async fn check(
    part: &Repository,
    listed: Option<&BTreeSet<String>>,
    state: Option<&State>,
    report: &mut VerifyReport,
) {
    let files = match part.store().list("").await {
        Ok(files) => files,
        Err(error) => {
            report.findings.push(Finding::fault(error.code(), "", error.to_string()));
            return;
        }
    };
    let in_force = |role: &str| {
        let version = |state: &State| match role {
            "snapshot" => Some(state.version(RoleKind::Snapshot)),
            "root" => None,
            // Newer ones may have been signed offline and wait for the next commit.
            "targets" => Some(state.next_targets().version()),
            role => Some(state.version_of(&RoleName::Delegated(role.to_owned())).unwrap_or(0)),
        };
        state.and_then(version).unwrap_or(u64::MAX)
    };
    for file in files {
        let orphan = match Kind::of(&file.key) {
            Kind::Key | Kind::Foreign => {
                report.findings.push(out_of_place(&file));
                false
            }
            Kind::Role(role, version) => version > in_force(role),
            Kind::NextTimestamp => true,
            Kind::Blob | Kind::Raw => listed.is_some_and(|listed| !listed.contains(&file.key)),
            Kind::Timestamp | Kind::Lock => false,
        };
        if orphan {
            let message = format!(
                "nothing lists these {} bytes: `smidgen gc` removes what it may after its grace period",
                file.size
            );
            report.findings.push(Finding::note("orphan", file.key, message));
        }
    }
    for torn in part.store().torn().await.unwrap_or_default() {
        let message = "a write was interrupted here: `smidgen gc` removes it after its grace period";
        report.findings.push(Finding::note("orphan", torn.key, message));
    }
}

/// What has no place at the home of shards, beside roots, targets and the shards themselves.
pub(super) async fn check_home(home: &Repository, report: &mut VerifyReport) {
    let (folders, files) = match home.store().top().await {
        Ok(found) => found,
        Err(error) => {
            report.findings.push(Finding::fault(error.code(), "", error.to_string()));
            return;
        }
    };
    for file in files {
        if matches!(Kind::of(&file.key), Kind::Key | Kind::Foreign) {
            report.findings.push(out_of_place(&file));
        }
    }
    for folder in folders {
        if folder == Shards::FOLDER {
            continue;
        }
        let inside = home.store().list(&folder).await.unwrap_or_default();
        let strange = |file: &&Entry| !matches!(Kind::of(&file.key), Kind::Role("root" | "targets", _));
        report.findings.extend(inside.iter().filter(strange).map(out_of_place));
    }
}

fn out_of_place(file: &Entry) -> Finding {
    if Kind::of(&file.key) == Kind::Key {
        let message = "a secret key may lie inside the repository, where it is served to the world: move it out, \
                       and replace it if it is one";
        return Finding::fault("key_in_repository", &*file.key, message);
    }
    let message = "this is no part of a repository, but is served with it: move it elsewhere";
    Finding::note("foreign_file", &*file.key, message)
}
