//! The local file system: what a disk in memory only claims to do.

use std::path::Path;
use std::process::Command;

use smidgen_client::storage::Storage;
use smidgen_client::{Client, Config, Disk, Kind, Severity};
use smidgen_testkit::{Damage, FaultyDisk, Program};

use crate::site::Site;

fn config(site: &Site, dir: &Path) -> Config {
    let mut config = site.config();
    dir.clone_into(&mut config.dir);
    config
}

/// A client on the local disk.
fn client(site: &Site, dir: &Path, disk: impl Storage + 'static) -> Client {
    site.client_with(config(site, dir), disk)
}

#[tokio::test]
async fn installs_updates_and_keeps_mode_and_build() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut site = Site::new();
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("deep/below/editor");
    let old = site.newest();
    assert_eq!(client(&site, &dir, Disk).update().await.unwrap().code(), "installed");
    let file = dir.join("editor");
    assert!(std::fs::read(&file).unwrap() == old);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o755);
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o750)).unwrap();
    let new = site.publish("1.1.0", Severity::Routine);
    let outcome = client(&site, &dir, Disk).update().await.unwrap();
    let smidgen_client::Outcome::Updated(report) = outcome else { panic!("{outcome:?}") };
    assert!(std::fs::read(&file).unwrap() == new);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o750);
    let kept = dir.join(".smidgen/builds").join(report.previous.unwrap().digest.to_string());
    assert!(std::fs::read(kept).unwrap() == old);
    assert_eq!(client(&site, &dir, Disk).update().await.unwrap().code(), "up_to_date");
}

#[tokio::test]
async fn a_kill_at_any_step_leaves_old_or_new() {
    let mut site = Site::new();
    let root = tempfile::tempdir().unwrap();
    let old = site.newest();
    let base = root.path().join("base");
    client(&site, &base, Disk).update().await.unwrap();
    let new = site.publish("1.1.0", Severity::Routine);
    for at in 0.. {
        let dir = root.path().join(at.to_string());
        assert!(
            Command::new("cp")
                .args(["-rp".as_ref(), base.as_os_str(), dir.as_os_str()])
                .status()
                .unwrap()
                .success()
        );
        let faulty = FaultyDisk::new(Disk, at, Damage::Kill);
        let result = client(&site, &dir, faulty.clone()).update().await;
        let found = std::fs::read(dir.join("editor")).unwrap();
        assert!(found == old || found == new, "step {at}");
        client(&site, &dir, Disk).update().await.unwrap_or_else(|error| panic!("step {at}: {error}"));
        assert!(std::fs::read(dir.join("editor")).unwrap() == new, "step {at}");
        if !faulty.has_struck() {
            result.unwrap();
            break;
        }
        std::fs::remove_dir_all(dir).unwrap();
    }
}

#[tokio::test]
async fn locks_out_a_second_process() {
    let site = Site::new();
    let dir = tempfile::tempdir().unwrap();
    let first = client(&site, dir.path(), Disk);
    let check = first.check().await.unwrap();
    let error = client(&site, dir.path(), Disk).update().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("busy", Kind::Busy));
    drop(check);
    assert_eq!(first.update().await.unwrap().code(), "installed");
}

#[tokio::test]
async fn replaces_a_program_while_it_runs() {
    let mut site = Site::new();
    let dir = tempfile::tempdir().unwrap();
    let sleep = std::fs::read("/bin/sleep").unwrap();
    let line = site.line.clone();
    site.repository.patches = false;
    site.repository.publish(&line, "1.1.0", Severity::Routine, &sleep);
    site.mirror.serve(&site.repository);
    client(&site, dir.path(), Disk).update().await.unwrap();
    let mut running = Command::new(dir.path().join("editor")).arg("60").spawn().unwrap();
    let next = Program::seeded(8, 50).link();
    site.repository.publish(&line, "1.2.0", Severity::Routine, &next);
    site.mirror.serve(&site.repository);
    let outcome = client(&site, dir.path(), Disk).update().await;
    assert!(running.try_wait().unwrap().is_none(), "it runs on");
    running.kill().unwrap();
    running.wait().unwrap();
    assert_eq!(outcome.unwrap().code(), "updated");
    assert!(std::fs::read(dir.path().join("editor")).unwrap() == next);
}

#[tokio::test]
async fn a_link_is_not_followed() {
    let site = Site::new();
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("elsewhere"), b"precious").unwrap();
    std::os::unix::fs::symlink("elsewhere", dir.path().join("editor")).unwrap();
    let error = client(&site, dir.path(), Disk).update().await.unwrap_err();
    assert_eq!(error.code(), "not_a_file");
    assert_eq!(std::fs::read(dir.path().join("elsewhere")).unwrap(), b"precious");
}

/// A file system of our own, mounted where the machine allows it. Elsewhere the same is tested on a disk in memory.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn tmpfs(dir: &'a Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(dir).unwrap();
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(dir).output();
        let mounted = mount.is_ok_and(|output| output.status.success());
        if !mounted {
            eprintln!("not tested here: this user may not mount; the same runs on a disk in memory");
        }
        mounted.then_some(Self(dir))
    }

    fn remount(&self, option: &str) -> bool {
        let options = format!("remount,{option}");
        Command::new("mount").args(["-o", &options]).arg(self.0).status().is_ok_and(|status| status.success())
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[tokio::test]
async fn a_disk_that_is_really_full() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("small");
    let Some(_mounted) = Mounted::tmpfs(&dir, "size=256k") else { return };
    let mut site = Site::new();
    let mut config = config(&site, &dir);
    config.limits.spare_space = 0;
    let old = site.newest();
    site.client_with(config.clone(), Disk).update().await.unwrap();
    let line = site.line.clone();
    site.repository.publish(&line, "2.0.0", Severity::Routine, &Program::seeded(4, 4000).link());
    site.mirror.serve(&site.repository);
    for disk in [false, true] {
        let client = match disk {
            // Told by statvfs before a byte is fetched.
            true => site.client_with(config.clone(), Disk),
            // Told by the write that does not fit.
            false => site.client_with(config.clone(), FaultyDisk::new(Disk, 0, Damage::ClaimSpace)),
        };
        let error = client.update().await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("disk_full", Kind::DiskFull), "{error}");
        assert!(std::fs::read(dir.join("editor")).unwrap() == old);
    }
}

#[test]
fn room_on_a_disk_is_set_aside_before_it_is_written() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("small");
    let Some(_mounted) = Mounted::tmpfs(&dir, "size=256k") else { return };
    let mut file = Disk.create(&dir.join("build")).unwrap();
    let error = file.reserve(1 << 20).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    file.reserve(200_000).unwrap();
    assert!(Disk.space(&dir).unwrap() < 80_000, "others find it gone");
    file.write_all(b"short").unwrap();
    assert_eq!(Disk.facts(&dir.join("build")).unwrap().unwrap().size, 5);
}

#[tokio::test]
async fn a_disk_that_is_really_read_only() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("sealed");
    let Some(mounted) = Mounted::tmpfs(&dir, "size=4m") else { return };
    let mut site = Site::new();
    let mut config = config(&site, &dir);
    config.limits.spare_space = 0;
    let old = site.newest();
    site.client_with(config.clone(), Disk).update().await.unwrap();
    let new = site.publish("1.1.0", Severity::Routine);
    assert!(mounted.remount("ro"));
    let client = site.client_with(config, Disk);
    let error = client.update().await.unwrap_err();
    assert_eq!((error.code(), error.kind()), ("not_permitted", Kind::NotPermitted), "{error}");
    assert_eq!(client.status().unwrap().installed.unwrap().version, "1.0.0");
    assert!(std::fs::read(dir.join("editor")).unwrap() == old);
    assert!(mounted.remount("rw"));
    assert_eq!(client.update().await.unwrap().code(), "updated");
    assert!(std::fs::read(dir.join("editor")).unwrap() == new);
}
