//! JSON that borrows its strings from the document it was read from: the form in which metadata is read once, hashed and
//! dropped. Nearly every string of metadata stands there without escapes, so nearly none is copied.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::{Object, Value};

/// A string. A borrowed one has nothing to escape, in no form: neither quotes nor backslashes nor control characters.
pub(crate) type Text<'a> = Cow<'a, str>;

/// A [`Value`] that borrows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum View<'a> {
    Null,
    Bool(bool),
    Integer(i64),
    String(Text<'a>),
    Array(Vec<View<'a>>),
    Object(Members<'a>),
}

/// The members of an object, sorted by key as in the canonical form; no key stands twice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Members<'a>(Vec<(Text<'a>, View<'a>)>);

impl<'a> View<'a> {
    pub(crate) fn of(value: &'a Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(truth) => Self::Bool(*truth),
            Value::Integer(number) => Self::Integer(*number),
            Value::String(text) => Self::text(text),
            Value::Array(items) => Self::Array(items.iter().map(Self::of).collect()),
            Value::Object(members) => Self::Object(Members::of(members)),
        }
    }

    pub(crate) fn text(text: &'a str) -> Self {
        Self::String(plain_or_owned(text))
    }

    /// What kind of value it is, for messages: "a string".
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    pub(crate) fn into_value(self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(truth) => Value::Bool(truth),
            Self::Integer(number) => Value::Integer(number),
            Self::String(text) => Value::String(text.into_owned()),
            Self::Array(items) => Value::Array(items.into_iter().map(Self::into_value).collect()),
            Self::Object(members) => Value::Object(members.into_object()),
        }
    }

    fn into_owned(self) -> View<'static> {
        match self {
            Self::Null => View::Null,
            Self::Bool(truth) => View::Bool(truth),
            Self::Integer(number) => View::Integer(number),
            Self::String(text) => View::String(Cow::Owned(text.into_owned())),
            Self::Array(items) => View::Array(items.into_iter().map(Self::into_owned).collect()),
            Self::Object(members) => View::Object(members.into_owned()),
        }
    }

    pub(super) fn write(&self, text: &mut String, escape: fn(char, &mut String)) {
        match self {
            Self::Null => text.push_str("null"),
            Self::Bool(true) => text.push_str("true"),
            Self::Bool(false) => text.push_str("false"),
            Self::Integer(number) => {
                // Writing to a String cannot fail.
                let _ = write!(text, "{number}");
            }
            Self::String(string) => quote(string, text, escape),
            Self::Array(items) => {
                text.push('[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        text.push(',');
                    }
                    item.write(text, escape);
                }
                text.push(']');
            }
            Self::Object(members) => members.write(text, escape),
        }
    }
}

impl<'a> Members<'a> {
    pub(crate) fn of(object: &'a Object) -> Self {
        Self(object.iter().map(|(key, value)| (plain_or_owned(key), View::of(value))).collect())
    }

    /// These members, which the caller has in their order.
    pub(crate) fn from_sorted<const N: usize>(members: [(&'a str, View<'a>); N]) -> Self {
        debug_assert!(members.is_sorted_by(|(one, _), (other, _)| one < other));
        Self(members.into_iter().map(|(key, value)| (plain_or_owned(key), value)).collect())
    }

    /// Members in any order, or a key that stands twice. Those of signed metadata come sorted, and then this costs a
    /// comparison each.
    pub(super) fn from_unsorted(mut members: Vec<(Text<'a>, View<'a>)>) -> Result<Self, Text<'a>> {
        if !members.is_sorted_by(|(one, _), (other, _)| one < other) {
            members.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
            let mut pairs = members.windows(2);
            if let Some([(key, _), _]) = pairs.find(|pair| matches!(pair, [(a, _), (b, _)] if a == b)) {
                return Err(key.clone());
            }
        }
        Ok(Self(members))
    }

    pub(crate) fn get(&self, key: &str) -> Option<&View<'a>> {
        self.0.get(self.find(key)?).map(|(_, value)| value)
    }

    /// Takes a member out. The objects whose members are taken one by one have a handful; in a hostile one with a million,
    /// a handful is asked for.
    pub(crate) fn remove(&mut self, key: &str) -> Option<View<'a>> {
        Some(self.0.remove(self.find(key)?).1)
    }

    fn find(&self, key: &str) -> Option<usize> {
        self.0.iter().position(|(known, _)| known == key)
    }

    pub(crate) fn into_object(self) -> Object {
        self.0.into_iter().map(|(key, value)| (key.into_owned(), value.into_value())).collect()
    }

    pub(crate) fn into_owned(self) -> Members<'static> {
        let members = self.0.into_iter();
        Members(members.map(|(key, value)| (Cow::Owned(key.into_owned()), value.into_owned())).collect())
    }

    /// The canonical form of the object, which has about `len` bytes.
    pub(crate) fn to_canonical(&self, len: usize) -> Vec<u8> {
        let mut text = String::with_capacity(len);
        self.write(&mut text, super::escape_canonical);
        text.into_bytes()
    }

    fn write(&self, text: &mut String, escape: fn(char, &mut String)) {
        text.push('{');
        for (index, (key, member)) in self.0.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            quote(key, text, escape);
            text.push(':');
            member.write(text, escape);
        }
        text.push('}');
    }
}

impl<'a> IntoIterator for Members<'a> {
    type Item = (Text<'a>, View<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

fn quote(string: &Text<'_>, text: &mut String, escape: fn(char, &mut String)) {
    text.reserve(string.len().saturating_add(2));
    text.push('"');
    match string {
        // As it stands in the document, so it stands here.
        Cow::Borrowed(plain) => text.push_str(plain),
        Cow::Owned(other) => other.chars().for_each(|character| escape(character, text)),
    }
    text.push('"');
}

fn plain_or_owned(text: &str) -> Text<'_> {
    let is_special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
    if text.bytes().any(is_special) { Cow::Owned(text.to_owned()) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::super::{ParseLimits, parse, parse_view};
    use super::*;

    #[test]
    fn strings_without_escapes_are_not_copied() {
        let json = br#"{"a":["plain","esc\u0061ped"]}"#;
        let View::Object(mut members) = parse_view(json, &ParseLimits::default()).unwrap() else { panic!() };
        let Some(View::Array(items)) = members.remove("a") else { panic!() };
        assert!(matches!(&items[..], [View::String(Cow::Borrowed("plain")), View::String(Cow::Owned(_))]));
    }

    #[test]
    fn members_come_sorted_whatever_their_order_in_the_document() {
        let json = br#"{"c":1,"a":{"z":2,"b":3},"b":4}"#;
        let View::Object(members) = parse_view(json, &ParseLimits::default()).unwrap() else { panic!() };
        assert_eq!(members.to_canonical(0), br#"{"a":{"b":3,"z":2},"b":4,"c":1}"#);
        assert_eq!(members.get("b"), Some(&View::Integer(4)));
        assert_eq!(members.get("d"), None);
        let value = parse(json, &ParseLimits::default()).unwrap();
        assert_eq!(View::of(&value), View::Object(members.clone()));
        assert_eq!(Value::Object(members.into_owned().into_object()), value);
    }
}
