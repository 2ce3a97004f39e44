//! How a failed command is told: a stable code, an exit code, one message, and each cause once.

mod verdict;

use std::fmt::Write as _;

use serde::Serialize;
use verdict::Verdict;

use crate::exit::Exit;

/// A failure that the program itself found, before or after the libraries did their part.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Problem {
    code: &'static str,
    exit: Exit,
    message: String,
}

impl Problem {
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { code, exit, message: message.into() }
    }
}

/// A failed command, ready to be told to people and to scripts.
pub(crate) struct Failure {
    code: &'static str,
    pub(crate) exit: Exit,
    message: String,
    causes: Vec<String>,
}

/// The JSON document of a failed command.
#[derive(Serialize)]
pub(crate) struct Document<'a> {
    error: DocumentError<'a>,
}

#[derive(Serialize)]
struct DocumentError<'a> {
    code: &'a str,
    exit_code: u8,
    message: &'a str,
    causes: &'a [String],
}

impl Failure {
    /// Reads code and exit from the first error in the chain that knows them.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        let verdict = error.chain().find_map(Verdict::on).unwrap_or(Verdict::UNKNOWN);
        let (message, causes) = told_once(error.chain().map(ToString::to_string));
        Self { code: verdict.code, exit: verdict.exit, message, causes }
    }

    /// A command line that clap refused; its own text already says what is wrong and how to ask for help.
    pub(crate) fn usage(error: &clap::Error) -> Self {
        let text = error.render().to_string();
        let message = text.trim().trim_start_matches("error: ").to_owned();
        Self { code: "usage", exit: Exit::Usage, message, causes: Vec::new() }
    }

    /// The lines for standard error.
    pub(crate) fn text(&self, colour: bool) -> String {
        let (red, plain) = if colour { ("\x1b[1;31m", "\x1b[0m") } else { ("", "") };
        let mut text = format!("{red}error[{}]{plain}: {}\n", self.code, self.message);
        for cause in &self.causes {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  because: {cause}");
        }
        text
    }

    /// The document for standard output.
    pub(crate) fn document(&self) -> Document<'_> {
        Document {
            error: DocumentError {
                code: self.code,
                exit_code: self.exit.number(),
                message: &self.message,
                causes: &self.causes,
            },
        }
    }
}

/// Some errors quote their source in their own message; a text that was already said is not said again.
fn told_once(chain: impl Iterator<Item = String>) -> (String, Vec<String>) {
    let mut told: Vec<String> = Vec::new();
    for text in chain {
        if !told.iter().any(|earlier| earlier.contains(&text)) {
            told.push(text);
        }
    }
    let mut told = told.into_iter();
    (told.next().unwrap_or_default(), told.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_each_cause_once() {
        let root = anyhow::anyhow!("disk is on fire")
            .context("store failed: disk is on fire")
            .context("failed to publish");
        let failure = Failure::of(&root);
        assert_eq!(failure.message, "failed to publish");
        assert_eq!(failure.causes, ["store failed: disk is on fire"]);
    }

    #[test]
    fn reads_code_and_exit_from_the_chain() {
        let error = anyhow::Error::new(std::io::Error::from(std::io::ErrorKind::StorageFull))
            .context("failed to apply");
        let failure = Failure::of(&error);
        assert_eq!((failure.code, failure.exit), ("disk_full", Exit::Refused));
    }

    #[test]
    fn paints_only_when_asked() {
        let failure = Failure::of(&Problem::new(Exit::Failed, "odd", "failed to be even").into());
        assert_eq!(failure.text(false), "error[odd]: failed to be even\n");
        assert!(failure.text(true).contains("\x1b["));
    }
}
