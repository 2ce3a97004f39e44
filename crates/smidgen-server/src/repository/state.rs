//! What is in force in a repository, as far as it was asked for.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use smidgen_metadata::{
    BuildLine, Header, Limits, Line, Malformed, Name, Role as _, RoleKind, RoleName, Root, Snapshot, Targets,
    Timestamp, TimestampRole, TrustedSet,
};

use super::products::{self, Authorised};
use super::{Repository, RepositoryError, refused};
use crate::layout::{self, METADATA};
use crate::store::Seen;

/// A repository's state that a client would accept, but for expiry: a publisher signs expired metadata again.
///
/// Delegated roles are in it as far as they were asked for: the cost of a release must not grow with the number of lines.
#[derive(Clone, Debug)]
pub struct State {
    pub(super) trusted: TrustedSet,
    pub(super) name: Name,
    pub(super) timestamp: Seen,
    pub(super) snapshot_bytes: Bytes,
    pub(super) root: Root,
    pub(super) timestamp_role: TimestampRole,
    pub(super) snapshot: Snapshot,
    pub(super) targets: Held,
    /// Newer targets that were signed offline and that no snapshot lists yet: the next commit puts them in force.
    pub(super) incoming: Option<Held>,
    /// By name.
    pub(super) delegated: BTreeMap<String, Held>,
}

/// A role that lists targets or delegates, with the bytes that say so.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    pub(super) role: Targets,
}

impl State {
    /// The repository's signed name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The newest root.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What `timestamp.json` says.
    pub fn timestamp(&self) -> &TimestampRole {
        &self.timestamp_role
    }

    /// The snapshot in force.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The targets in force, which delegate the products.
    pub fn targets(&self) -> &Targets {
        &self.targets.role
    }

    /// The delegated role `name`, if it was loaded.
    pub fn delegated(&self, name: &str) -> Option<&Targets> {
        self.delegated.get(name).map(|held| &held.role)
    }

    /// All roles that were loaded and may list releases, with their names.
    pub fn listing(&self) -> impl Iterator<Item = (&str, &Targets)> {
        self.delegated.iter().map(|(name, held)| (name.as_str(), &held.role))
    }

    /// The releases of a line that was loaded; `None` if it has none.
    pub fn line(&self, line: &BuildLine) -> Result<Option<Line>, Malformed> {
        match self.role_of(line).and_then(|name| self.delegated(name)) {
            Some(role) => Line::read(role, line),
            None => Ok(None),
        }
    }

    /// The role of a line, if there is one.
    pub(crate) fn role_of(&self, line: &BuildLine) -> Option<&str> {
        let product = self.delegated(line.product.as_str())?;
        products::role_of_line(product, line).map(|role| role.name.as_str())
    }

    /// What the snapshot in force says about `role`.
    pub(crate) fn version_of(&self, role: &RoleName) -> Option<u64> {
        self.snapshot.listed(role).map(|listed| listed.version)
    }

    /// Top-level metadata as a client holds it.
    pub fn trusted(&self) -> &TrustedSet {
        &self.trusted
    }

    /// When a top-level role ends.
    pub fn expiry(&self, role: RoleKind) -> Timestamp {
        self.header(role).expires
    }

    /// The version of a top-level role that is in force.
    pub fn version(&self, role: RoleKind) -> u64 {
        self.header(role).version
    }

    fn header(&self, role: RoleKind) -> &Header {
        match role {
            RoleKind::Root => self.root.header(),
            RoleKind::Timestamp => self.timestamp_role.header(),
            RoleKind::Snapshot => self.snapshot.header(),
            RoleKind::Targets => self.targets.role.header(),
        }
    }

    /// Who may sign the role of a product and those of its lines, as targets in force have it.
    fn signers_of(&self, product: &str) -> Option<Authorised> {
        Authorised::of(self.targets(), product)
    }

    /// The targets that the next commit leaves in force.
    pub(crate) fn next_targets(&self) -> &Targets {
        self.incoming.as_ref().map_or(self.targets(), |held| &held.role)
    }

    /// Products whose roles others have to sign as soon as the incoming targets are in force.
    pub(crate) fn rekeyed(&self) -> Vec<String> {
        let Some(incoming) = &self.incoming else { return Vec::new() };
        let changed = |product: &&str| {
            let listed = self.version_of(&RoleName::Delegated((*product).to_owned())).is_some();
            listed && Authorised::of(&incoming.role, product) != self.signers_of(product)
        };
        let known = products::delegated_by(&incoming.role).iter().map(|role| role.name.as_str());
        known.filter(changed).map(str::to_owned).collect()
    }

    /// The loaded roles of these products, those of their lines included.
    pub(crate) fn roles_of(&self, products: &[String]) -> BTreeSet<String> {
        let of_them = |role: &&String| products.iter().any(|product| product == products::product_of(role));
        self.delegated.keys().filter(of_them).cloned().collect()
    }
}

/// Which delegated roles are loaded.
pub(crate) enum Asked<'a> {
    /// Those on the way to these lines.
    Lines(&'a BTreeSet<BuildLine>),
    /// All that the snapshot lists.
    All,
}

impl Repository {
    /// Reads and verifies root, timestamp, snapshot and targets, as a client does on its first contact, except that
    /// expired metadata is accepted: it is the publisher who can do something about it.
    pub async fn load(&self) -> Result<State, RepositoryError> {
        self.load_with(Asked::Lines(&BTreeSet::new())).await
    }

    /// The same with the roles of these lines.
    pub async fn load_lines(&self, lines: &BTreeSet<BuildLine>) -> Result<State, RepositoryError> {
        self.load_with(Asked::Lines(lines)).await
    }

    /// The same with every role.
    pub async fn load_all(&self) -> Result<State, RepositoryError> {
        self.load_with(Asked::All).await
    }

    async fn load_with(&self, asked: Asked<'_>) -> Result<State, RepositoryError> {
        let (trusted, _) = self.load_root().await?;
        let mut state = self.load_top(trusted).await?;
        match asked {
            Asked::Lines(lines) => {
                for line in lines {
                    let product = line.product.as_str();
                    if let Some(signers) = state.signers_of(product) {
                        self.load_delegated(&mut state, product, RoleKind::Targets.into(), &signers).await?;
                    }
                    let Some(role) = state.role_of(line).map(str::to_owned) else { continue };
                    self.load_line_role(&mut state, product, &role).await?;
                }
            }
            Asked::All => {
                let products: Vec<String> =
                    products::delegated_by(state.targets()).iter().map(|role| role.name.clone()).collect();
                for product in products {
                    self.load_product(&mut state, &product).await?;
                }
            }
        }
        Ok(state)
    }

    /// Loads the role of a product and those of all its lines.
    pub(super) async fn load_product(&self, state: &mut State, product: &str) -> Result<(), RepositoryError> {
        let Some(signers) = state.signers_of(product) else { return Ok(()) };
        self.load_delegated(state, product, RoleKind::Targets.into(), &signers).await?;
        let Some(role) = state.delegated(product) else { return Ok(()) };
        let lines: Vec<String> = products::delegated_by(role).iter().map(|role| role.name.clone()).collect();
        for line in lines {
            self.load_line_role(state, product, &line).await?;
        }
        Ok(())
    }

    pub(super) async fn load_top(&self, mut trusted: TrustedSet) -> Result<State, RepositoryError> {
        let missing = || self.missing(layout::TIMESTAMP);
        let timestamp = self.store.see_if_there(layout::TIMESTAMP, self.limits.max_timestamp_len).await?;
        let timestamp = timestamp.ok_or_else(missing)?;
        trusted.update_timestamp(&timestamp.bytes).map_err(|source| refused(layout::TIMESTAMP, source))?;

        let request = trusted.snapshot_request().map_err(|source| refused(layout::TIMESTAMP, source))?;
        let key = format!("{METADATA}/{}", request.name);
        let snapshot_bytes = self.store.read(&key, request.max_len).await?;
        trusted.update_snapshot(&snapshot_bytes).map_err(|source| refused(&key, source))?;

        let request = trusted.targets_request().map_err(|source| refused(&key, source))?;
        let key = format!("{METADATA}/{}", request.name);
        let bytes = self.store.read(&key, request.max_len).await?;
        trusted.update_targets(&bytes).map_err(|source| refused(&key, source))?;

        let parts = (
            trusted.root().clone().into_inner(),
            trusted.timestamp().map(|role| role.clone().into_inner()),
            trusted.snapshot().map(|role| role.clone().into_inner()),
            trusted.targets().map(|role| role.clone().into_inner()),
        );
        // Our own repositories always have a name; without one, two shards could be mixed up.
        let name = trusted.repository().and_then(|name| name.parse().ok());
        let name =
            name.ok_or_else(|| RepositoryError::Nameless { location: self.store.location().into() })?;
        match parts {
            (root, Some(timestamp_role), Some(snapshot), Some(role)) => Ok(State {
                name,
                timestamp,
                snapshot_bytes,
                root,
                timestamp_role,
                snapshot,
                incoming: self.newer_targets(&trusted, role.version()).await?,
                targets: Held { bytes, role },
                trusted,
                delegated: BTreeMap::new(),
            }),
            _ => Err(missing()),
        }
    }

    async fn load_line_role(
        &self,
        state: &mut State,
        product: &str,
        role: &str,
    ) -> Result<(), RepositoryError> {
        let signers = state.delegated(product).and_then(|product| Authorised::of(product, role));
        let Some(signers) = signers else { return Ok(()) };
        self.load_delegated(state, role, RoleName::Delegated(product.to_owned()), &signers).await
    }

    /// Loads a role unless the snapshot does not list it: then it does not exist yet.
    async fn load_delegated(
        &self,
        state: &mut State,
        name: &str,
        delegator: RoleName,
        signers: &Authorised,
    ) -> Result<(), RepositoryError> {
        let role = RoleName::Delegated(name.to_owned());
        let Some(version) = state.version_of(&role) else { return Ok(()) };
        if state.delegated.contains_key(name) {
            return Ok(());
        }
        let key = layout::role_key(name, version);
        let bytes = self.store.read(&key, self.limits.max_targets_len).await?;
        let targets = match verify_delegated(&state.trusted, &role, delegator, signers, &bytes) {
            // The last of the checks, and the only one that a publisher passes over: who else could sign it again? The
            // newest signed time may be after its end, when timestamp was signed where the release key is not.
            Err(error @ smidgen_metadata::VerifyError::Expired { .. }) => {
                read_unverified(&bytes, &self.limits).ok_or_else(|| refused(&key, error))?
            }
            verified => verified.map_err(|source| refused(&key, source))?,
        };
        state.delegated.insert(name.to_owned(), Held { bytes, role: targets });
        Ok(())
    }
}

/// Verifies a delegated role that the snapshot of `trusted` lists.
pub(super) fn verify_delegated(
    trusted: &TrustedSet,
    role: &RoleName,
    delegator: RoleName,
    signers: &Authorised,
    bytes: &[u8],
) -> Result<Targets, smidgen_metadata::VerifyError> {
    let delegation = smidgen_metadata::Delegation {
        role: role.clone(),
        delegator,
        keys: &signers.keys,
        keyids: &signers.keyids,
        threshold: signers.threshold,
    };
    trusted.verify_delegated(&delegation, bytes).map(smidgen_metadata::Verified::into_inner)
}

/// What is read of metadata that nobody has verified.
pub(crate) fn read_unverified(bytes: &[u8], limits: &Limits) -> Option<Targets> {
    let raw = smidgen_metadata::RawMetadata::parse(bytes, RoleKind::Targets, limits).ok()?;
    raw.read_unverified().ok()
}
