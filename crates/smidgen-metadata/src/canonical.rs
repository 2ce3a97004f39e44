//! JSON as TUF signs it: a value without floats, and its canonical bytes.

mod parse;
mod view;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Serialize, Serializer};

pub(crate) use parse::parse_view;
pub use parse::{ParseError, ParseLimits, parse};
pub(crate) use view::{Members, Text, View};

/// The members of a JSON object, in the order of the canonical form: by the bytes of the key's UTF-8, which is the order
/// of code points.
pub type Object = BTreeMap<String, Value>;

/// A JSON value as metadata may hold it. There are no floats: the canonical form has no spelling for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A whole number of 64 bits with sign.
    Integer(i64),
    /// A string of any Unicode scalar values, as received: nothing is normalised.
    String(String),
    /// An array.
    Array(Vec<Value>),
    /// An object; no key occurs twice.
    Object(Object),
}

impl Value {
    /// What kind of value it is, for messages: "a string".
    pub fn kind(&self) -> &'static str {
        View::of(self).kind()
    }

    /// The bytes that are signed: canonical JSON as OLPC defined it and python-securesystemslib writes it.
    ///
    /// Keys sorted, no white space, strings with only `"` and `\` escaped. Control characters stand as they are, so these
    /// bytes are not always JSON; [`Value::to_json`] writes what is stored and sent.
    pub fn to_canonical(&self) -> Vec<u8> {
        let mut text = String::new();
        View::of(self).write(&mut text, escape_canonical);
        text.into_bytes()
    }

    /// Compact JSON with sorted keys: the same bytes as the canonical form unless a string holds a control character,
    /// which JSON demands to be escaped.
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = String::new();
        View::of(self).write(&mut text, escape_json);
        text.into_bytes()
    }
}

fn escape_canonical(character: char, text: &mut String) {
    if matches!(character, '"' | '\\') {
        text.push('\\');
    }
    text.push(character);
}

fn escape_json(character: char, text: &mut String) {
    if character < ' ' {
        // Writing to a String cannot fail.
        let _ = write!(text, "\\u{:04x}", u32::from(character));
    } else {
        escape_canonical(character, text);
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text)
    }
}

impl From<bool> for Value {
    fn from(truth: bool) -> Self {
        Self::Bool(truth)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<u32> for Value {
    fn from(number: u32) -> Self {
        Self::Integer(i64::from(number))
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::Array(items)
    }
}

impl From<Object> for Value {
    fn from(members: Object) -> Self {
        Self::Object(members)
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => items.serialize(serializer),
            Self::Object(members) => members.serialize(serializer),
        }
    }
}

/// A count or a size as a JSON integer. Beyond 2^63 - 1, which no file reaches, it stays at that end.
pub(crate) fn integer(number: u64) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Value {
        parse(text.as_bytes(), &ParseLimits::default()).unwrap()
    }

    #[test]
    fn writes_the_canonical_form_of_the_reference_implementation() {
        // From the doctests of securesystemslib's `encode_canonical`, and what Python prints for the rest.
        for (json, canonical) in [
            (r#""""#, r#""""#),
            (r#"{"A": [99]}"#, r#"{"A":[99]}"#),
            (r#"{"x" : 3, "y" : 2}"#, r#"{"x":3,"y":2}"#),
            ("[1,2,3]", "[1,2,3]"),
            ("[ ]", "[]"),
            ("{ }", "{}"),
            ("[true, false, null, -7]", "[true,false,null,-7]"),
            (r#""a\"b\\c\/d""#, r#""a\"b\\c/d""#),
            (r#""line\nfeed\u0000\u007f""#, "\"line\nfeed\u{0}\u{7f}\""),
            // Sorted by code point: U+FF01 before U+1F600, which UTF-16 would turn around.
            (r#"{"\ud83d\ude00":1,"\uff01":2,"é":3,"Z":4}"#, "{\"Z\":4,\"é\":3,\"！\":2,\"😀\":1}"),
            // No normalisation: e + combining acute stays two code points and another key than é.
            ("{\"e\u{301}\":1,\"\u{e9}\":2}", "{\"e\u{301}\":1,\"\u{e9}\":2}"),
        ] {
            assert_eq!(String::from_utf8(read(json).to_canonical()).unwrap(), canonical, "{json}");
        }
    }

    #[test]
    fn stored_bytes_stay_json_where_the_canonical_form_does_not() {
        let value = Value::from("line\nfeed");
        assert!(parse(&value.to_canonical(), &ParseLimits::default()).is_err());
        assert_eq!(value.to_json(), br#""line\u000afeed""#);
        assert_eq!(parse(&value.to_json(), &ParseLimits::default()).unwrap(), value);
    }
}
