//! The pairs of files that are measured, as the arguments name them.

use std::path::Path;

use anyhow::{Result, bail};

/// All pairs, and which of them are wanted.
#[derive(clap::Args)]
pub(crate) struct Pairs {
    /// A pair: its id, what it is, the old file, the new file.
    #[arg(long = "pair", num_args = 4, value_names = ["ID", "ABOUT", "OLD", "NEW"], required = true)]
    pairs: Vec<String>,
    /// Measure only these pairs; of the others, what an earlier run kept stays.
    #[arg(long, value_name = "ID", num_args = 1..)]
    only: Vec<String>,
}

/// Two builds of one program.
pub(crate) struct Pair<'a> {
    pub(crate) id: &'a str,
    pub(crate) about: &'a str,
    pub(crate) old: &'a Path,
    pub(crate) new: &'a Path,
}

impl Pairs {
    fn all(&self) -> impl Iterator<Item = Pair<'_>> {
        self.pairs.chunks_exact(4).filter_map(|chunk| match chunk {
            [id, about, old, new] => Some(Pair { id, about, old: Path::new(old), new: Path::new(new) }),
            _ => None,
        })
    }

    /// The ids of all pairs.
    pub(crate) fn ids(&self) -> Vec<&str> {
        self.all().map(|pair| pair.id).collect()
    }

    /// The pairs to measure.
    ///
    /// # Errors
    /// If one is wanted that is none of them.
    pub(crate) fn chosen(&self) -> Result<Vec<Pair<'_>>> {
        let ids = self.ids();
        if let Some(unknown) = self.only.iter().find(|only| !ids.contains(&only.as_str())) {
            bail!("no pair is called {unknown:?}; there are {}", ids.join(", "));
        }
        let is_wanted =
            |pair: &Pair<'_>| self.only.is_empty() || self.only.iter().any(|only| only == pair.id);
        Ok(self.all().filter(is_wanted).collect())
    }
}
