//! `smidgen verify`: reads a whole repository and says what is wrong with it.

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_metadata::Name;
use smidgen_server::repository::Repository;
use smidgen_server::store::Store;
use smidgen_server::verify::{VerifyReport, Weight, verify};

use crate::exit::Exit;
use crate::publishing::Publishing;
use crate::quantity::{bytes, exact};
use crate::runtime;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Every signature, expiry, full copy and patch is checked; patches are applied. The exit code is 7
when a client could not be served; notes alone leave it at 0.

Examples:
  $ smidgen verify repo
  $ smidgen verify repo --json";

/// Check everything in a repository
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Verify {
    /// The repository: a folder or a URL.
    repo: String,
}

impl Verify {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let report = runtime::block_on(self.verify(screen))
            .with_context(|| format!("failed to verify {}", self.repo))?;
        screen.show(&report, text)?;
        Ok(if report.is_sound() { Exit::Done } else { Exit::Findings })
    }

    async fn verify(&self, screen: &Screen) -> Result<VerifyReport> {
        let repository = Repository::new(Store::open(&self.repo)?);
        Ok(verify(&repository, &Publishing::new(screen)).await)
    }
}

fn text(report: &VerifyReport) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let weight = match finding.weight {
            Weight::Fault => "fault",
            Weight::Note => "note",
        };
        text.push_str(&format!("{weight}[{}] {}: {}\n", finding.code, finding.key, finding.message));
    }
    let verdict = match report.findings.iter().filter(|finding| finding.weight == Weight::Fault).count() {
        0 => "sound".to_owned(),
        1 => "1 fault".to_owned(),
        faults => format!("{faults} faults"),
    };
    text.push_str(&format!(
        "{}: {verdict}; read {} files ({}), {} releases, applied {} of {} patches\n",
        report.repository.as_ref().map_or("repository", Name::as_str),
        exact(report.files as u64),
        bytes(report.bytes),
        report.releases,
        report.applied,
        report.patches,
    ));
    text
}
