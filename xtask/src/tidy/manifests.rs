//! Rules about manifests: each dependency on somebody else's crate has its reason beside it.

use super::{Findings, TrackedFile};

/// Judges the manifests of the members; the root manifest only holds versions.
pub(super) fn judge(files: &[TrackedFile], findings: &mut Findings) {
    for file in files.iter().filter(|file| file.path.ends_with("/Cargo.toml")) {
        if let Some(text) = &file.text {
            judge_reasons(&file.path, text, findings);
        }
    }
}

fn judge_reasons(path: &str, text: &str, findings: &mut Findings) {
    let mut in_dependencies = false;
    let mut reasoned = false;
    for line in text.lines() {
        if line.starts_with('[') {
            in_dependencies = line.trim_end_matches(']').ends_with("dependencies");
            reasoned = false;
        } else if line.trim_start().starts_with('#') {
            reasoned = true;
        } else if let Some((name, _)) = line.split_once('=').filter(|_| in_dependencies) {
            let name = name.trim().trim_end_matches(".workspace");
            if !reasoned && !line.contains('#') && !name.starts_with("smidgen-") {
                findings.add(path, format!("`{name}` without a reason; write one in a comment above it"));
            }
            reasoned = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_a_dependency_without_a_reason() {
        let mut findings = Findings::default();
        let text = "[dependencies]\n# Why.\na = \"1\"\nb = \"1\"\nsmidgen-x = { path = \"x\" }\n[features]\nc = []\n";
        judge_reasons("crates/x/Cargo.toml", text, &mut findings);
        assert_eq!(
            findings.0,
            ["crates/x/Cargo.toml: `b` without a reason; write one in a comment above it"]
        );
    }
}
