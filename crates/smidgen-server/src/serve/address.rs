//! Which URL paths name a file of a repository: a closed list of shapes, so that nothing else can ever be served.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use object_store::path::Path;
use percent_encoding::percent_decode_str;

/// Longest name of a product, channel, role or file.
const MAX_NAME_LEN: usize = 64;
/// Hex digits of a SHA-256.
const DIGEST_LEN: usize = 64;
/// Hex digits of the name of a blob.
const BLOB_LEN: usize = 32;
/// Hex digits of the largest number of a shard.
const MAX_SHARD_LEN: usize = 4;
/// Digits of the largest metadata version that is looked for.
const MAX_VERSION_LEN: usize = 10;

/// A file of the repository that may be served.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// Where it is in the store.
    pub(super) path: Path,
    pub(super) kind: Kind,
}

/// What a file promises about its bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `timestamp.json`, the one file that is replaced under its name.
    Timestamp,
    /// Metadata whose name holds its version: written once.
    Metadata,
    /// A file whose name holds this digest of its bytes: written once.
    Content { digest: String },
}

/// The file that a URL's path (percent-encoded, with its leading slash) names, if it is one of a repository's:
/// `metadata/timestamp.json`, `metadata/N.ROLE.json`, `blobs/HH/DIGEST`, `targets/FOLDER../DIGEST.NAME`, and the same below
/// `shards/NUMBER/`.
///
/// Segments are split before they are decoded and a decoded segment can hold neither `/` nor `%`, so no spelling of
/// `..` survives. The store's own lock, scratch and leftover files have no such shape.
pub(super) fn locate(url_path: &str) -> Option<Address> {
    let segments: Vec<Cow<'_, str>> = url_path
        .strip_prefix('/')?
        .split('/')
        .map(|segment| percent_decode_str(segment).decode_utf8().ok())
        .collect::<Option<_>>()?;
    let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
    let inside = match segments.as_slice() {
        ["shards", number, inside @ ..] if is_hex(number, 1..=MAX_SHARD_LEN) => inside,
        inside => inside,
    };
    let kind = match inside {
        ["metadata", "timestamp.json"] => Kind::Timestamp,
        ["metadata", name] if is_versioned_metadata(name) => Kind::Metadata,
        ["blobs", folder, digest]
            if is_hex(digest, BLOB_LEN..=BLOB_LEN) && digest.get(..2) == Some(*folder) =>
        {
            Kind::Content { digest: (*digest).to_owned() }
        }
        ["targets", folders @ .., name]
            if !folders.is_empty() && folders.iter().all(|name| is_name(name)) =>
        {
            let (digest, name) = name.split_once('.')?;
            if !is_hex(digest, DIGEST_LEN..=DIGEST_LEN) || !has_name_characters(name) {
                return None;
            }
            Kind::Content { digest: digest.to_owned() }
        }
        _ => return None,
    };
    // As the store spells it: made from parts, the mark in the role of a build line would be escaped.
    let path = Path::parse(segments.join("/")).ok()?;
    Some(Address { path, kind })
}

/// `N.ROLE.json`, the names of consistent snapshots (TUF specification, section 6.2).
fn is_versioned_metadata(name: &str) -> bool {
    let Some((version, role)) = name.strip_suffix(".json").and_then(|stem| stem.split_once('.')) else {
        return false;
    };
    (1..=MAX_VERSION_LEN).contains(&version.len())
        && !version.starts_with('0')
        && version.bytes().all(|byte| byte.is_ascii_digit())
        && is_role(role)
}

/// The name of a product, or of one of its lines: `editor~e4`.
fn is_role(text: &str) -> bool {
    match text.split_once('~') {
        None => is_name(text),
        Some((product, line)) => is_name(product) && is_hex(line, 1..=MAX_NAME_LEN),
    }
}

fn is_hex(text: &str, len: RangeInclusive<usize>) -> bool {
    len.contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A name that may be a path's segment: `.`, `..` and hidden files are none.
fn is_name(text: &str) -> bool {
    has_name_characters(text) && !text.starts_with('.')
}

fn has_name_characters(text: &str) -> bool {
    (1..=MAX_NAME_LEN).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BLOB: &str = "0123456789abcdef0123456789abcdef";
    const DIGEST: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn finds_the_files_of_a_repository() {
        let content = || Kind::Content { digest: DIGEST.to_owned() };
        let blob = || Kind::Content { digest: BLOB.to_owned() };
        let table = [
            ("/metadata/timestamp.json".to_owned(), Kind::Timestamp),
            ("/metadata/1.root.json".to_owned(), Kind::Metadata),
            ("/metadata/1234567890.targets.json".to_owned(), Kind::Metadata),
            ("/metadata/7.team-a.json".to_owned(), Kind::Metadata),
            ("/metadata/7.node.js.json".to_owned(), Kind::Metadata),
            ("/metadata/7.editor~e4.json".to_owned(), Kind::Metadata),
            (format!("/blobs/01/{BLOB}"), blob()),
            ("/shards/0a3/metadata/timestamp.json".to_owned(), Kind::Timestamp),
            ("/shards/f/metadata/7.editor~e4.json".to_owned(), Kind::Metadata),
            (format!("/shards/0a3f/blobs/01/{BLOB}"), blob()),
            (format!("/shards/0/targets/web/{DIGEST}.web"), content()),
            (format!("/targets/web/stable/x86_64-linux/k3/9/{DIGEST}.web"), content()),
            (format!("/targets/web/{DIGEST}..profile"), content()),
            (format!("/targets/c%2B%2B/{DIGEST}.g%2b%2b"), content()),
        ];
        for (url_path, kind) in table {
            let found = locate(&url_path).unwrap_or_else(|| panic!("{url_path} is not found"));
            assert_eq!(found.kind, kind, "{url_path}");
            let decoded = url_path.replace("%2B", "+").replace("%2b", "+");
            assert_eq!(format!("/{}", found.path), decoded);
        }
    }

    #[test]
    fn refuses_every_hostile_path() {
        let table = [
            "",
            "/",
            "//",
            "*",
            "/metadata",
            "/metadata/",
            "/metadata/timestamp.json/",
            "/metadata//timestamp.json",
            "//metadata/timestamp.json",
            "/./metadata/timestamp.json",
            "/metadata/./timestamp.json",
            "/metadata/x/../timestamp.json",
            "/metadata/../metadata/timestamp.json",
            "/metadata/%2e%2e/metadata/timestamp.json",
            "/metadata%2ftimestamp.json",
            "/metadata\\timestamp.json",
            "/metadata/timestamp.json%00",
            "/metadata/timestamp.json%",
            "/metadata/timestamp.json%zz",
            "/metadata/timestamp.json ",
            "/METADATA/timestamp.json",
            "/metadata/root.json",
            "/metadata/0.root.json",
            "/metadata/01.root.json",
            "/metadata/-1.root.json",
            "/metadata/+1.root.json",
            "/metadata/12345678901.root.json",
            "/metadata/1..json",
            "/metadata/1..root.json",
            "/metadata/1.root.json.tmp",
            "/metadata/1.root.json#1",
            "/metadata/.lock",
            "/metadata/\u{661}.root.json",
            "/metadata/%d9%a1.root.json",
            "/metadata/1.%ff.json",
            "/.lock",
            "/lock",
            "/repository.lock",
            "/keys/targets.pem",
            "/metadata/targets.pem",
            "/blobs",
            "/blobs/",
            "/blobs/01",
            "/blobs/01/",
            "/blobs/01/..",
            "/blobs/02/0123456789abcdef0123456789abcdef",
            "/blobs/01/0123456789ABCDEF0123456789abcdef",
            "/blobs/01/0123456789abcdef0123456789abcde",
            "/blobs/01/0123456789abcdef0123456789abcdef0",
            "/blobs/01/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "/blobs/01/0123456789abcdef0123456789abcdef#1",
            "/blobs/01/0123456789abcdef0123456789abcdef%231",
            "/blobs/01/%2e%2e/01/0123456789abcdef0123456789abcdef",
            "/targets/",
            "/targets/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.name",
            "/targets/a/name",
            "/targets/a/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "/targets/a/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.",
            "/targets/a/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.a%2fb",
            "/targets/../metadata/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.a",
            "/targets/%2e%2e/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.a",
            "/targets/%252e%252e/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.a",
            "/targets/.git/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef.a",
            "/shards",
            "/shards/0",
            "/shards/0/",
            "/shards//metadata/timestamp.json",
            "/shards/../metadata/timestamp.json",
            "/shards/0A3/metadata/timestamp.json",
            "/shards/00000/metadata/timestamp.json",
            "/shards/x/metadata/timestamp.json",
            "/shards/0/shards/0/metadata/timestamp.json",
            "/shards/0/.smidgen.lock",
            "/metadata/1.editor~.json",
            "/metadata/1.~e4.json",
            "/metadata/1.editor~e4~e4.json",
            "/etc/passwd",
            "/../../etc/passwd",
            "/metadata/../../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            "/..%2f..%2fetc/passwd",
            "/..%5c..%5cetc/passwd",
            "/%c0%ae%c0%ae/etc/passwd",
        ];
        for url_path in table {
            assert_eq!(locate(url_path), None, "{url_path:?} must not name a file");
        }
    }

    proptest! {
        #[test]
        fn never_leaves_the_four_folders(url_path in "/(metadata|blobs|targets|shards/0|\\.\\.|%2e|[a-z./%0-9]{0,9}|/){0,8}") {
            if let Some(address) = locate(&url_path) {
                let path = address.path.to_string();
                prop_assert!(["metadata/", "blobs/", "targets/", "shards/"].iter().any(|folder| path.starts_with(folder)));
                prop_assert!(path.split('/').all(|segment| !segment.is_empty() && !segment.starts_with('.')));
            }
        }
    }
}
