//! Last step: switches to the new build by one rename, and keeps the old one.

use std::sync::Arc;

use crate::blocking_work::off_loop;
use crate::client::Client;
use crate::error::{Error, InstalledError, StorageError};
use crate::folder::Folder;
use crate::leftovers;
use crate::observer::Event;
use crate::plan::Plan;
use crate::report::Activated;
use crate::stage::Staged;
use crate::state::{Build, State};

impl Client {
    /// Switches to the staged build. The rename is the switch: before it the old build is installed, after it the new
    /// one, and a crash at any moment leaves one of the two. The old build is kept below `.smidgen/builds`.
    ///
    /// # Errors
    /// Whatever stopped it before the rename; the old build is installed then. What fails after it (making the switch
    /// durable, writing the state) is a warning with the code `switch_not_recorded`: the new build is installed, and the
    /// next check recognises it and sets the state right.
    pub async fn activate(&self, staged: Staged) -> Result<Activated, Error> {
        let (folder, observer) = (self.folder.clone(), Arc::clone(&self.observer));
        off_loop("activating", move || {
            let plan = &staged.plan;
            require_unchanged(&folder, plan)?;
            let kept = keep_installed(&folder, plan)?;
            folder.rename(&staged.path, plan.installed_path())?;
            observer.event(&Event::Activated { version: &plan.release().version });
            match record(&folder, plan, kept.clone()) {
                Ok(state) => leftovers::clear(&folder, &state),
                Err(error) => {
                    tracing::warn!(code = "switch_not_recorded", "the switch is not recorded yet: {error}");
                }
            }
            Ok(Activated::of(&plan.target, plan.build(), plan.way(), kept))
        })
        .await
    }
}

/// The installed file is the one that this update began with; nobody else is to lose their work to the rename.
fn require_unchanged(folder: &Folder, plan: &Plan) -> Result<(), Error> {
    let path = plan.installed_path();
    let before = plan.target.installed.build();
    let now = folder.file_facts(path)?;
    let same = match (before, &now) {
        (None, None) => true,
        (Some((_, before)), Some(now)) => before.stamp == now.stamp && before.size == now.size,
        _ => false,
    };
    // Touched only, as by a backup: the digest decides.
    let expected = plan.target.installed.digest();
    if same || (now.is_some() && Some(folder.digest(path)?) == expected) {
        return Ok(());
    }
    let found = match now {
        Some(_) => folder.digest(path)?.to_string(),
        None => "missing".to_owned(),
    };
    let expected = expected.map_or_else(|| "nothing installed".to_owned(), |digest| digest.to_string());
    Err(InstalledError::Changed { path: path.to_owned(), found, expected }.into())
}

/// Gives the installed build a second name, under its digest, so that the rename does not lose it.
fn keep_installed(folder: &Folder, plan: &Plan) -> Result<Option<Build>, StorageError> {
    let Some((build, facts)) = plan.target.installed.build() else {
        return Ok(plan.target.state.previous.clone());
    };
    let kept = folder.layout.build(&build.digest);
    folder.remove(&kept)?;
    folder.keep(plan.installed_path(), &kept, facts.access)?;
    folder.sync_dir(&folder.layout.builds())?;
    Ok(Some(build))
}

/// Makes the switch durable, the new name first, and writes the state.
fn record(folder: &Folder, plan: &Plan, kept: Option<Build>) -> Result<State, Error> {
    folder.sync_dir(folder.layout.dir())?;
    folder.sync_dir(&folder.layout.builds())?;
    let facts = folder.file_facts(plan.installed_path())?;
    let mut state = plan.target.state.clone();
    state.installed = Some(plan.build());
    state.stamp = facts.map(|facts| facts.stamp).unwrap_or_default();
    state.previous = kept;
    state.store(folder)?;
    Ok(state)
}
