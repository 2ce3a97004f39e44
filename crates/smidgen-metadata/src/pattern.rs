//! Path patterns: which target paths a delegation is about.
//!
//! TUF, section 4.5 (PATHPATTERN): shell-style wildcards as in glob(7), which the reference client has from Python's
//! `fnmatch`, segment by segment: `*` and `?` never match a slash. The cost of a match is at most the length of the
//! pattern times that of the path, so a document's patterns cost no more than its length times that of the path.

use std::str::Chars;

/// Whether `path` is one that `pattern` describes.
pub(crate) fn matches(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut segments) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), segments.next()) {
            (Some(pattern), Some(segment)) if segment_matches(pattern, segment) => {}
            (None, None) => return true,
            _ => return false,
        }
    }
}

/// Whether `pattern` describes every path that consists of `folder` (which ends in a slash) and two more segments.
pub(crate) fn covers_two_below(pattern: &str, folder: &str) -> bool {
    let is_open = |segment: Option<&str>| {
        segment.is_some_and(|segment| !segment.is_empty() && segment.bytes().all(|byte| byte == b'*'))
    };
    // A shard has dozens of lines, and up to their first wildcard their patterns differ: seen without cutting them up.
    let is_literal = |byte: &u8| !matches!(byte, b'*' | b'?' | b'[');
    if pattern.bytes().zip(folder.bytes()).take_while(|(byte, _)| is_literal(byte)).any(|(a, b)| a != b) {
        return false;
    }
    let mut patterns = pattern.split('/');
    folder
        .split_terminator('/')
        .all(|segment| patterns.next().is_some_and(|pattern| segment_matches(pattern, segment)))
        && is_open(patterns.next())
        && is_open(patterns.next())
        && patterns.next().is_none()
}

fn segment_matches(pattern: &str, segment: &str) -> bool {
    let (mut pattern, mut text) = (pattern.chars(), segment.chars());
    // After the last star seen: the rest of the pattern, and where the rest of the text begins that was tried with it.
    // Only the last one matters, because what an earlier star could take more, the last one can as well.
    let mut retry: Option<(Chars<'_>, Chars<'_>)> = None;
    loop {
        let (mut pattern_after, mut text_after) = (pattern.clone(), text.clone());
        let hit = match (pattern_after.next(), text_after.next()) {
            (Some('*'), _) => {
                retry = Some((pattern_after.clone(), text.clone()));
                pattern = pattern_after;
                continue;
            }
            (None, None) => return true,
            // The text is over and something is still asked for: with more for the star there would be even less.
            (Some(_), None) => return false,
            (Some('?'), Some(_)) => true,
            (Some('['), Some(character)) => set_matches(&mut pattern_after, character),
            (Some(literal), Some(character)) => literal == character,
            (None, Some(_)) => false,
        };
        if hit {
            (pattern, text) = (pattern_after, text_after);
            continue;
        }
        let Some((after_star, from)) = &mut retry else { return false };
        if from.next().is_none() {
            return false;
        }
        (pattern, text) = (after_star.clone(), from.clone());
    }
}

/// A set after its bracket: `[abc]`, `[a-z]`, `[!abc]`. A bracket that is never closed stands for itself.
fn set_matches(pattern: &mut Chars<'_>, character: char) -> bool {
    let mut members = pattern.clone();
    let negated = members.as_str().starts_with('!');
    if negated {
        members.next();
    }
    let (mut hit, mut first) = (false, true);
    loop {
        let Some(low) = members.next() else { return character == '[' };
        if low == ']' && !first {
            break;
        }
        first = false;
        let mut range = members.clone();
        let high = match (range.next(), range.next()) {
            (Some('-'), Some(high)) if high != ']' => {
                members = range;
                high
            }
            _ => low,
        };
        hit |= (low..=high).contains(&character);
    }
    *pattern = members;
    hit != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_stays_within_its_segment() {
        // The first four are the specification's own.
        for (pattern, path) in [
            ("targets/*.tgz", "targets/foo.tgz"),
            ("foo-version-?.tgz", "foo-version-a.tgz"),
            ("*.tgz", "foo.tgz"),
            ("foo.tgz", "foo.tgz"),
            ("*", ""),
            ("", ""),
            ("**", "a"),
            ("*a*b*c*", "xaybzc"),
            ("*aab", "aaaab"),
            ("?", "é"),
            ("a/*/c", "a//c"),
            ("[a-c]x[!0-9]", "bxy"),
            ("[]]", "]"),
            ("[!]]", "["),
            ("[a-]", "-"),
            ("a[b", "a[b"),
            ("[", "["),
            ("[!", "[!"),
            ("*\n", "a\n"),
        ] {
            assert!(matches(pattern, path), "{pattern:?} {path:?}");
        }
        for (pattern, path) in [
            ("targets/*.tgz", "targets/foo.txt"),
            ("foo-version-?.tgz", "foo-version-alpha.tgz"),
            ("*.tgz", "targets/foo.tgz"),
            ("*", "a/b"),
            ("a/*", "a"),
            ("a/*", "a/b/c"),
            ("?", "/"),
            ("?", ""),
            ("a[/]b", "a/b"),
            ("**/b", "a/a/b"),
            ("*a*b*c*", "xaybz"),
            ("[z-a]", "b"),
            ("[!a]", ""),
            ("A", "a"),
            ("./a", "a"),
            ("a/", "a"),
        ] {
            assert!(!matches(pattern, path), "{pattern:?} {path:?}");
        }
    }

    #[test]
    fn a_pattern_that_asks_for_much_work_gets_little() {
        let path = "a".repeat(200);
        assert!(!matches(&"*a".repeat(100_000), &path));
        assert!(!matches(&format!("*{}b", "a".repeat(150)), &path));
        assert!(!matches(&format!("*[{}]", "b".repeat(100_000)), &path));
    }

    #[test]
    fn a_pattern_covers_a_folder_only_if_it_leaves_the_rest_open() {
        let folder = "editor/stable/x86_64-linux/3fabc/";
        for pattern in
            ["editor/*/*/3f*/*/*", "editor/*/*/*/*/*", "*/*/*/*/**/*", "editor/stable/x86_64-linux/3fabc/*/*"]
        {
            assert!(covers_two_below(pattern, folder), "{pattern}");
            assert!(matches(pattern, &format!("{folder}1/editor")));
        }
        for pattern in [
            "editor/*/*/3f*/*",
            "editor/*/*/3f*/*/*/*",
            "editor/*/*/3f*/1/*",
            "editor/*/*/3f*/*/editor",
            "editor/*/*/3f*/*?/*",
            "editor/*/*/4*/*/*",
            "editor/*/*/3f*//",
            "",
        ] {
            assert!(!covers_two_below(pattern, folder), "{pattern}");
        }
    }
}
