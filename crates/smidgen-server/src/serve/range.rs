//! Range requests (RFC 9110, section 14): one range of bytes is served, everything else gets the whole file.

use std::ops::Range;

use axum::http::header::{HeaderMap, RANGE};

/// The part of a file that a request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Extent {
    /// All of it: no range, a range that is not understood, or more than one.
    Whole,
    /// These bytes, never empty.
    Part(Range<u64>),
    /// 416: a range that begins beyond the file's end.
    Unsatisfiable,
}

/// The extent that the `Range` field of a GET asks for in a file of `size` bytes.
///
/// Several ranges are answered with the whole file, as section 14.2 allows: no client of ours asks for them, and
/// overlapping ones are a known way to make a server work for nothing. What is malformed is ignored, like a unit other
/// than bytes.
pub(super) fn requested(headers: &HeaderMap, size: u64) -> Extent {
    let mut lines = headers.get_all(RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Extent::Whole };
    line.to_str().ok().and_then(|text| parse(text, size)).unwrap_or(Extent::Whole)
}

fn parse(text: &str, size: u64) -> Option<Extent> {
    let (unit, ranges) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    // Lists may hold empty elements (section 5.6.1).
    let mut ranges =
        ranges.split(',').map(|range| range.trim_matches([' ', '\t'])).filter(|range| !range.is_empty());
    let (Some(range), None) = (ranges.next(), ranges.next()) else { return None };
    let (first, last) = range.split_once('-')?;
    if first.is_empty() {
        return Some(last_bytes(number(last)?, size));
    }
    let first = number(first)?;
    let last = if last.is_empty() { u64::MAX } else { number(last)? };
    if last < first {
        return None;
    }
    if first >= size {
        return Some(Extent::Unsatisfiable);
    }
    Some(Extent::Part(first..last.saturating_add(1).min(size)))
}

fn last_bytes(count: u64, size: u64) -> Extent {
    match (count, size) {
        (0, _) => Extent::Unsatisfiable,
        // Satisfiable by section 14.1.2, but `Content-Range` has no way to say "nothing".
        (_, 0) => Extent::Whole,
        _ => Extent::Part(size.saturating_sub(count)..size),
    }
}

/// Digits only; a number that no file can reach counts as the largest.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn extent(text: &str, size: u64) -> Extent {
        let mut headers = HeaderMap::new();
        headers.insert(RANGE, HeaderValue::from_str(text).unwrap());
        requested(&headers, size)
    }

    #[test]
    fn reads_ranges_as_the_rfc_says() {
        use Extent::{Part, Unsatisfiable, Whole};
        let table = [
            ("bytes=0-499", 10_000, Part(0..500)),
            ("bytes=500-999", 10_000, Part(500..1000)),
            ("bytes=-500", 10_000, Part(9500..10_000)),
            ("bytes=9500-", 10_000, Part(9500..10_000)),
            ("bytes=0-0", 10_000, Part(0..1)),
            ("bytes=-1", 10_000, Part(9999..10_000)),
            ("bytes=9999-", 10_000, Part(9999..10_000)),
            ("bytes=9999-9999", 10_000, Part(9999..10_000)),
            ("BYTES=0-1", 10, Part(0..2)),
            ("bytes= 0-1 ", 10, Part(0..2)),
            ("bytes=,0-1,", 10, Part(0..2)),
            ("bytes=0-99", 10, Part(0..10)),
            ("bytes=-99", 10, Part(0..10)),
            ("bytes=0-99999999999999999999999999", 10, Part(0..10)),
            ("bytes=-99999999999999999999999999", 10, Part(0..10)),
            ("bytes=0-18446744073709551615", 10, Part(0..10)),
            ("bytes=10-", 10, Unsatisfiable),
            ("bytes=10-20", 10, Unsatisfiable),
            ("bytes=99999999999999999999999999-", 10, Unsatisfiable),
            ("bytes=-0", 10, Unsatisfiable),
            ("bytes=0-", 0, Unsatisfiable),
            ("bytes=0-0", 0, Unsatisfiable),
            ("bytes=-0", 0, Unsatisfiable),
            ("bytes=-1", 0, Whole),
            ("bytes=2-1", 10, Whole),
            ("bytes=0-1,3-4", 10, Whole),
            ("bytes=0-1,99-", 10, Whole),
            ("bytes=", 10, Whole),
            ("bytes=-", 10, Whole),
            ("bytes=--1", 10, Whole),
            ("bytes=1", 10, Whole),
            ("bytes=+1-2", 10, Whole),
            ("bytes=1 - 2", 10, Whole),
            ("bytes=a-b", 10, Whole),
            ("bytes", 10, Whole),
            ("pages=0-1", 10, Whole),
            ("", 10, Whole),
        ];
        for (text, size, expected) in table {
            assert_eq!(extent(text, size), expected, "{text:?} of {size}");
        }
    }

    #[test]
    fn ignores_a_field_that_is_sent_twice() {
        let mut headers = HeaderMap::new();
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        headers.append(RANGE, HeaderValue::from_static("bytes=0-1"));
        assert_eq!(requested(&headers, 10), Extent::Whole);
    }

    proptest! {
        #[test]
        fn a_part_is_never_empty_and_never_beyond_the_end(text in "(bytes=)?[0-9, -]{0,24}", size in 0_u64..2000) {
            if let Extent::Part(part) = extent(&text, size) {
                prop_assert!(part.start < part.end && part.end <= size);
            }
        }
    }
}
