//! The strict parser: what signed metadata may be, and nothing beside it.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::fmt;

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::{Members, Text, Value, View};

/// What a document may cost before it is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParseLimits {
    /// Bytes of the document.
    pub max_len: u64,
    /// Arrays and objects inside each other.
    pub max_depth: u32,
    /// Values of all kinds, keys not counted: bounds the memory of the parsed form, which for `[0,0,0,..]` is sixteen
    /// times the size of the document.
    pub max_values: u32,
}

impl Default for ParseLimits {
    fn default() -> Self {
        Self { max_len: 16 << 20, max_depth: 24, max_values: 2_000_000 }
    }
}

/// Why bytes are not a document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseError {
    /// The document is longer than the limit.
    #[error("found {found} bytes, expected at most {max}")]
    TooLong {
        /// Bytes given.
        found: u64,
        /// Bytes allowed.
        max: u64,
    },
    /// The bytes are not strict JSON; the text says what and where.
    #[error("{0}")]
    Syntax(String),
}

/// Parses one JSON document: UTF-8, whole numbers of 64 bits, no key twice in an object, nothing after the value, within
/// the limits.
///
/// # Errors
/// [`ParseError`] names the fault and, for syntax, its line and column.
pub fn parse(bytes: &[u8], limits: &ParseLimits) -> Result<Value, ParseError> {
    parse_view(bytes, limits).map(View::into_value)
}

/// The same, without copying what can be borrowed.
pub(crate) fn parse_view<'a>(bytes: &'a [u8], limits: &ParseLimits) -> Result<View<'a>, ParseError> {
    let found = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if found > limits.max_len {
        return Err(ParseError::TooLong { found, max: limits.max_len });
    }
    // UTF-8 is checked for the whole at once, which is cheaper than for each string. Where it is not, the same error comes
    // from reading as far as that.
    let value = match std::str::from_utf8(bytes) {
        Ok(text) => read(serde_json::Deserializer::from_str(text), limits),
        Err(_) => read(serde_json::Deserializer::from_slice(bytes), limits),
    };
    value.map_err(|error| ParseError::Syntax(error.to_string()))
}

fn read<'a, R: serde_json::de::Read<'a>>(
    mut deserializer: serde_json::Deserializer<R>,
    limits: &ParseLimits,
) -> serde_json::Result<View<'a>> {
    let shared = Shared {
        budget: Cell::new(limits.max_values),
        items: RefCell::default(),
        members: RefCell::default(),
    };
    let seed = ValueSeed { depth_left: limits.max_depth, shared: &shared };
    let value = seed.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// What all values of a document have in common.
struct Shared<'a> {
    /// Values that may still come.
    budget: Cell<u32>,
    /// Items of the arrays that have begun, the innermost last: each is moved out as a whole when it ends, so that it takes
    /// as much memory as it needs and no more.
    items: RefCell<Vec<View<'a>>>,
    /// Likewise the members of objects.
    members: RefCell<Vec<(Text<'a>, View<'a>)>>,
}

/// How serde_json hands over numbers when any crate of the embedding program switches its `arbitrary_precision` on: an
/// object with this one key and the digits as a string. Features are unified over a whole program, so an embedder could
/// change what we read; we read both forms alike.
const NUMBER_TOKEN: &str = "$serde_json::private::Number";

struct ValueSeed<'s, 'a> {
    depth_left: u32,
    shared: &'s Shared<'a>,
}

impl ValueSeed<'_, '_> {
    fn charge<E: de::Error>(&self) -> Result<(), E> {
        let left = self.shared.budget.get().checked_sub(1);
        self.shared.budget.set(left.ok_or_else(|| E::custom("more values than the limit allows"))?);
        Ok(())
    }

    fn again(&self) -> Self {
        Self { depth_left: self.depth_left, shared: self.shared }
    }

    fn deeper<E: de::Error>(&self) -> Result<Self, E> {
        let depth_left = self.depth_left.checked_sub(1);
        let depth_left = depth_left.ok_or_else(|| E::custom("nested deeper than the limit allows"))?;
        Ok(Self { depth_left, shared: self.shared })
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_, 'de> {
    type Value = View<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<View<'de>, D::Error> {
        self.charge()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_, 'de> {
    type Value = View<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON without floats")
    }

    fn visit_unit<E>(self) -> Result<View<'de>, E> {
        Ok(View::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<View<'de>, E> {
        Ok(View::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<View<'de>, E> {
        Ok(View::Integer(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<View<'de>, E> {
        i64::try_from(number).map(View::Integer).map_err(|_| outside(number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<View<'de>, E> {
        Err(outside(number))
    }

    // What stands there without a backslash: JSON allows neither quotes nor control characters in it.
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<View<'de>, E> {
        Ok(View::String(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<View<'de>, E> {
        Ok(View::String(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<View<'de>, A::Error> {
        let inner = self.deeper()?;
        let items = &self.shared.items;
        let start = items.borrow().len();
        while let Some(item) = access.next_element_seed(inner.again())? {
            items.borrow_mut().push(item);
        }
        Ok(View::Array(items.borrow_mut().split_off(start)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<View<'de>, A::Error> {
        let members = &self.shared.members;
        let start = members.borrow().len();
        let mut inner = None;
        while let Some(key) = access.next_key_seed(KeySeed)? {
            let inner = match &inner {
                None if key == NUMBER_TOKEN => {
                    return integer_from_digits(&access.next_value::<String>()?);
                }
                None => inner.insert(self.deeper()?),
                Some(inner) => inner,
            };
            let value = access.next_value_seed(inner.again())?;
            members.borrow_mut().push((key, value));
        }
        if inner.is_none() {
            self.deeper::<A::Error>()?;
        }
        let members = members.borrow_mut().split_off(start);
        let twice = |key| de::Error::custom(format_args!("the key {key:?} stands twice in one object"));
        Members::from_unsorted(members).map(View::Object).map_err(twice)
    }
}

/// A key, which is borrowed as other strings are.
struct KeySeed;

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Text<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Text<'de>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for KeySeed {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

fn integer_from_digits<'a, E: de::Error>(digits: &str) -> Result<View<'a>, E> {
    let canonical = |number: &i64| number.to_string() == digits;
    digits.parse().ok().filter(canonical).map(View::Integer).ok_or_else(|| outside(digits))
}

fn outside<E: de::Error>(number: impl fmt::Display) -> E {
    E::custom(format_args!("the number {number} is not a whole number between -2^63 and 2^63 - 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse(text.as_bytes(), &ParseLimits::default()).unwrap_err().to_string()
    }

    #[test]
    fn rejects_duplicate_keys_at_any_depth() {
        assert!(error(r#"{"a":1,"a":1}"#).contains("stands twice"));
        assert!(error(r#"[{"b":{"a":1,"\u0061":2}}]"#).contains("stands twice"));
    }

    #[test]
    fn rejects_numbers_without_a_canonical_spelling() {
        for number in ["1.0", "1e3", "-0", "0.5", "9223372036854775808", "-9223372036854775809", "1e400"] {
            assert!(parse(number.as_bytes(), &ParseLimits::default()).is_err(), "{number}");
        }
        let ends = parse(b"[9223372036854775807,-9223372036854775808]", &ParseLimits::default()).unwrap();
        assert_eq!(ends, Value::Array(vec![Value::Integer(i64::MAX), Value::Integer(i64::MIN)]));
    }

    #[test]
    fn rejects_bytes_that_are_not_utf_8_and_lone_surrogates() {
        assert!(parse(b"\"\xff\"", &ParseLimits::default()).is_err());
        assert!(parse(b"{\"\xc3\":1}", &ParseLimits::default()).is_err());
        assert!(parse(br#""\ud800""#, &ParseLimits::default()).is_err());
    }

    #[test]
    fn rejects_anything_after_the_document() {
        for text in ["{} {}", "{}x", "1 2", "", " ", "{}\0", "\u{feff}{}"] {
            assert!(parse(text.as_bytes(), &ParseLimits::default()).is_err(), "{text:?}");
        }
        assert!(parse(b" {} \r\n\t", &ParseLimits::default()).is_ok());
    }

    #[test]
    fn rejects_deep_json_without_using_the_stack_for_it() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |depth: usize| format!("{}1{}", open.repeat(depth), close.repeat(depth));
            let limits = ParseLimits { max_depth: 10, ..ParseLimits::default() };
            assert!(parse(nested(10).as_bytes(), &limits).is_ok());
            assert!(parse(nested(11).as_bytes(), &limits).is_err());
            assert!(error(&nested(1_000_000)).contains("deeper"));
        }
        let limits = ParseLimits { max_depth: 0, ..ParseLimits::default() };
        assert!(parse(b"1", &limits).is_ok());
        assert!(parse(b"{}", &limits).is_err());
        assert!(parse(b"[]", &limits).is_err());
    }

    #[test]
    fn rejects_documents_beyond_the_limits() {
        let limits = ParseLimits { max_len: 5, max_values: 3, ..ParseLimits::default() };
        assert_eq!(parse(b"[1,2]", &limits).unwrap().to_canonical(), b"[1,2]");
        assert_eq!(parse(b"[1,23]", &limits), Err(ParseError::TooLong { found: 6, max: 5 }));
        let limits = ParseLimits { max_values: 3, ..ParseLimits::default() };
        assert!(parse(b"[1,2,3]", &limits).unwrap_err().to_string().contains("more values"));
    }

    #[test]
    fn an_object_in_the_disguise_of_a_number_is_a_number_or_nothing() {
        // What an embedder's `arbitrary_precision` would hand over; see `NUMBER_TOKEN`.
        assert_eq!(
            parse(br#"{"$serde_json::private::Number":"7"}"#, &ParseLimits::default()),
            Ok(Value::Integer(7))
        );
        assert!(parse(br#"{"$serde_json::private::Number":"7.0"}"#, &ParseLimits::default()).is_err());
        assert!(parse(br#"{"$serde_json::private::Number":"7","a":1}"#, &ParseLimits::default()).is_err());
    }
}
