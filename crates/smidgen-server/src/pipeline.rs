//! The release pipeline's entry: a manifest in, a published release out.
//!
//! What `cargo xtask gen-deltas` and `smidgen gen-deltas` do, for other projects' pipelines to call. All artifacts of the
//! manifest are encoded in parallel within a budget of processors and memory, and become visible in one step. Running
//! it again after a crash finishes the job; running it again after success changes nothing.

mod manifest;
mod table;

use std::fmt;

use serde::Serialize;
use smidgen_metadata::Name;

pub use manifest::{Artifact, Manifest, ManifestError};

use crate::Reporter;
use crate::keys::{Keys, KeysError};
use crate::publish::{PatchOutcome, PublishError, PublishOptions, PublishReport, publish_all};
use crate::repository::Repository;
use crate::store::StoreError;

/// What a pipeline run made.
#[derive(Clone, Debug, Serialize)]
pub struct DeltaReport {
    /// One for each artifact, in the manifest's order.
    pub artifacts: Vec<PublishReport>,
    /// The same as a table: one row for each pair of builds, and one for each artifact that has none.
    pub rows: Vec<DeltaRow>,
}

/// One pair of builds in numbers.
#[derive(Clone, Debug, Serialize)]
pub struct DeltaRow {
    /// The artifact's name.
    pub name: String,
    /// Architecture and operating system.
    pub platform: Name,
    /// Version of the old build; `None`: there is none to start from.
    pub old_version: Option<String>,
    /// Version of the new build.
    pub new_version: Name,
    /// Bytes of the full copy, if the release is listed.
    pub full_size: Option<u64>,
    /// Bytes of the patch; `None`: the full copy is all there is.
    pub patch_size: Option<u64>,
    /// Bytes that the patch saves a client.
    pub saved: u64,
    /// The codec that won.
    pub codec: Option<String>,
    /// Processor time of making and proving the patch, in seconds.
    pub cpu_seconds: f64,
    /// Upper bound of the bytes of memory that a client needs to apply the patch.
    pub apply_memory: u64,
    /// Bytes that the process which proved the patch had resident at most, in whole mebibytes; `None`: not measured.
    pub apply_peak: Option<u64>,
    /// Why there is no patch.
    pub reason: Option<String>,
}

/// A pipeline run that failed. Clients see what they saw before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The manifest cannot be used.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// The store cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A build was not published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// There is no runtime to work in.
    #[error("failed to start the runtime: {0}")]
    Runtime(std::io::Error),
}

impl PipelineError {
    /// The stable name of this error.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Manifest(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Keys(error) => error.code(),
            Self::Publish(error) => error.code(),
            Self::Runtime(_) => "runtime_failed",
        }
    }
}

/// Publishes everything that the manifest lists.
///
/// # Errors
/// [`PipelineError`]; what clients see was not changed.
pub async fn gen_deltas(
    manifest: &Manifest,
    repository: &Repository,
    keys: &Keys,
    options: &PublishOptions,
    reporter: &dyn Reporter,
) -> Result<DeltaReport, PipelineError> {
    let artifacts = publish_all(repository, keys, manifest.requests(), options, reporter).await?;
    let rows = artifacts.iter().flat_map(rows).collect();
    Ok(DeltaReport { artifacts, rows })
}

/// [`gen_deltas`] for callers without a runtime, as an xtask is.
///
/// # Errors
/// As [`gen_deltas`].
pub fn gen_deltas_blocking(
    manifest: &Manifest,
    repository: &Repository,
    keys: &Keys,
    options: &PublishOptions,
    reporter: &dyn Reporter,
) -> Result<DeltaReport, PipelineError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(PipelineError::Runtime)?;
    runtime.block_on(gen_deltas(manifest, repository, keys, options, reporter))
}

fn rows(report: &PublishReport) -> Vec<DeltaRow> {
    let row = DeltaRow {
        name: report.target.rsplit('/').next().unwrap_or_default().to_owned(),
        platform: report.line.platform.clone(),
        old_version: None,
        new_version: report.version.clone(),
        full_size: report.full_size,
        patch_size: None,
        saved: 0,
        codec: None,
        cpu_seconds: 0.0,
        apply_memory: 0,
        apply_peak: None,
        reason: None,
    };
    if report.patches.is_empty() {
        let reason = Some("there is no older build".to_owned());
        return vec![DeltaRow { reason, ..row }];
    }
    let with = |patch: &crate::publish::PatchReport| {
        let row = DeltaRow { old_version: Some(patch.old_version.clone()), ..row.clone() };
        match patch.outcome.clone() {
            PatchOutcome::Made { size, saved, codec, cpu_seconds, apply_memory, apply_peak } => DeltaRow {
                patch_size: Some(size),
                saved,
                codec: Some(codec),
                cpu_seconds,
                apply_memory,
                apply_peak,
                ..row
            },
            PatchOutcome::Skipped { reason } => DeltaRow { reason: Some(reason), ..row },
        }
    };
    report.patches.iter().map(with).collect()
}

/// The rows as a plain table, for logs.
impl fmt::Display for DeltaReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        table::write(&self.rows, f)
    }
}

/// The example of the documentation is compiled with the crate's tests.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/pipeline.md")]
struct Documentation;
