//! The client's procedure of the specification, in its order, over a folder and a web server.

use anyhow::{Context as _, Result};
use smidgen_client::Timestamp;
use smidgen_metadata::{
    Changed, Limits, Request, RoleKind, Stored, Target, TrustedSet, Verified, VerifyError,
};

use crate::mirror::Mirror;
use crate::store::Store;

/// A client of one repository.
pub(crate) struct Follower {
    pub(crate) store: Store,
    pub(crate) metadata: Mirror,
    /// 5.1: fixed for the whole run.
    pub(crate) now: Timestamp,
}

impl Follower {
    /// Steps 5.2 to 5.6.6: all top-level roles.
    pub(crate) async fn refresh(&self) -> Result<TrustedSet> {
        let limits = Limits::default();
        let root =
            self.store.read("root", limits.max_root_len)?.context("there is no trusted root: run init")?;
        let mut set = TrustedSet::open(&root, self.now, limits)?;
        self.follow_roots(&mut set).await?;
        if let Some(raw) = self.store.read("timestamp", limits.max_timestamp_len)?
            && set.load_stored_timestamp(&raw)? == Stored::Superseded
        {
            self.forget_online_roles()?;
        }
        set.finish_root()?;
        let request = set.timestamp_request();
        let raw = self.metadata.fetch(&request.name, request.max_len).await?;
        if set.update_timestamp(&raw)? == Changed::Yes {
            self.store.write("timestamp", &raw)?;
        }
        let request = set.snapshot_request()?;
        let stored = self.store.read("snapshot", limits.max_snapshot_len)?;
        let stored = stored.map(|raw| set.load_stored_snapshot(&raw)).transpose()?;
        self.bring(stored, &request, |raw| set.update_snapshot(raw)).await?;
        let request = set.targets_request()?;
        let stored = self.store.read("targets", limits.max_targets_len)?;
        // A copy that the snapshot binds: a damaged one is fetched again.
        let stored = stored.and_then(|raw| set.load_stored_targets(&raw).ok());
        self.bring(stored, &request, |raw| set.update_targets(raw)).await?;
        Ok(set)
    }

    /// Step 5.6.7: the search for a target, in targets and in delegated roles.
    pub(crate) async fn find(&self, set: &TrustedSet, path: &str) -> Result<Option<Verified<Target>>> {
        let mut search = set.search(path)?;
        while let Some(request) = search.request()? {
            let stored = self.store.read(&request.role.file_stem(), request.max_len).ok().flatten();
            let stored = stored.and_then(|raw| search.load_stored(&raw).ok());
            self.bring(stored, &request, |raw| search.update(raw)).await?;
        }
        Ok(search.finish()?)
    }

    async fn follow_roots(&self, set: &mut TrustedSet) -> Result<()> {
        while let Some(request) = set.root_request() {
            let Some(raw) = self.metadata.fetch_if_there(&request.name, request.max_len).await? else {
                break;
            };
            set.update_root(&raw)?;
            // Before the root is stored: a crash in between must not let the old ones live.
            if set.must_forget_stored() {
                self.forget_online_roles()?;
            }
            self.store.write("root", &raw)?;
        }
        Ok(())
    }

    fn forget_online_roles(&self) -> Result<()> {
        [RoleKind::Timestamp, RoleKind::Snapshot].iter().try_for_each(|kind| self.store.remove(kind.as_str()))
    }

    /// Fetches a role, lets it be verified and stores it, unless the stored copy is what the repository has.
    async fn bring(
        &self,
        stored: Option<Stored>,
        request: &Request,
        verify: impl FnOnce(&[u8]) -> Result<(), VerifyError>,
    ) -> Result<()> {
        if stored == Some(Stored::Current) {
            return Ok(());
        }
        let raw = self.metadata.fetch(&request.name, request.max_len).await?;
        verify(&raw)?;
        self.store.write(&request.role.file_stem(), &raw)
    }
}
