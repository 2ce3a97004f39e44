//! Preconditions (RFC 9110, section 13): what a client already holds decides whether it is sent anything.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::header::{
    GetAll, HeaderMap, HeaderName, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE,
    IF_UNMODIFIED_SINCE,
};

/// An entity tag that we give out: the digest of a file's bytes.
///
/// A strong tag promises the same bytes; its weak form stands for the same file in an encoding whose exact bytes are
/// not promised (gzip of metadata).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct EntityTag {
    weak: bool,
    opaque: String,
}

impl EntityTag {
    /// A strong tag; `opaque` is a digest in hex.
    pub(super) fn strong(opaque: impl Into<String>) -> Self {
        Self { weak: false, opaque: opaque.into() }
    }

    /// The weak form of the same tag.
    pub(super) fn weakened(&self) -> Self {
        Self { weak: true, opaque: self.opaque.clone() }
    }

    /// As it stands in `ETag`, with quotes.
    pub(super) fn to_text(&self) -> String {
        format!("{}\"{}\"", if self.weak { "W/" } else { "" }, self.opaque)
    }

    fn matches(&self, other: &RawTag<'_>, comparison: Comparison) -> bool {
        let may_match = match comparison {
            Comparison::Weak => true,
            Comparison::Strong => !self.weak && !other.weak,
        };
        may_match && self.opaque.as_bytes() == other.opaque
    }
}

/// RFC 9110, section 8.8.3.2.
#[derive(Clone, Copy)]
enum Comparison {
    Weak,
    Strong,
}

/// What is known of the version of a file that would be sent.
#[derive(Debug, Clone)]
pub(super) struct Validators {
    pub(super) tag: EntityTag,
    /// Time of the last change.
    pub(super) modified: SystemTime,
    /// Whether the file is never replaced under its name. Only then does a date with its resolution of a second
    /// prove the same bytes.
    pub(super) immutable: bool,
}

/// What the preconditions of a request ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Answer as if there were no preconditions.
    Proceed,
    /// 304: the client holds it.
    NotModified,
    /// 412: the client wanted another version.
    Failed,
}

/// Evaluates the preconditions of a GET or HEAD in the order of RFC 9110, section 13.2.2.
pub(super) fn evaluate(headers: &HeaderMap, validators: &Validators) -> Verdict {
    let modified = whole_seconds(validators.modified);
    if headers.contains_key(IF_MATCH) {
        if !names(&headers.get_all(IF_MATCH), &validators.tag, Comparison::Strong) {
            return Verdict::Failed;
        }
    } else if date(headers, &IF_UNMODIFIED_SINCE).is_some_and(|date| modified > date) {
        return Verdict::Failed;
    }
    if headers.contains_key(IF_NONE_MATCH) {
        if names(&headers.get_all(IF_NONE_MATCH), &validators.tag, Comparison::Weak) {
            return Verdict::NotModified;
        }
    } else if date(headers, &IF_MODIFIED_SINCE).is_some_and(|date| modified <= date) {
        return Verdict::NotModified;
    }
    Verdict::Proceed
}

/// Whether `If-Range` allows a part to be sent (RFC 9110, section 13.1.5): it is absent, or names the very bytes that
/// the part would come from. A weak tag never does, and a date only if it is exactly the file's and the file is immutable.
pub(super) fn range_applies(headers: &HeaderMap, validators: &Validators) -> bool {
    let Some(value) = headers.get(IF_RANGE) else { return true };
    if let Some((tag, rest)) = RawTag::parse(value.as_bytes()) {
        return rest.is_empty() && validators.tag.matches(&tag, Comparison::Strong);
    }
    validators.immutable && date(headers, &IF_RANGE) == Some(whole_seconds(validators.modified))
}

/// A time as the text of `Last-Modified`.
pub(super) fn http_date(time: SystemTime) -> String {
    httpdate::fmt_http_date(time)
}

/// Dates on the wire have a resolution of one second.
fn whole_seconds(time: SystemTime) -> SystemTime {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    UNIX_EPOCH + Duration::from_secs(seconds)
}

/// The date in a field, unless the field is absent, repeated or no date: then it is as if it were not there.
fn date(headers: &HeaderMap, name: &HeaderName) -> Option<SystemTime> {
    let mut lines = headers.get_all(name).iter();
    let text = lines.next()?.to_str().ok()?;
    if lines.next().is_some() {
        return None;
    }
    httpdate::parse_http_date(text).ok()
}

/// Whether a field of tags is `*` or lists `tag`. What is not a list of tags names nothing.
fn names(lines: &GetAll<'_, HeaderValue>, tag: &EntityTag, comparison: Comparison) -> bool {
    lines.iter().any(|line| {
        let line = line.as_bytes().trim_ascii();
        line == b"*" || RawTags { rest: line }.any(|raw| tag.matches(&raw, comparison))
    })
}

/// A tag as a client wrote it.
#[derive(Debug, PartialEq, Eq)]
struct RawTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> RawTag<'a> {
    /// Reads one tag; returns what follows it.
    fn parse(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (weak, text) = match text.strip_prefix(b"W/") {
            Some(text) => (true, text),
            None => (false, text),
        };
        let text = text.strip_prefix(b"\"")?;
        let len = text.iter().position(|byte| *byte == b'"')?;
        let (opaque, rest) = text.split_at_checked(len)?;
        Some((Self { weak, opaque }, rest.strip_prefix(b"\"")?))
    }
}

/// The tags of a comma-separated list, up to the first thing that is not a tag.
struct RawTags<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for RawTags<'a> {
    type Item = RawTag<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        while let [b',' | b' ' | b'\t', rest @ ..] = self.rest {
            self.rest = rest;
        }
        let (tag, rest) = RawTag::parse(self.rest)?;
        self.rest = rest;
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHANGED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn validators(immutable: bool) -> Validators {
        // Half a second past what a date can say.
        let modified = UNIX_EPOCH + Duration::from_millis(784_111_777_500);
        Validators { tag: EntityTag::strong("abc"), modified, immutable }
    }

    fn headers(fields: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        }
        headers
    }

    #[test]
    fn evaluates_preconditions_in_the_order_of_the_rfc() {
        use Verdict::{Failed, NotModified, Proceed};
        let table: &[(&[(&'static str, &str)], Verdict)] = &[
            (&[], Proceed),
            (&[("if-none-match", "\"abc\"")], NotModified),
            (&[("if-none-match", "W/\"abc\"")], NotModified),
            (&[("if-none-match", "*")], NotModified),
            (&[("if-none-match", " * ")], NotModified),
            (&[("if-none-match", "\"x\", W/\"y\" ,, \"abc\"")], NotModified),
            (&[("if-none-match", "\"a,b\",\"abc\"")], NotModified),
            (&[("if-none-match", "\"x\""), ("if-none-match", "\"abc\"")], NotModified),
            (&[("if-none-match", "\"x\"")], Proceed),
            (&[("if-none-match", "abc")], Proceed),
            (&[("if-none-match", "\"abc")], Proceed),
            (&[("if-none-match", "\"ab\"")], Proceed),
            (&[("if-none-match", "")], Proceed),
            (&[("if-modified-since", CHANGED)], NotModified),
            (&[("if-modified-since", AFTER)], NotModified),
            (&[("if-modified-since", BEFORE)], Proceed),
            (&[("if-modified-since", "yesterday")], Proceed),
            (&[("if-modified-since", AFTER), ("if-modified-since", AFTER)], Proceed),
            // A tag outranks a date, whichever way it decides.
            (&[("if-none-match", "\"x\""), ("if-modified-since", AFTER)], Proceed),
            (&[("if-none-match", "\"abc\""), ("if-modified-since", BEFORE)], NotModified),
            (&[("if-match", "\"abc\"")], Proceed),
            (&[("if-match", "*")], Proceed),
            (&[("if-match", "W/\"abc\"")], Failed),
            (&[("if-match", "\"x\"")], Failed),
            (&[("if-match", "\"abc\""), ("if-unmodified-since", BEFORE)], Proceed),
            (&[("if-match", "\"abc\""), ("if-none-match", "\"abc\"")], NotModified),
            (&[("if-match", "\"x\""), ("if-none-match", "\"abc\"")], Failed),
            (&[("if-unmodified-since", BEFORE)], Failed),
            (&[("if-unmodified-since", CHANGED)], Proceed),
        ];
        for (fields, expected) in table {
            assert_eq!(evaluate(&headers(fields), &validators(true)), *expected, "{fields:?}");
        }
    }

    #[test]
    fn a_weak_tag_of_ours_is_known_again_but_is_no_proof() {
        let validators = Validators { tag: EntityTag::strong("abc").weakened(), ..validators(true) };
        assert_eq!(validators.tag.to_text(), "W/\"abc\"");
        assert_eq!(evaluate(&headers(&[("if-none-match", "\"abc\"")]), &validators), Verdict::NotModified);
        assert_eq!(evaluate(&headers(&[("if-match", "\"abc\"")]), &validators), Verdict::Failed);
        assert!(!range_applies(&headers(&[("if-range", "W/\"abc\"")]), &validators));
    }

    #[test]
    fn if_range_wants_the_very_bytes() {
        let table = [
            (None, true, true),
            (Some("\"abc\""), true, true),
            (Some("\"abc\""), false, true),
            (Some("W/\"abc\""), true, false),
            (Some("\"x\""), true, false),
            (Some("\"abc\", \"x\""), true, false),
            (Some("*"), true, false),
            (Some("abc"), true, false),
            (Some(CHANGED), true, true),
            // The file may have changed twice within that second.
            (Some(CHANGED), false, false),
            (Some(AFTER), true, false),
            (Some(BEFORE), true, false),
        ];
        for (value, immutable, expected) in table {
            let fields: Vec<_> = value.iter().map(|value| ("if-range", *value)).collect();
            let applies = range_applies(&headers(&fields), &validators(immutable));
            assert_eq!(applies, expected, "{value:?}, immutable: {immutable}");
        }
    }
}
