//! The signed metadata: is it genuine, complete, and valid for long enough?

use smidgen_metadata::{RawMetadata, RoleKind, Targets, Timestamp};

use super::{Finding, VerifyReport};
use crate::layout::{METADATA, TIMESTAMP, Versioned};
use crate::repository::{CLOCK_SLACK_SECONDS, LIFETIMES, Repository, RepositoryError, State};

/// The trusted state, if there is one, and the targets to hold the files against.
pub(super) async fn check(
    repository: &Repository,
    report: &mut VerifyReport,
) -> (Option<State>, Option<Targets>) {
    match repository.load().await {
        Ok(state) => {
            check_times(repository, &state, report);
            let targets = state.targets().clone();
            (Some(state), Some(targets))
        }
        Err(error) => {
            let key = match &error {
                RepositoryError::Verify { key, .. } => key.clone(),
                RepositoryError::Store(store) => store.key().unwrap_or(METADATA).to_owned(),
                _ => METADATA.to_owned(),
            };
            report.findings.push(Finding::fault(error.code(), key, error.to_string()));
            (None, newest_targets(repository).await)
        }
    }
}

fn check_times(repository: &Repository, state: &State, report: &mut VerifyReport) {
    let now = repository.now();
    for (role, lifetime) in [
        (RoleKind::Root, LIFETIMES.root),
        (RoleKind::Targets, LIFETIMES.targets),
        (RoleKind::Snapshot, LIFETIMES.snapshot),
        (RoleKind::Timestamp, LIFETIMES.timestamp),
    ] {
        let expires = state.expiry(role);
        let remedy = match role {
            RoleKind::Root => "sign a new root with the root keys",
            _ => "run `smidgen resign`",
        };
        if expires <= now {
            let message = format!("{role} expired at {expires}, and it is {now}: {remedy}");
            report.findings.push(Finding::fault("expired_metadata", key_of(role, state), message));
        } else if expires <= now.plus_hours(lifetime / 4) {
            let message = format!("{role} expires at {expires}, and it is {now}: {remedy} before that");
            report.findings.push(Finding::note("expires_soon", key_of(role, state), message));
        }
    }
    let ahead = |signed: &Timestamp| signed.unix() > now.unix().saturating_add(CLOCK_SLACK_SECONDS);
    if let Some(signed) = state.timestamp().signed_at.filter(ahead) {
        let message = format!(
            "it was signed at {signed}, and it is {now}: set the clock right, here or where it was signed"
        );
        report.findings.push(Finding::fault("clock_back", TIMESTAMP, message));
    }
}

fn key_of(role: RoleKind, state: &State) -> String {
    let version = state.version(role);
    match role {
        RoleKind::Root => Versioned::Root.key(version),
        RoleKind::Targets => Versioned::Targets.key(version),
        RoleKind::Snapshot => Versioned::Snapshot.key(version),
        RoleKind::Timestamp => TIMESTAMP.to_owned(),
    }
}

/// The newest targets file that parses, trusted or not: enough to look for missing files.
async fn newest_targets(repository: &Repository) -> Option<Targets> {
    let limits = repository.limits();
    let files = repository.store().list(METADATA).await.ok()?;
    let mut versions: Vec<u64> =
        files.iter().filter_map(|file| Versioned::Targets.version(&file.key)).collect();
    versions.sort_unstable();
    for version in versions.into_iter().rev() {
        let key = Versioned::Targets.key(version);
        let Ok(bytes) = repository.store().read(&key, limits.max_targets_len).await else { continue };
        let raw = RawMetadata::parse(&bytes, RoleKind::Targets, &limits);
        if let Ok(targets) = raw.and_then(|raw| raw.read_unverified()) {
            return Some(targets);
        }
    }
    None
}
