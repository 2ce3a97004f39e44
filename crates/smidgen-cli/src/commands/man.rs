//! `smidgen man`: writes the manual pages.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::Args;
use serde::Serialize;

use crate::arguments;
use crate::exit::Exit;
use crate::screen::Screen;

const EXAMPLES: &str = "\
Examples:
  $ smidgen man /usr/local/share/man/man1";

/// Write a manual page for each command into a folder
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Man {
    /// The folder; created when missing.
    dir: PathBuf,
}

#[derive(Serialize)]
struct Report {
    pages: Vec<PathBuf>,
}

impl Man {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        let context = || format!("failed to write manual pages into {}", self.dir.display());
        std::fs::create_dir_all(&self.dir).with_context(context)?;
        let mut root = arguments::definition();
        root.build();
        let mut commands = vec![root.clone()];
        // The built-in `help` command says what each page says already.
        let is_for_people = |command: &&clap::Command| command.get_name() != "help" && !command.is_hide_set();
        commands.extend(root.get_subcommands().filter(is_for_people).cloned());
        let mut pages = Vec::new();
        for command in commands {
            let page = clap_mangen::Man::new(command);
            pages.push(page.generate_to(&self.dir).with_context(context)?);
        }
        screen.show(&Report { pages }, |report| {
            report.pages.iter().map(|page| format!("{}\n", page.display())).collect()
        })?;
        Ok(Exit::Done)
    }
}
