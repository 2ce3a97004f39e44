//! What a pair's reference-aware patch must not exceed, what it aims at, and what a peer that is only quoted needs.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

/// Bytes of whole patches, set by hand beside the pair: nothing of it is measured here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Goals {
    pub(crate) must: u64,
    /// Does not bind.
    pub(crate) aim: u64,
    pub(crate) quoted: Quoted,
}

/// The smallest patch that was known before, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Quoted {
    pub(crate) peer: String,
    pub(crate) size: u64,
}

impl Goals {
    /// How many words [`Goals::parse`] takes for one pair, and what they are.
    pub(crate) const WORDS: [&str; 5] = ["ID", "MUST", "AIM", "PEER", "SIZE"];

    /// The goals of each pair by its id.
    pub(crate) fn parse(words: &[String]) -> Result<BTreeMap<String, Self>> {
        let mut goals = BTreeMap::new();
        for chunk in words.chunks_exact(Self::WORDS.len()) {
            let [id, must, aim, peer, size] = chunk else { continue };
            let bytes = |word: &String| {
                word.parse().with_context(|| format!("failed to understand {word:?} of the goals of {id:?}"))
            };
            let quoted = Quoted { peer: peer.clone(), size: bytes(size)? };
            goals.insert(id.clone(), Self { must: bytes(must)?, aim: bytes(aim)?, quoted });
        }
        Ok(goals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn understands_the_goals_of_several_pairs() {
        let goals = Goals::parse(&words("a 9 5 Zucchini 12 b 7 6 xdelta3 8")).expect("two of them");
        let quoted = Quoted { peer: "Zucchini".into(), size: 12 };
        assert_eq!(goals["a"], Goals { must: 9, aim: 5, quoted });
        assert_eq!(goals["b"].quoted.size, 8);
    }

    #[test]
    fn names_the_pair_and_the_word_that_is_no_number() {
        let error = Goals::parse(&words("a 9 few Zucchini 12")).expect_err("few is no number");
        assert!(error.to_string().contains("\"few\"") && error.to_string().contains("\"a\""), "{error:#}");
    }
}
