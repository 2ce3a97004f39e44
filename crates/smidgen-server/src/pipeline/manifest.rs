//! `release.toml`: what a release consists of.

use std::path::{Path, PathBuf};

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use smidgen_metadata::{Name, PluginRelease, Severity};

use crate::publish::PublishRequest;

/// The release manifest.
///
/// ```toml
/// product = "editor"
/// channel = "stable"
/// version = "4.12.1"
/// severity = "important"
/// notes = "Closes a hole in the markdown preview."
///
/// [[artifact]]
/// path = "target/release/editor"      # relative to this file
/// platform = "x86_64-linux"
/// plugins = ["markdown@1.3.1:important", "spell@2.0.0"]
/// name = "editor"                     # default: the file's name
/// mode = "755"                        # default: the file's mode
/// ```
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// What is shipped.
    pub product: Name,
    /// The named sequence of releases; `stable` when left out.
    #[serde(default = "stable")]
    pub channel: Name,
    /// What people call the release.
    pub version: Name,
    /// How much the release matters: `routine` (when left out), `feature`, `important` or `critical`.
    #[serde(default)]
    pub severity: Severity,
    /// For people: what is new.
    pub notes: Option<String>,
    /// The builds.
    #[serde(rename = "artifact", default)]
    pub artifacts: Vec<Artifact>,
}

/// One build of the release.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Artifact {
    /// The file, relative to the manifest's folder.
    pub path: PathBuf,
    /// Architecture and operating system, such as `x86_64-linux`.
    pub platform: Name,
    /// The plugins in this build, each `NAME@VERSION[:SEVERITY]`.
    #[serde(default, deserialize_with = "plugins")]
    pub plugins: Vec<PluginRelease>,
    /// The name that clients install it under; the file's own when left out.
    pub name: Option<Name>,
    /// Permission bits of the installed file, in octal; the file's own when left out. Pipelines that pass builds from job to
    /// job often lose them.
    #[serde(default, deserialize_with = "mode")]
    pub mode: Option<u32>,
}

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("failed to read {path}: {source}")]
    Unreadable {
        /// The manifest.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The text is not a manifest.
    #[error("{path} is not a release manifest: {reason}")]
    Malformed {
        /// The manifest.
        path: String,
        /// Place and fault.
        reason: String,
    },
    /// No artifact is listed.
    #[error("{path} lists no artifact: add an [[artifact]] with path and platform")]
    Empty {
        /// The manifest.
        path: String,
    },
}

impl ManifestError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "manifest_unreadable",
            Self::Malformed { .. } | Self::Empty { .. } => "manifest_malformed",
        }
    }
}

fn stable() -> Name {
    const STABLE: &str = "stable";
    Name::try_from(STABLE).unwrap_or_else(|_| unreachable!("{STABLE} is a name"))
}

fn plugins<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<PluginRelease>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
}

fn mode<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let text = String::deserialize(deserializer)?;
    match u32::from_str_radix(&text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(Some(mode)),
        _ => Err(D::Error::custom(format!(
            "found the mode {text:?}, expected three octal digits such as \"755\""
        ))),
    }
}

impl Manifest {
    /// Reads the manifest at `path` and makes the artifacts' paths relative to the working folder.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| ManifestError::Unreadable { path: name.clone(), source })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse(&text, folder, &name)
    }

    /// Reads a manifest from `text`; `folder` is what artifacts' paths are relative to, `name` is for messages.
    pub fn parse(text: &str, folder: &Path, name: &str) -> Result<Self, ManifestError> {
        let mut manifest: Self = toml::from_str(text)
            .map_err(|error| ManifestError::Malformed { path: name.into(), reason: error.to_string() })?;
        if manifest.artifacts.is_empty() {
            return Err(ManifestError::Empty { path: name.into() });
        }
        for artifact in &mut manifest.artifacts {
            artifact.path = folder.join(&artifact.path);
        }
        Ok(manifest)
    }

    /// One request for each artifact.
    pub fn requests(&self) -> Vec<PublishRequest> {
        let request = |artifact: &Artifact| PublishRequest {
            file: artifact.path.clone(),
            name: artifact.name.clone(),
            mode: artifact.mode,
            product: self.product.clone(),
            channel: self.channel.clone(),
            platform: artifact.platform.clone(),
            version: self.version.clone(),
            severity: self.severity,
            plugins: artifact.plugins.clone(),
            notes: self.notes.clone(),
        };
        self.artifacts.iter().map(request).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "product = \"editor\"\nversion = \"4.12.1\"\n";

    fn parse(rest: &str) -> Result<Manifest, ManifestError> {
        Manifest::parse(&format!("{HEAD}{rest}"), Path::new("/home/me"), "release.toml")
    }

    #[test]
    fn reads_what_the_documentation_shows() {
        let documentation = include_str!("../../../../docs/pipeline.md");
        let (_, rest) = documentation.split_once("```toml\n").unwrap();
        let (text, _) = rest.split_once("```").unwrap();
        let manifest = Manifest::parse(text, Path::new("/src"), "release.toml").unwrap();
        let requests = manifest.requests();
        assert_eq!(requests.len(), 2);
        assert_eq!(requests[0].file, Path::new("/src/dist/x86_64-linux/editor"));
        assert_eq!(requests[0].severity, Severity::Important);
        assert_eq!(requests[0].plugins[0].to_string(), "markdown@1.3.1:important");
        assert_eq!(requests[0].mode, Some(0o755));
        assert_eq!(requests[1].name.as_deref(), Some("editor"));
    }

    #[test]
    fn leaves_out_what_has_a_default() {
        let manifest = parse("[[artifact]]\npath = \"editor\"\nplatform = \"x86_64-linux\"").unwrap();
        let request = &manifest.requests()[0];
        assert_eq!(request.channel.as_str(), "stable");
        assert_eq!(request.severity, Severity::Routine);
        assert_eq!((request.mode, &request.name, &request.notes), (None, &None, &None));
        assert_eq!(request.file, Path::new("/home/me/editor"));
    }

    #[test]
    fn says_where_and_what_is_wrong() {
        let artifact = "[[artifact]]\npath = \"editor\"\nplatform = \"x86_64-linux\"\n";
        for (rest, part) in [
            ("", "lists no artifact"),
            (&format!("severity = \"grave\"\n{artifact}"), "line 3"),
            (&format!("colour = \"red\"\n{artifact}"), "colour"),
            (&format!("{artifact}plugins = [\"spell\"]"), "NAME@VERSION"),
            (&format!("{artifact}mode = \"4755\""), "expected three octal digits"),
            (&format!("{artifact}name = \"../editor\""), "../editor"),
        ] {
            let error = parse(rest).unwrap_err();
            assert_eq!(error.code(), "manifest_malformed");
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        let missing = Manifest::read(Path::new("/nonexistent/release.toml")).unwrap_err();
        assert_eq!(missing.code(), "manifest_unreadable");
    }
}
