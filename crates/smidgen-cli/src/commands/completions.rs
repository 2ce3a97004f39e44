//! `smidgen completions`: teaches a shell the command line.

use anyhow::Result;
use clap::Args;
use clap_complete::Shell;
use serde::Serialize;

use crate::arguments;
use crate::exit::Exit;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  $ smidgen completions bash > ~/.local/share/bash-completion/completions/smidgen
  $ smidgen completions zsh > ~/.zfunc/_smidgen
  $ smidgen completions fish > ~/.config/fish/completions/smidgen.fish";

/// Print a shell's completion script
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Completions {
    /// The shell to write for.
    shell: Shell,
}

#[derive(Serialize)]
struct Report {
    shell: String,
    script: String,
}

impl Completions {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut arguments::definition(), "smidgen", &mut script);
        let report = Report { shell: self.shell.to_string(), script: String::from_utf8(script)? };
        screen.show(&report, |report| report.script.clone())?;
        Ok(Exit::Done)
    }
}
