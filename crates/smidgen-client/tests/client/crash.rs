//! Killed, cut off or refused at every step on the disk: what is installed afterwards is the old build or the new one,
//! whole, and the next run finishes the job.

use std::io;

use smidgen_testkit::{Damage, FaultyDisk, MemoryDisk, PowerCut};

use crate::site::{Site, installed};

const CUTS: [PowerCut; 3] = [PowerCut::ProcessOnly, PowerCut::LosesUnsynced, PowerCut::KeepsNames];

/// Kills an update at every step, and updates again from what each kind of power cut leaves.
async fn kill_everywhere(site: &Site) -> usize {
    let old = site.installed_file();
    let new = site.newest();
    for at in 0.. {
        let disk = site.disk.copy();
        let faulty = FaultyDisk::new(disk.clone(), at, Damage::Kill);
        let result = site.client_on(faulty.clone()).update().await;
        if !faulty.has_struck() {
            assert!(disk.content(&installed()) == Some(new));
            result.unwrap();
            return at;
        }
        for cut in CUTS {
            let disk = disk.after(cut);
            let found = disk.content(&installed());
            assert!(found == old || found.as_ref() == Some(&new), "step {at}, {cut:?}: neither old nor new");
            let again = site.client_on(disk.clone()).update().await;
            let again = again.unwrap_or_else(|error| panic!("step {at}, {cut:?}: {}: {error}", error.code()));
            assert!(disk.content(&installed()).as_ref() == Some(&new), "step {at}, {cut:?}: {again:?}");
            assert_only_what_belongs_there(&disk, at);
        }
    }
    unreachable!("the loop ends with an update that nothing cut off")
}

/// After a finished update there is one kept build at most, and no download.
fn assert_only_what_belongs_there(disk: &MemoryDisk, at: usize) {
    use smidgen_client::storage::Storage as _;
    let list = |dir| disk.list(&crate::site::own(dir)).unwrap();
    assert!(list("builds").len() <= 1, "step {at}: {:?}", list("builds"));
    assert_eq!(list("incoming"), Vec::<String>::new(), "step {at}");
}

#[tokio::test]
async fn a_crash_at_any_step_of_an_install_leaves_nothing_or_the_new_build() {
    let steps = kill_everywhere(&Site::new()).await;
    assert!(steps > 60, "only {steps} steps");
}

#[tokio::test]
async fn a_crash_at_any_step_of_an_update_leaves_the_old_or_the_new_build() {
    let site = Site::outdated().await;
    let steps = kill_everywhere(&site).await;
    assert!(steps > 60, "only {steps} steps");
}

#[tokio::test]
async fn a_crash_at_any_step_of_a_repair_leaves_the_changed_file_or_the_proven_build() {
    let site = Site::installed().await;
    let mut changed = site.installed_file().unwrap();
    changed[100] ^= 1;
    site.disk.put(&installed(), &changed, 0o755);
    kill_everywhere(&site).await;
}

#[tokio::test]
async fn a_step_that_fails_leaves_the_old_build_and_a_code() {
    let site = Site::outdated().await;
    let (old, new) = (site.installed_file(), site.newest());
    let kinds = [
        (io::ErrorKind::StorageFull, "disk_full"),
        (io::ErrorKind::PermissionDenied, "not_permitted"),
        (io::ErrorKind::Other, "storage_failed"),
    ];
    for (kind, code) in kinds {
        for at in 0.. {
            let disk = site.disk.copy();
            let faulty = FaultyDisk::new(disk.clone(), at, Damage::Fail(kind));
            let result = site.client_on(faulty.clone()).update().await;
            if !faulty.has_struck() {
                break;
            }
            let found = disk.content(&installed());
            match result {
                // Some steps have another way: a copy instead of a link, a full copy instead of a patch.
                Ok(_) => assert!(found.as_ref() == Some(&new), "step {at}"),
                Err(error) => {
                    assert!(found == old, "step {at}: {error}");
                    assert_eq!(error.code(), code, "step {at}: {error}");
                }
            }
            site.client_on(disk.clone()).update().await.unwrap_or_else(|error| panic!("step {at}: {error}"));
            assert!(disk.content(&installed()).as_ref() == Some(&new), "step {at}");
        }
    }
}
