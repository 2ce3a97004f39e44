//! The signed metadata: is it genuine, complete, and valid for long enough?

use std::collections::BTreeMap;

use smidgen_metadata::{Role as _, RoleKind, RoleName, Targets, Timestamp};

use super::{Finding, VerifyReport};
use crate::layout::{METADATA, TIMESTAMP, role_key, role_of};
use crate::repository::{
    CLOCK_SLACK_SECONDS, LIFETIMES, Repository, RepositoryError, State, is_line_role, read_unverified,
};

/// The trusted state, if there is one, and the roles that list what the files are held against.
pub(super) async fn check(part: &Repository, report: &mut VerifyReport) -> (Option<State>, Vec<Targets>) {
    match part.load_all().await {
        Ok(state) => {
            check_times(part, &state, report);
            let roles = state.listing().map(|(_, role)| role).chain([state.targets()]).cloned().collect();
            (Some(state), roles)
        }
        Err(error) => {
            report.findings.push(distrusted(&error));
            (None, newest_roles(part).await)
        }
    }
}

/// Root and targets at the home of shards, which no timestamp lists.
pub(super) async fn check_home(home: &Repository, report: &mut VerifyReport) {
    let now = home.now();
    match home.offline_expiries().await {
        Ok(expiries) => {
            for (role, key, expires) in expiries {
                let lifetime = if role == RoleKind::Root { LIFETIMES.root } else { LIFETIMES.targets };
                check_time(&role.into(), key, expires, lifetime, now, report);
            }
        }
        Err(error) => report.findings.push(distrusted(&error)),
    }
}

fn distrusted(error: &RepositoryError) -> Finding {
    let key = match error {
        RepositoryError::Verify { key, .. } => key.clone(),
        RepositoryError::Store(store) => store.key().unwrap_or(METADATA).to_owned(),
        _ => METADATA.to_owned(),
    };
    Finding::fault(error.code(), key, error.to_string())
}

fn check_time(
    role: &RoleName,
    key: String,
    expires: Timestamp,
    lifetime: u32,
    now: Timestamp,
    report: &mut VerifyReport,
) {
    let remedy = match role {
        RoleName::Top(RoleKind::Root) => "sign a new root with the root keys",
        RoleName::Top(RoleKind::Targets) => "run `smidgen resign` where the targets key is",
        _ => "run `smidgen resign`",
    };
    if expires <= now {
        let message = format!("{role} expired at {expires}, and it is {now}: {remedy}");
        report.findings.push(Finding::fault("expired_metadata", key, message));
    } else if expires <= now.plus_hours(lifetime / 4) {
        let message = format!("{role} expires at {expires}, and it is {now}: {remedy} before that");
        report.findings.push(Finding::note("expires_soon", key, message));
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
        check_time(&role.into(), key_of(role, state), state.expiry(role), lifetime, now, report);
    }
    for (name, role) in state.listing() {
        let key = role_key(name, role.version());
        let name = RoleName::Delegated(name.to_owned());
        check_time(&name, key, role.expires(), LIFETIMES.release, now, report);
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
    match role {
        RoleKind::Timestamp => TIMESTAMP.to_owned(),
        role => role_key(role.as_str(), state.version(role)),
    }
}

/// The newest version of each role that parses, trusted or not: enough to look for missing files.
async fn newest_roles(part: &Repository) -> Vec<Targets> {
    let limits = part.limits();
    let files = part.store().list(METADATA).await.unwrap_or_default();
    let mut versions: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (role, version) in files.iter().filter_map(|file| role_of(&file.key)) {
        if is_line_role(role) {
            versions.entry(role).or_default().push(version);
        }
    }
    let mut newest = Vec::new();
    for (role, mut versions) in versions {
        versions.sort_unstable();
        for version in versions.into_iter().rev() {
            let key = role_key(role, version);
            let Ok(bytes) = part.store().read(&key, limits.max_targets_len).await else { continue };
            if let Some(targets) = read_unverified(&bytes, &limits) {
                newest.push(targets);
                break;
            }
        }
    }
    newest
}
