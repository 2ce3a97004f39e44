//! Reading the members of an object one by one, with messages that name the place.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt::{self, Display};
use std::str::FromStr;

use crate::canonical::{Members, Object, Text, View};

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
    pub(crate) fn new(place: impl Display, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { place: place.to_string(), found: found.into(), expected: expected.into() }
    }
}

/// A place in a document, as a chain up to its top. It is spelt out only when something is wrong there: nearly never, and
/// spelling it cost more than all other reading.
#[derive(Clone, Copy, Debug)]
#[allow(unreachable_pub, reason = "named by the sealed half of the public trait `Role`")]
pub enum Place<'p> {
    /// Where reading began; empty for the document itself.
    Top(&'p str),
    /// A member of an object.
    Member(&'p Place<'p>, &'p str),
    /// An item of an array.
    Item(&'p Place<'p>, usize),
}

impl<'p> Place<'p> {
    pub(crate) fn member(&'p self, name: &'p str) -> Self {
        Place::Member(self, name)
    }

    pub(crate) fn item(&'p self, index: usize) -> Self {
        Place::Item(self, index)
    }
}

impl Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Top(name) | Self::Member(Self::Top(""), name) => f.write_str(name),
            Self::Member(place, name) => write!(f, "{place}.{name}"),
            Self::Item(Self::Top(""), index) => write!(f, "{index}"),
            Self::Item(place, index) => write!(f, "{place}.{index}"),
        }
    }
}

/// The members of one object. Each is taken out when it is read; what is left at the end is unknown to this version and
/// kept.
#[allow(unreachable_pub, reason = "named by the sealed half of the public trait `Role`")]
pub struct Fields<'p, 'a> {
    /// Where the object stands.
    pub(crate) place: Place<'p>,
    members: Members<'a>,
}

impl<'p, 'a> Fields<'p, 'a> {
    pub(crate) fn of(value: View<'a>, place: Place<'p>) -> Result<Self, Malformed> {
        into_members(value, place).map(|members| Self { place, members })
    }

    pub(crate) fn over(members: Members<'a>, place: Place<'p>) -> Self {
        Self { place, members }
    }

    /// The fault "`found` stands where `expected` should" at a member.
    pub(crate) fn fault(
        &self,
        name: &str,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) -> Malformed {
        Malformed::new(self.place.member(name), found, expected)
    }

    pub(crate) fn optional(&mut self, name: &str) -> Option<View<'a>> {
        self.members.remove(name)
    }

    pub(crate) fn required(&mut self, name: &str, expected: &str) -> Result<View<'a>, Malformed> {
        self.optional(name).ok_or_else(|| self.fault(name, "nothing", expected))
    }

    /// A string that is only looked at.
    pub(crate) fn text(&mut self, name: &str) -> Result<Text<'a>, Malformed> {
        let value = self.required(name, "a string")?;
        into_text(value, self.place.member(name))
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String, Malformed> {
        self.text(name).map(Cow::into_owned)
    }

    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Malformed> {
        self.optional(name).map(|value| into_string(value, self.place.member(name))).transpose()
    }

    /// A string that is read further.
    pub(crate) fn parsed<T: FromStr<Err: Display>>(&mut self, name: &str) -> Result<T, Malformed> {
        let value = self.required(name, "a string")?;
        parse(value, self.place.member(name))
    }

    pub(crate) fn optional_parsed<T: FromStr<Err: Display>>(
        &mut self,
        name: &str,
    ) -> Result<Option<T>, Malformed> {
        self.optional(name).map(|value| parse(value, self.place.member(name))).transpose()
    }

    pub(crate) fn bool(&mut self, name: &str) -> Result<bool, Malformed> {
        self.optional_bool(name)?.ok_or_else(|| self.fault(name, "nothing", "a boolean"))
    }

    pub(crate) fn optional_bool(&mut self, name: &str) -> Result<Option<bool>, Malformed> {
        match self.optional(name) {
            None => Ok(None),
            Some(View::Bool(truth)) => Ok(Some(truth)),
            Some(other) => Err(self.fault(name, other.kind(), "a boolean")),
        }
    }

    /// A number from 0.
    pub(crate) fn natural(&mut self, name: &str) -> Result<u64, Malformed> {
        let value = self.required(name, "a whole number")?;
        into_natural(value, self.place.member(name))
    }

    pub(crate) fn optional_natural(&mut self, name: &str) -> Result<Option<u64>, Malformed> {
        self.optional(name).map(|value| into_natural(value, self.place.member(name))).transpose()
    }

    /// A number from 1, as all versions and thresholds are.
    pub(crate) fn positive(&mut self, name: &str) -> Result<u64, Malformed> {
        match self.natural(name)? {
            0 => Err(self.fault(name, "0", "a whole number from 1")),
            number => Ok(number),
        }
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<Vec<View<'a>>, Malformed> {
        let value = self.required(name, "an array")?;
        into_array(value, self.place.member(name))
    }

    /// An array of strings in which none stands twice.
    pub(crate) fn distinct<T: Ord>(
        &mut self,
        name: &str,
        new: fn(String) -> T,
    ) -> Result<BTreeSet<T>, Malformed> {
        let mut distinct = BTreeSet::new();
        for item in self.array(name)? {
            let text = into_text(item, self.place.member(name))?;
            if !distinct.insert(new(text.clone().into_owned())) {
                return Err(self.fault(name, format!("{text:?} twice"), "distinct strings"));
            }
        }
        Ok(distinct)
    }

    pub(crate) fn members(&mut self, name: &str) -> Result<Members<'a>, Malformed> {
        let value = self.required(name, "an object")?;
        into_members(value, self.place.member(name))
    }

    pub(crate) fn optional_members(&mut self, name: &str) -> Result<Option<Members<'a>>, Malformed> {
        self.optional(name).map(|value| into_members(value, self.place.member(name))).transpose()
    }

    /// The members that nobody took.
    pub(crate) fn rest(self) -> Object {
        self.members.into_object()
    }
}

fn into_members<'a>(value: View<'a>, place: Place<'_>) -> Result<Members<'a>, Malformed> {
    match value {
        View::Object(members) => Ok(members),
        other => Err(Malformed::new(place, other.kind(), "an object")),
    }
}

pub(crate) fn into_array<'a>(value: View<'a>, place: Place<'_>) -> Result<Vec<View<'a>>, Malformed> {
    match value {
        View::Array(items) => Ok(items),
        other => Err(Malformed::new(place, other.kind(), "an array")),
    }
}

pub(crate) fn into_text<'a>(value: View<'a>, place: Place<'_>) -> Result<Text<'a>, Malformed> {
    match value {
        View::String(text) => Ok(text),
        other => Err(Malformed::new(place, other.kind(), "a string")),
    }
}

pub(crate) fn into_string(value: View<'_>, place: Place<'_>) -> Result<String, Malformed> {
    into_text(value, place).map(Cow::into_owned)
}

pub(crate) fn into_natural(value: View<'_>, place: Place<'_>) -> Result<u64, Malformed> {
    match value {
        View::Integer(number) => u64::try_from(number)
            .map_err(|_| Malformed::new(place, number.to_string(), "a whole number from 0")),
        other => Err(Malformed::new(place, other.kind(), "a whole number")),
    }
}

/// A string that is read further.
pub(crate) fn parse<T: FromStr<Err: Display>>(value: View<'_>, place: Place<'_>) -> Result<T, Malformed> {
    parse_text(&into_text(value, place)?, place)
}

pub(crate) fn parse_text<T: FromStr<Err: Display>>(text: &str, place: Place<'_>) -> Result<T, Malformed> {
    // The errors of our types say what they found themselves.
    text.parse().map_err(|error: T::Err| Malformed::new(place, format!("{text:?}"), error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_spelt_from_the_top_of_the_document() {
        let (document, signed) = (Place::Top(""), Place::Top("signed"));
        let signatures = document.member("signatures");
        assert_eq!(signatures.item(3).member("keyid").to_string(), "signatures.3.keyid");
        assert_eq!(signed.member("roles").to_string(), "signed.roles");
    }
}
