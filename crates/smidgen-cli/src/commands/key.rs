//! `smidgen key`: makes keys, and changes which keys a repository trusts.

mod draft;
mod generate;
mod list;
mod publish_root;
mod renew;
mod revoke;
mod rotate;
mod rotate_release;
mod sign_root;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::exit::Exit;
use crate::screen::Screen;

const EXAMPLES: &str = "\
A change of keys takes three steps, on as many machines as there are places of keys: rotate, revoke
or renew make the next root, unsigned; sign-root adds a signature where a root key is; publish-root
puts it in force. docs/keys.md goes through all of it.

Examples:
  $ smidgen key generate timestamp-2 --keys keys --encrypt
  $ smidgen key rotate repo timestamp --keys keys --out 2.root.json
  $ smidgen key sign-root 2.root.json --trusted 1.root.json --keys usb
  $ smidgen key publish-root repo 2.root.json --keys keys";

/// Make, list and change keys
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Generate(generate::Generate),
    List(list::List),
    Rotate(rotate::Rotate),
    RotateRelease(rotate_release::RotateRelease),
    Revoke(revoke::Revoke),
    Renew(renew::Renew),
    SignRoot(sign_root::SignRoot),
    PublishRoot(publish_root::PublishRoot),
}

impl Key {
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        match &self.command {
            Command::Generate(command) => command.run(screen),
            Command::List(command) => command.run(screen),
            Command::Rotate(command) => command.run(screen),
            Command::RotateRelease(command) => command.run(screen),
            Command::Revoke(command) => command.run(screen),
            Command::Renew(command) => command.run(screen),
            Command::SignRoot(command) => command.run(screen),
            Command::PublishRoot(command) => command.run(screen),
        }
    }
}
