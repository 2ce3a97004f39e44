//! Finds the releases of the line that is followed: in targets, or in the role that they are delegated to.

use std::collections::BTreeSet;

use smidgen_metadata::{BuildLine, Line, Stored, TrustedSet, Verified};

use crate::blocking_work::off_loop;
use crate::error::Error;
use crate::refresh::Refresh;
use crate::trust::TrustStore;

impl Refresh<'_> {
    /// Step 5.6.7 of the specification. Fetches only the roles on the way, and of those only what has changed.
    pub(crate) async fn find_line(
        &mut self,
        set: &TrustedSet,
        line: &BuildLine,
    ) -> Result<Option<Verified<Line>>, Error> {
        let mut search = set.search(line)?;
        let mut way = BTreeSet::new();
        let mut fetched = false;
        while let Some(wanted) = search.request()? {
            let (folder, role, max_len) = (self.folder.clone(), wanted.role.clone(), wanted.max_len);
            let stored =
                off_loop("reading metadata", move || Ok(TrustStore::load_role(&folder, &role, max_len)));
            let known = match stored.await? {
                Some(raw) => search.load_stored(&raw) == Ok(Stored::Current),
                None => false,
            };
            if !known {
                let raw = self.get_listed(&wanted).await?;
                search.update(&raw)?;
                let (folder, role) = (self.folder.clone(), wanted.role.clone());
                off_loop("storing metadata", move || Ok(TrustStore::store_role(&folder, &role, &raw)?))
                    .await?;
                fetched = true;
            }
            way.insert(wanted.role);
        }
        if fetched {
            let folder = self.folder.clone();
            off_loop("clearing up metadata", move || Ok(TrustStore::keep_roles(&folder, &way)?)).await?;
        }
        Ok(search.finish()?)
    }
}

/// The same from the store alone, for a look without a network.
pub(crate) fn stored_line(
    folder: &crate::folder::Folder,
    set: &TrustedSet,
    line: &BuildLine,
) -> Option<Verified<Line>> {
    let mut search = set.search(line).ok()?;
    while let Some(wanted) = search.request().ok()? {
        let raw = TrustStore::load_role(folder, &wanted.role, wanted.max_len)?;
        (search.load_stored(&raw) == Ok(Stored::Current)).then_some(())?;
    }
    search.finish().ok()?
}
