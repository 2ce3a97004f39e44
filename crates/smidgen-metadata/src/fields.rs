//! Reading the members of an object one by one, with messages that name the place.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::str::FromStr;

use crate::canonical::{Object, Value};

/// A document that is JSON but not what its role must be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("at {place}: found {found}, expected {expected}")]
pub struct Malformed {
    /// Where: member names joined with dots, from the top of the document.
    pub place: String,
    /// What stood there.
    pub found: String,
    /// What had to stand there.
    pub expected: String,
}

impl Malformed {
    pub(crate) fn new(
        place: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Self {
        Self { place: place.into(), found: found.into(), expected: expected.into() }
    }
}

/// The members of one object. Each is taken out when it is read; what is left at the end is unknown to this version and
/// kept.
#[allow(unreachable_pub, reason = "named by the sealed half of the public trait `Role`")]
pub struct Fields {
    place: String,
    members: Object,
}

impl Fields {
    pub(crate) fn of(value: Value, place: impl Into<String>) -> Result<Self, Malformed> {
        let place = place.into();
        match value {
            Value::Object(members) => Ok(Self { place, members }),
            other => Err(Malformed::new(place, other.kind(), "an object")),
        }
    }

    /// The place of a member, for messages.
    pub(crate) fn place(&self, name: &str) -> String {
        if self.place.is_empty() { name.to_owned() } else { format!("{}.{name}", self.place) }
    }

    /// The fault "`found` stands where `expected` should" at a member.
    pub(crate) fn fault(
        &self,
        name: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Malformed {
        Malformed::new(self.place(name), found, expected)
    }

    pub(crate) fn optional(&mut self, name: &str) -> Option<Value> {
        self.members.remove(name)
    }

    pub(crate) fn required(&mut self, name: &str, expected: &str) -> Result<Value, Malformed> {
        self.optional(name).ok_or_else(|| self.fault(name, "nothing", expected))
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String, Malformed> {
        let value = self.required(name, "a string")?;
        into_string(value, || self.place(name))
    }

    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Malformed> {
        self.optional(name).map(|value| into_string(value, || self.place(name))).transpose()
    }

    /// A string that is read further.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<T, Malformed> {
        let value = self.required(name, "a string")?;
        self.parse(name, value)
    }

    pub(crate) fn optional_parsed<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, Malformed> {
        self.optional(name).map(|value| self.parse(name, value)).transpose()
    }

    fn parse<T: FromStr<Err: Display>>(&self, name: &str, value: Value) -> Result<T, Malformed> {
        let text = into_string(value, || self.place(name))?;
        // The errors of our types say what they found themselves.
        text.parse().map_err(|error: T::Err| self.fault(name, format!("{text:?}"), error.to_string()))
    }

    pub(crate) fn bool(&mut self, name: &str) -> Result<bool, Malformed> {
        self.optional_bool(name)?.ok_or_else(|| self.fault(name, "nothing", "a boolean"))
    }

    pub(crate) fn optional_bool(&mut self, name: &str) -> Result<Option<bool>, Malformed> {
        match self.optional(name) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(truth)),
            Some(other) => Err(self.fault(name, other.kind(), "a boolean")),
        }
    }

    /// A number from 0.
    pub(crate) fn natural(&mut self, name: &str) -> Result<u64, Malformed> {
        let value = self.required(name, "a whole number")?;
        into_natural(value, || self.place(name))
    }

    pub(crate) fn optional_natural(&mut self, name: &str) -> Result<Option<u64>, Malformed> {
        self.optional(name).map(|value| into_natural(value, || self.place(name))).transpose()
    }

    /// A number from 1, as all versions and thresholds are.
    pub(crate) fn positive(&mut self, name: &str) -> Result<u64, Malformed> {
        match self.natural(name)? {
            0 => Err(self.fault(name, "0", "a whole number from 1")),
            number => Ok(number),
        }
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<Value>, Malformed> {
        match self.required(name, "an array")? {
            Value::Array(items) => Ok(items),
            other => Err(self.fault(name, other.kind(), "an array")),
        }
    }

    /// An array of strings in which none stands twice.
    pub(crate) fn distinct_strings(&mut self, name: &str) -> Result<BTreeSet<String>, Malformed> {
        let mut distinct = BTreeSet::new();
        for item in self.array(name)? {
            let text = into_string(item, || self.place(name))?;
            if let Some(text) = distinct.replace(text) {
                return Err(self.fault(name, format!("{text:?} twice"), "distinct strings"));
            }
        }
        Ok(distinct)
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<Object, Malformed> {
        let value = self.required(name, "an object")?;
        Self::of(value, self.place(name)).map(Self::rest)
    }

    pub(crate) fn optional_object(&mut self, name: &str) -> Result<Option<Object>, Malformed> {
        self.optional(name).map(|value| Self::of(value, self.place(name)).map(Self::rest)).transpose()
    }

    /// The members that nobody took.
    pub(crate) fn rest(self) -> Object {
        self.members
    }
}

pub(crate) fn into_string(value: Value, place: impl Fn() -> String) -> Result<String, Malformed> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(Malformed::new(place(), other.kind(), "a string")),
    }
}

pub(crate) fn into_natural(value: Value, place: impl Fn() -> String) -> Result<u64, Malformed> {
    match value {
        Value::Integer(number) => u64::try_from(number)
            .map_err(|_| Malformed::new(place(), number.to_string(), "a whole number from 0")),
        other => Err(Malformed::new(place(), other.kind(), "a whole number")),
    }
}
