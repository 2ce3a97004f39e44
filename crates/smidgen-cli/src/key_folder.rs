//! The folder of keys on the command line, and where passphrases come from: never from the command line itself.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result};
use clap::Args;
use smidgen_server::keys::{KeyName, Keys, Passphrases, Protection};
use smidgen_server::store::Store;
use zeroize::Zeroizing;

use crate::exit::Exit;
use crate::failure::Problem;

/// The variable that holds the passphrase where nobody sits at a terminal.
const VARIABLE: &str = "SMIDGEN_PASSPHRASE";
/// A passphrase is a line, not a file.
const MAX_PASSPHRASE: u64 = 4096;

/// Which keys to use, and how to open them.
#[derive(Args, Clone, Debug)]
pub(crate) struct KeyFolder {
    /// The folder of the repository's secret keys.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFile,
}

/// Where new keys go, and how they are kept.
#[derive(Args, Clone, Debug)]
pub(crate) struct NewKeys {
    /// The folder of keys; made when missing, never inside a repository.
    #[arg(long, value_name = "DIR")]
    pub(crate) keys: PathBuf,
    /// Encrypt new keys with a passphrase.
    #[arg(long)]
    pub(crate) encrypt: bool,
    #[command(flatten)]
    pub(crate) passphrase: PassphraseFile,
}

/// Where the passphrase of encrypted keys is read from.
#[derive(Args, Clone, Debug)]
pub(crate) struct PassphraseFile {
    /// Read the passphrase of encrypted keys from the first line of FILE, instead of from SMIDGEN_PASSPHRASE or the
    /// terminal.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl KeyFolder {
    /// The keys, for the repository in `store`.
    pub(crate) fn open(&self, store: &Store) -> Result<Keys> {
        Ok(Keys::open(&self.keys, store)?.with_passphrases(self.passphrase.source()))
    }

    /// The keys, on a machine without the repository.
    pub(crate) fn open_offline(&self) -> Result<Keys> {
        Ok(Keys::open_offline(&self.keys)?.with_passphrases(self.passphrase.source()))
    }
}

impl NewKeys {
    /// With a passphrase that was given or is asked for twice, or as they are.
    pub(crate) fn protection(&self) -> Result<Protection> {
        self.passphrase.protection(self.encrypt)
    }
}

impl PassphraseFile {
    pub(crate) fn source(&self) -> Arc<dyn Passphrases> {
        Arc::new(Asked { file: self.passphrase_file.clone(), known: Mutex::default() })
    }

    /// How new keys are kept: with a passphrase that was given or is asked for twice, or as they are.
    pub(crate) fn protection(&self, encrypt: bool) -> Result<Protection> {
        if !encrypt {
            return Ok(Protection::None);
        }
        let passphrase = match given(self.passphrase_file.as_deref())? {
            Some(passphrase) => passphrase,
            None => ask_twice()?,
        };
        if passphrase.is_empty() {
            let message = "an empty passphrase protects nothing; give one, or leave out --encrypt";
            return Err(Problem::new(Exit::Usage, "empty_passphrase", message).into());
        }
        Ok(Protection::Passphrase(passphrase))
    }
}

/// Asks once for each key, and remembers.
struct Asked {
    file: Option<PathBuf>,
    known: Mutex<BTreeMap<KeyName, Zeroizing<String>>>,
}

impl std::fmt::Debug for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Asked").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Passphrases for Asked {
    fn passphrase(&self, name: &KeyName, path: &Path) -> Result<Zeroizing<String>, String> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(passphrase) = known.get(name) {
            return Ok(passphrase.clone());
        }
        let passphrase = match given(self.file.as_deref()).map_err(|error| format!("{error:#}"))? {
            Some(passphrase) => passphrase,
            None => ask(&format!("Passphrase of {}: ", path.display()))?,
        };
        known.insert(name.clone(), passphrase.clone());
        Ok(passphrase)
    }
}

/// The passphrase from the file or the environment, if there is one.
fn given(file: Option<&Path>) -> Result<Option<Zeroizing<String>>> {
    if let Some(file) = file {
        return read(file).with_context(|| format!("failed to read {}", file.display())).map(Some);
    }
    match std::env::var(VARIABLE) {
        Ok(passphrase) => Ok(Some(Zeroizing::new(passphrase))),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("failed to read {VARIABLE}")),
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(MAX_PASSPHRASE)? + 1));
    let file = std::fs::File::open(path)?;
    refuse_exposed(&file, path)?;
    file.take(MAX_PASSPHRASE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_PASSPHRASE {
        anyhow::bail!("it has more than {MAX_PASSPHRASE} bytes, which is no passphrase");
    }
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}

#[cfg(unix)]
fn refuse_exposed(file: &std::fs::File, path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = file.metadata()?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    let message = format!("{0} can be read by others (mode {mode:03o}): chmod 600 {0}", path.display());
    Err(Problem::new(Exit::Failed, "passphrase_exposed", message).into())
}

#[cfg(not(unix))]
fn refuse_exposed(_: &std::fs::File, _: &Path) -> Result<()> {
    Ok(())
}

fn ask(prompt: &str) -> Result<Zeroizing<String>, String> {
    if !std::io::stdin().is_terminal() {
        return Err(format!(
            "nobody gave its passphrase: set {VARIABLE}, use --passphrase-file, or sit at a terminal"
        ));
    }
    rpassword::prompt_password(prompt)
        .map(Zeroizing::new)
        .map_err(|error| format!("its passphrase could not be asked for: {error}"))
}

fn ask_twice() -> Result<Zeroizing<String>> {
    let missing = |reason| Problem::new(Exit::Failed, "no_passphrase", reason);
    let passphrase = ask("Passphrase of the new key: ").map_err(missing)?;
    let again = ask("The same again: ").map_err(missing)?;
    if passphrase != again {
        return Err(Problem::new(Exit::Failed, "passphrases_differ", "the two passphrases differ").into());
    }
    Ok(passphrase)
}
