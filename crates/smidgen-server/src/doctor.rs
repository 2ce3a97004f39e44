//! Looking ahead: what will stop clients soon, told while there is time to do something.
//!
//! `verify` reads everything and judges the present; this reads metadata alone and judges the days to come, so that a
//! monitor can ask every few minutes.

mod keyring;

use serde::Serialize;
use smidgen_metadata::{Name, Role, Targets, Timestamp};

use crate::keys::Keys;
use crate::repository::{CLOCK_SLACK_SECONDS, Repository, RepositoryError, State};

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// As it should be.
    Ok,
    /// Somebody should do something about it in time.
    Warning,
    /// Clients stop soon, or have stopped; or a key is in danger.
    Critical,
}

/// How long before its end a role is worth a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The role that it is for; `None`: every role without a bound of its own.
    pub role: Option<String>,
    /// Seconds.
    pub seconds: u64,
}

/// What to look at.
#[derive(Clone, Debug, Default)]
pub struct DoctorOptions {
    /// When an expiry is worth a warning, instead of the usual.
    pub warn: Vec<Bound>,
    /// When it is critical, instead of the usual.
    pub critical: Vec<Bound>,
}

/// How a repository is.
#[derive(Clone, Debug, Serialize)]
pub struct DoctorReport {
    /// The worst of everything below.
    pub level: Level,
    /// Its signed name, as far as it could be read.
    pub repository: Option<Name>,
    /// When it was looked at.
    pub now: Timestamp,
    /// Each role with its end.
    pub roles: Vec<RoleHealth>,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
}

/// How long a role is good for.
#[derive(Clone, Debug, Serialize)]
pub struct RoleHealth {
    /// The shard's folder; left out where there are no shards, and for what all shards share.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub shard: String,
    /// Its name.
    pub role: String,
    /// Its version.
    pub version: u64,
    /// When it ends.
    pub expires: Timestamp,
    /// Seconds until then; below zero if it has ended.
    pub seconds_left: i64,
    /// What that means.
    pub level: Level,
}

/// Something that is not as it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// How bad.
    pub level: Level,
    /// A stable name.
    pub code: &'static str,
    /// What it is about: a role, a key, a file.
    pub subject: String,
    /// What was found, and what to do.
    pub message: String,
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

/// The usual bounds: time enough for whoever has the key, and for timestamp some runs of a job that signs twice a day.
fn usual(role: &str) -> (u64, u64) {
    match role {
        "root" => (60 * DAY, 14 * DAY),
        "targets" => (30 * DAY, 7 * DAY),
        "snapshot" => (5 * DAY, 2 * DAY),
        "timestamp" => (36 * HOUR, 12 * HOUR),
        // Delegated roles, which releases sign anew.
        _ => (21 * DAY, 7 * DAY),
    }
}

fn bound(role: &str, given: &[Bound], usual: u64) -> u64 {
    let own = given.iter().rev().find(|bound| bound.role.as_deref() == Some(role));
    own.or_else(|| given.iter().rev().find(|bound| bound.role.is_none())).map_or(usual, |bound| bound.seconds)
}

/// Looks at a repository with all its shards, and at the keys if there are any at hand.
///
/// # Errors
/// [`RepositoryError`] if there is nothing to look at. Metadata that cannot be trusted is a finding.
pub async fn doctor(
    repository: &Repository,
    keys: Option<&Keys>,
    options: &DoctorOptions,
) -> Result<DoctorReport, RepositoryError> {
    let now = repository.now();
    let mut report =
        DoctorReport { level: Level::Ok, repository: None, now, roles: Vec::new(), findings: Vec::new() };
    if let Err(error) = look(repository, keys, options, &mut report).await {
        report.distrust(error)?;
    }
    let roles = report.roles.iter().map(|role| role.level);
    report.level =
        report.findings.iter().map(|finding| finding.level).chain(roles).max().unwrap_or(Level::Ok);
    Ok(report)
}

async fn look(
    home: &Repository,
    keys: Option<&Keys>,
    options: &DoctorOptions,
    report: &mut DoctorReport,
) -> Result<(), RepositoryError> {
    let root = home.root().await?;
    report.repository = home.shards().await?.map(|shards| shards.name().clone());
    let targets = home.offline_targets().await?;
    report.role("", "root", &root, options);
    keyring::check_root(&root, &mut report.findings);
    if let Some(targets) = &targets {
        report.role("", "targets", targets, options);
    }
    for part in home.parts().await? {
        match part.load_all().await {
            Ok(state) => {
                check_part(&part, &state, targets.as_ref(), options, report);
            }
            Err(error) => report.distrust(error)?,
        }
    }
    if let Some(keys) = keys {
        keyring::check(&root, targets.as_ref(), keys, &mut report.findings)?;
    }
    Ok(())
}

/// What is signed in each shard on its own.
fn check_part(
    part: &Repository,
    state: &State,
    newest: Option<&Targets>,
    options: &DoctorOptions,
    report: &mut DoctorReport,
) {
    let shard = part.folder();
    // Newer targets may be waiting for the next commit; clients see those in force.
    if newest.is_none_or(|newest| newest.version() != state.targets().version()) {
        report.role(shard, "targets", state.targets(), options);
    }
    for (name, role) in state.listing() {
        report.role(shard, name, role, options);
    }
    report.role(shard, "snapshot", state.snapshot(), options);
    report.role(shard, "timestamp", state.timestamp(), options);
    let latest = report.now.unix().saturating_add(CLOCK_SLACK_SECONDS);
    if let Some(signed) = state.timestamp().signed_at.filter(|signed| signed.unix() > latest) {
        let now = report.now;
        report.findings.push(Finding {
            level: Level::Critical,
            code: "clock_back",
            subject: subject(shard, "timestamp"),
            message: format!(
                "it was signed at {signed}, and it is {now} here: set the clock right, here or where it was signed"
            ),
        });
    }
}

fn subject(shard: &str, role: &str) -> String {
    if shard.is_empty() { role.to_owned() } else { format!("{shard} {role}") }
}

impl DoctorReport {
    fn role<R: Role>(&mut self, shard: &str, name: &str, role: &R, options: &DoctorOptions) {
        let expires = role.expires();
        let left = expires.unix().saturating_sub(self.now.unix());
        let (warn, critical) = usual(name);
        let (warn, critical) = (bound(name, &options.warn, warn), bound(name, &options.critical, critical));
        let within = |seconds: u64| left <= i64::try_from(seconds).unwrap_or(i64::MAX);
        let level = match () {
            () if left <= 0 || within(critical) => Level::Critical,
            () if within(warn) => Level::Warning,
            () => Level::Ok,
        };
        if level > Level::Ok {
            let (code, verb) = match left <= 0 {
                true => ("expired_metadata", "expired"),
                false => ("expires_soon", "expires"),
            };
            let message = format!("{verb} at {expires}: {}", remedy(name));
            self.findings.push(Finding { level, code, subject: subject(shard, name), message });
        }
        self.roles.push(RoleHealth {
            shard: shard.to_owned(),
            role: name.to_owned(),
            version: role.version(),
            expires,
            seconds_left: left,
            level,
        });
    }

    /// Metadata that cannot be trusted is what this is for; anything else keeps it from looking.
    fn distrust(&mut self, error: RepositoryError) -> Result<(), RepositoryError> {
        let RepositoryError::Verify { key, source } = error else { return Err(error) };
        self.findings.push(Finding {
            level: Level::Critical,
            code: source.code(),
            subject: key,
            message: format!("{source}; if a root was just put in force, repeat `smidgen key publish-root`"),
        });
        Ok(())
    }
}

fn remedy(role: &str) -> &'static str {
    match role {
        "root" => "make the next root (`smidgen key renew`), have it signed, and put it in force",
        "targets" => "sign it again where its key is (`smidgen resign`)",
        "snapshot" | "timestamp" => "`smidgen resign` does not run, or not with this key; see why",
        _ => "publish a release, or run `smidgen resign` where the release key is",
    }
}
