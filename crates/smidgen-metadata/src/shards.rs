//! Shards: the many small repositories under one root that together hold the build lines of a publisher.
//!
//! Root says how many there are and what they are called, so that a client works out from signed data alone where its
//! line is and which name the timestamp there must carry. A repository that is not cut up is the only shard.

use crate::canonical::{Value, integer};
use crate::fields::Malformed;
use crate::release::{LineId, Name};
use crate::root::Root;
use crate::timestamp::REPOSITORY;

/// How many shards there are, in root; left out when it is one.
const SHARDS: &str = "x-smidgen-shards";

/// The shards under a root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shards {
    name: Name,
    /// The leading bits of a line id that choose the shard, at most [`Shards::MAX_BITS`].
    bits: u32,
}

/// One of the shards under a root.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    /// Its folder below the address of the whole, without a slash at the end: `shards/0a3`. Empty for the only shard.
    pub folder: String,
    /// The name that its timestamp and snapshot are signed with: `acme-0a3`. That of the whole for the only shard.
    pub name: Name,
}

/// A number of shards that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found {found} shards, expected a power of two from 1 to {}", 1_u32 << Shards::MAX_BITS)]
pub struct ShardsError {
    found: u64,
}

impl Shards {
    /// A line id has 64 bits; 2^16 shards of 64 lines hold four million.
    pub const MAX_BITS: u32 = 16;
    /// The folder of all shards, where there are several.
    pub const FOLDER: &str = "shards";

    /// `count` shards (a power of two) of the publisher `name`.
    ///
    /// # Errors
    /// [`ShardsError`] if there cannot be so many.
    pub fn new(name: Name, count: u64) -> Result<Self, ShardsError> {
        let bits = count.checked_ilog2().filter(|bits| count.is_power_of_two() && *bits <= Self::MAX_BITS);
        Ok(Self { name, bits: bits.ok_or(ShardsError { found: count })? })
    }

    /// What root says; `None` if it names no repository, as the roots of other publishers.
    ///
    /// # Errors
    /// [`Malformed`] if it says it in another form than this.
    pub fn of(root: &Root) -> Result<Option<Self>, Malformed> {
        let place = |member: &str| format!("signed.{member}");
        let name = match root.unknown.get(REPOSITORY) {
            None => return Ok(None),
            Some(Value::String(name)) => name.parse().map_err(|error: crate::release::NameError| {
                Malformed::new(place(REPOSITORY), format!("{name:?}"), error.to_string())
            })?,
            Some(other) => return Err(Malformed::new(place(REPOSITORY), other.kind(), "a string")),
        };
        let count = match root.unknown.get(SHARDS) {
            None => 1,
            Some(Value::Integer(count)) => u64::try_from(*count).unwrap_or(0),
            Some(other) => return Err(Malformed::new(place(SHARDS), other.kind(), "a whole number")),
        };
        let shards = Self::new(name, count);
        shards.map(Some).map_err(|error| Malformed::new(place(SHARDS), count.to_string(), error.to_string()))
    }

    /// Writes it into root, which has to be signed afterwards.
    pub fn write(&self, root: &mut Root) {
        root.unknown.insert(REPOSITORY.to_owned(), self.name.as_str().into());
        match self.count() {
            1 => _ = root.unknown.remove(SHARDS),
            count => _ = root.unknown.insert(SHARDS.to_owned(), integer(count)),
        }
    }

    /// The publisher's name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        1 << self.bits
    }

    /// The shard of a build line.
    pub fn of_line(&self, line: LineId) -> Shard {
        // Shifting by all 64 bits is no shift at all.
        self.shard(line.to_bits().checked_shr(u64::BITS.saturating_sub(self.bits)).unwrap_or(0))
    }

    /// The shard that keeps itself in the folder with this name below [`Shards::FOLDER`], if there is one.
    pub fn in_folder(&self, folder: &str) -> Option<Shard> {
        let number = u64::from_str_radix(folder, 16).ok().filter(|number| *number < self.count())?;
        Some(self.shard(number))
            .filter(|shard| shard.folder.strip_prefix(Self::FOLDER) == Some(&format!("/{folder}")))
    }

    fn shard(&self, number: u64) -> Shard {
        if self.bits == 0 {
            return Shard { folder: String::new(), name: self.name.clone() };
        }
        let digits = usize::try_from(self.bits.div_ceil(4)).unwrap_or_default();
        let number = format!("{number:0digits$x}");
        // A name of 64 characters leaves no room for the number; `new` could refuse it, but a root may say anything.
        let stem: String =
            self.name.chars().take(Name::MAX_LEN.saturating_sub(digits).saturating_sub(1)).collect();
        let name = format!("{stem}-{number}").parse().unwrap_or_else(|_| self.name.clone());
        Shard { folder: format!("{}/{number}", Self::FOLDER), name }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::role::Header;

    fn shards(count: u64) -> Shards {
        Shards::new("acme".parse().unwrap(), count).unwrap()
    }

    fn root() -> Root {
        Root::new(Header::new(1, "2026-11-23T16:00:00Z".parse().unwrap()))
    }

    #[test]
    fn leading_bits_of_the_line_id_choose_the_shard() {
        let line: LineId = "67f4aabb4a7979e4".parse().unwrap();
        for (count, folder, name) in [
            (1, "", "acme"),
            (2, "shards/0", "acme-0"),
            (4, "shards/1", "acme-1"),
            (16, "shards/6", "acme-6"),
            (32, "shards/0c", "acme-0c"),
            (4096, "shards/67f", "acme-67f"),
            (65_536, "shards/67f4", "acme-67f4"),
        ] {
            let shard = shards(count).of_line(line);
            assert_eq!((shard.folder.as_str(), shard.name.as_str()), (folder, name), "{count}");
        }
        let last: LineId = "ffffffffffffffff".parse().unwrap();
        assert_eq!(shards(32).of_line(last).folder, "shards/1f");
    }

    #[test]
    fn a_folder_is_that_of_one_shard_or_none() {
        let shards = shards(32);
        let found: BTreeSet<_> =
            (0..40).filter_map(|number| shards.in_folder(&format!("{number:02x}"))).collect();
        assert_eq!(found.len(), 32);
        assert_eq!(shards.in_folder("1f").unwrap().name.as_str(), "acme-1f");
        for other in ["", "1", "01f", "1F", "20", "+1", "xx", "..", "1f/"] {
            assert_eq!(shards.in_folder(other), None, "{other}");
        }
        assert_eq!(super::tests::shards(1).in_folder("0"), None);
    }

    #[test]
    fn root_says_what_was_written_and_nothing_else() {
        let mut root = root();
        assert_eq!(Shards::of(&root), Ok(None));
        for count in [4096, 1] {
            shards(count).write(&mut root);
            assert_eq!(Shards::of(&root), Ok(Some(shards(count))));
        }
        for wrong in
            [Value::Integer(0), Value::Integer(-2), Value::Integer(3), Value::Integer(131_072), "2".into()]
        {
            root.unknown.insert(SHARDS.to_owned(), wrong);
            Shards::of(&root).unwrap_err();
        }
        root.unknown.insert(SHARDS.to_owned(), Value::Integer(2));
        for wrong in [Value::Integer(1), "a/b".into(), "".into()] {
            root.unknown.insert(REPOSITORY.to_owned(), wrong);
            Shards::of(&root).unwrap_err();
        }
    }

    #[test]
    fn the_longest_name_leaves_room_for_the_number() {
        let longest: Name = "a".repeat(64).parse().unwrap();
        let shard = Shards::new(longest, 4096).unwrap().of_line("67f4aabb4a7979e4".parse().unwrap());
        assert_eq!(shard.name.as_str(), format!("{}-67f", "a".repeat(60)));
    }
}
