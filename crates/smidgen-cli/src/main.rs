//! The `smidgen` program: publishes, serves and installs updates; a thin hull around the libraries.

mod arguments;
mod commands;
mod exit;
mod failure;
mod input;
mod key_folder;
mod logging;
mod new_file;
mod progress;
mod publishing;
mod quantity;
mod runtime;
mod screen;
mod updating;
mod words;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser as _;
use clap::error::ErrorKind;

use crate::arguments::{Arguments, without_hidden};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::screen::{OutputClosed, Screen, Style};

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return refuse(&without_hidden(error)).into(),
    };
    let screen = Screen::new(arguments.global.style());
    match run(&arguments, &screen) {
        Ok(exit) => exit.into(),
        // A reader that closed the pipe has seen enough.
        Err(error) if error.is::<OutputClosed>() => Exit::Done.into(),
        Err(error) => {
            let failure = Failure::of(&error);
            screen.fail(&failure);
            failure.exit.into()
        }
    }
}

fn run(arguments: &Arguments, screen: &Screen) -> Result<Exit> {
    let global = &arguments.global;
    logging::start(arguments.command.log_filter(global.verbose), global.log_format, screen.bars())?;
    arguments.command.run(screen)
}

/// `--help` and `--version` arrive here as well: clap reports them as errors that belong on standard output.
fn refuse(error: &clap::Error) -> Exit {
    let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let json = std::env::args_os().skip(1).take_while(|word| word != "--").any(|word| word == "--json");
    if json && !asked {
        Screen::new(Style { json, quiet: false }).fail(&Failure::usage(error));
    } else {
        // Nothing is left to be done when help cannot be written.
        let _ = error.print();
    }
    if asked { Exit::Done } else { Exit::Usage }
}
