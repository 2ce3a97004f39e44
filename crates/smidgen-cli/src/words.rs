//! Words and numbers of the command line that need more than a `FromStr`.

use std::num::NonZeroUsize;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use smidgen_metadata::{Policy, Severity};

/// One of the severities; the help lists them.
pub(crate) fn severity() -> impl TypedValueParser<Value = Severity> {
    PossibleValuesParser::new(Severity::ALL.map(Severity::as_str)).try_map(|word| word.parse::<Severity>())
}

/// One of the policies; the help lists them.
pub(crate) fn policy() -> impl TypedValueParser<Value = Policy> {
    PossibleValuesParser::new(Policy::ALL.map(Policy::as_str)).try_map(|word| word.parse::<Policy>())
}

/// A span of time: a number with `s`, `m`, `h` or `d`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let refuse = || format!("found {text:?}, expected a number with s, m, h or d, such as 7d");
    let (number, seconds) = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((number, "s")) => (number, 1),
        Some((number, "m")) => (number, 60),
        Some((number, "h")) => (number, 60 * 60),
        Some((number, "d")) => (number, 24 * 60 * 60),
        _ => return Err(refuse()),
    };
    let number: u64 = number.parse().map_err(|_| refuse())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(refuse)
}

/// How many threads.
pub(crate) fn threads(text: &str) -> Result<NonZeroUsize, String> {
    text.parse().map_err(|_| format!("found {text:?}, expected a number of threads, 1 at least"))
}

/// A number of bytes, or of KiB, MiB, GiB with `K`, `M`, `G`.
pub(crate) fn byte_count(text: &str) -> Result<u64, String> {
    let refuse = || format!("found {text:?}, expected bytes as a number, or with K, M or G, such as 4G");
    let (number, unit) = match text.split_at_checked(text.len().saturating_sub(1)) {
        Some((number, "K")) => (number, 1 << 10),
        Some((number, "M")) => (number, 1 << 20),
        Some((number, "G")) => (number, 1 << 30),
        _ => (text, 1),
    };
    number.parse::<u64>().ok().and_then(|number| number.checked_mul(unit)).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_spans_of_time() {
        for (text, seconds) in [("7d", 604_800), ("12h", 43_200), ("5m", 300), ("30s", 30), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        for text in
            ["", "7", "d", "7w", "-1d", "7dd", "1.5h", "99999999999999999999d", "18446744073709551615d"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_numbers_of_threads() {
        assert_eq!(threads("1").map(NonZeroUsize::get), Ok(1));
        assert_eq!(threads("64").map(NonZeroUsize::get), Ok(64));
        for text in ["", "0", "-1", "many", "1.5"] {
            assert!(threads(text).is_err(), "{text}");
        }
    }

    #[test]
    fn reads_byte_counts() {
        for (text, bytes) in [("0", 0), ("1000", 1000), ("64K", 65_536), ("3M", 3 << 20), ("4G", 4 << 30)] {
            assert_eq!(byte_count(text), Ok(bytes));
        }
        for text in ["", "G", "4g", "4GB", "-1", "1.5G", "4GG", "18446744073709551615G"] {
            assert!(byte_count(text).is_err(), "{text}");
        }
    }
}
