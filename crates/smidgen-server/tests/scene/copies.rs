//! Copies of a repository to come back to, and whether one is sound.

use std::path::Path;

use smidgen_server::verify::{Weight, verify};

use super::Scene;

/// Makes `to` hold what `from` holds, and nothing else.
pub(crate) fn copy_all(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// Asserts that everything that is listed is there and right; `what` happened before.
pub(crate) async fn assert_sound(scene: &Scene, what: &str) {
    let report = verify(&scene.repository, &()).await;
    let faults: Vec<_> = report.findings.iter().filter(|finding| finding.weight == Weight::Fault).collect();
    assert!(faults.is_empty(), "{what}: {faults:#?}");
}
