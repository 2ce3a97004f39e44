//! The whole command line: global flags and one variant for each command.

use anyhow::Result;
use clap::error::{ContextKind, ContextValue};
use clap::{ArgAction, Args, CommandFactory as _, Parser, Subcommand};

use crate::commands::{
    apply, completions, diff, doctor, gc, gen_deltas, init, inspect, key, man, product, prove, publish,
    resign, serve, status, update, verify, withdraw,
};
use crate::exit::Exit;
use crate::logging::LogFormat;
use crate::screen::{Screen, Style};

/// Delivers software updates in the fewest bytes that can be trusted.
#[derive(Debug, Parser)]
#[command(name = "smidgen", version, max_term_width = 100, after_help = exit_codes())]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What every command understands.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub(crate) struct Global {
    /// Print one JSON document on standard output, errors included.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// No progress on standard error.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Log more to standard error; twice for even more. SMIDGEN_LOG overrules it.
    #[arg(long, short, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// How log lines are written.
    #[arg(long, global = true, value_enum, default_value = "text", value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

impl Global {
    pub(crate) fn style(&self) -> Style {
        Style { json: self.json, quiet: self.quiet }
    }
}

/// What the program can do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(init::Init),
    Publish(publish::Publish),
    Product(product::Product),
    GenDeltas(gen_deltas::GenDeltas),
    Withdraw(withdraw::Withdraw),
    Gc(gc::Gc),
    Verify(verify::Verify),
    Resign(resign::Resign),
    Doctor(doctor::Doctor),
    Key(key::Key),
    Serve(serve::Serve),
    Update(update::Update),
    Status(status::StatusCommand),
    Diff(diff::Diff),
    Apply(apply::Apply),
    Prove(prove::Prove),
    Inspect(inspect::Inspect),
    Completions(completions::Completions),
    Man(man::Man),
}

impl Command {
    /// Runs the command to its end.
    pub(crate) fn run(&self, screen: &Screen) -> Result<Exit> {
        match self {
            Self::Init(command) => command.run(screen),
            Self::Publish(command) => command.run(screen),
            Self::Product(command) => command.run(screen),
            Self::GenDeltas(command) => command.run(screen),
            Self::Withdraw(command) => command.run(screen),
            Self::Gc(command) => command.run(screen),
            Self::Verify(command) => command.run(screen),
            Self::Resign(command) => command.run(screen),
            Self::Doctor(command) => command.run(screen),
            Self::Key(command) => command.run(screen),
            Self::Serve(command) => command.run(screen),
            Self::Update(command) => command.run(screen),
            Self::Status(command) => command.run(screen),
            Self::Diff(command) => command.run(screen),
            Self::Apply(command) => command.run(screen),
            Self::Prove(command) => command.run(),
            Self::Inspect(command) => command.run(screen),
            Self::Completions(command) => command.run(screen),
            Self::Man(command) => command.run(screen),
        }
    }

    /// What is logged when neither `-v` nor the environment says otherwise.
    pub(crate) fn log_filter(&self, verbose: u8) -> &'static str {
        match verbose {
            // The access log is what a server is watched by.
            0 if matches!(self, Self::Serve(_)) => "warn,smidgen_server=info,smidgen::access=info",
            // How an update ended is the program's to tell.
            0 => "warn,smidgen_client::client=error",
            1 => "info",
            2 => "debug",
            _ => "trace",
        }
    }
}

/// The command line as clap sees it, for completions and man pages.
pub(crate) fn definition() -> clap::Command {
    Arguments::command()
}

/// The same refusal; of commands it lists those that the help lists.
pub(crate) fn without_hidden(mut refusal: clap::Error) -> clap::Error {
    let definition = definition();
    let is_listed =
        |name: &&String| definition.find_subcommand(name).is_none_or(|command| !command.is_hide_set());
    if let Some(ContextValue::Strings(names)) = refusal.get(ContextKind::ValidSubcommand) {
        let listed = names.iter().filter(is_listed).cloned().collect();
        refusal.insert(ContextKind::ValidSubcommand, ContextValue::Strings(listed));
    }
    refusal
}

fn exit_codes() -> String {
    let mut help = "Exit codes:\n".to_owned();
    for exit in Exit::ALL {
        help.push_str(&format!("  {}  {}\n", exit.number(), exit.meaning()));
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `smidgen ...` lines below "Examples:" in a command's help, continuation lines joined.
    fn examples(command: &clap::Command) -> Vec<String> {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        help.replace("\\\n", " ")
            .lines()
            .filter_map(|line| line.trim().strip_prefix("$ ").map(str::to_owned))
            .collect()
    }

    /// Splits as a shell does, as far as our examples go: at spaces outside of double quotes.
    fn words(line: &str) -> Vec<String> {
        let parts = line.split('"').enumerate();
        parts
            .flat_map(|(index, part)| match index % 2 {
                0 => part.split_whitespace().map(str::to_owned).collect(),
                _ => vec![part.to_owned()],
            })
            .collect()
    }

    #[test]
    fn definition_is_sound() {
        definition().debug_assert();
    }

    fn check_examples(command: &clap::Command) {
        for example in examples(command) {
            let words = words(&example).into_iter().take_while(|word| word != ">");
            if let Err(error) = Arguments::try_parse_from(words) {
                panic!("the help of `{}` shows `{example}`: {error}", command.get_name());
            }
        }
        command.get_subcommands().for_each(check_examples);
    }

    #[test]
    fn every_command_has_examples_that_parse() {
        for command in definition().get_subcommands() {
            assert!(!examples(command).is_empty(), "`{}` has no example in its help", command.get_name());
            check_examples(command);
        }
    }

    #[test]
    fn exit_codes_are_numbered_without_gaps() {
        for (index, exit) in Exit::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(exit.number()), index);
        }
    }
}
