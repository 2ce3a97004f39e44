//! `smidgen key generate`: makes a key.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use serde::Serialize;
use smidgen_server::keys::{KeyName, Keys};

use super::draft::short;
use crate::exit::Exit;
use crate::key_folder::NewKeys;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Two files appear: NAME.pem, the secret (mode 0600), and NAME.pub, which may be shown to everybody and
which `key rotate --with` takes on another machine. A key is never overwritten.

Examples:
  $ smidgen key generate root-4 --keys usb --encrypt
  $ smidgen key generate timestamp-2 --keys keys --json";

/// Make a new key
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Generate {
    /// What it is called: lower-case letters, digits and hyphens.
    name: KeyName,
    #[command(flatten)]
    new: NewKeys,
}

#[derive(Serialize)]
struct Report<'a> {
    name: &'a KeyName,
    id: String,
    encrypted: bool,
    secret: PathBuf,
    public: PathBuf,
}

impl Generate {
    pub(super) fn run(&self, screen: &Screen) -> Result<Exit> {
        let context = || format!("failed to make the key {}", self.name);
        let protection = self.new.protection().with_context(context)?;
        let keys = Keys::make_folder(&self.new.keys, None).with_context(context)?;
        let public = keys.generate(&self.name, &protection).with_context(context)?;
        let secret = keys.path(&self.name);
        let report = Report {
            name: &self.name,
            id: public.id().to_string(),
            encrypted: self.new.encrypt,
            public: secret.with_extension("pub"),
            secret,
        };
        screen.show(&report, |report| {
            format!(
                "made the key {}, {}\nsecret: {}\npublic: {}\n",
                report.name,
                short(&report.id),
                report.secret.display(),
                report.public.display()
            )
        })?;
        Ok(Exit::Done)
    }
}
