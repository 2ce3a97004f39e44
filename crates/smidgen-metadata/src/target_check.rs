//! A file against what targets metadata says of it, piece by piece.

use sha2::Digest as _;

use crate::hex;
use crate::role::Hashes;
use crate::targets::Target;

/// Compares a file with a target while it comes in: never more bytes than are listed, and in the end the same digests.
///
/// TUF, section 5.7.3: at most the listed number of bytes is downloaded, and the digests must match.
#[derive(Clone, Debug)]
pub struct TargetCheck {
    left: u64,
    length: u64,
    hashes: Hashes,
    sha256: sha2::Sha256,
    sha512: Option<sha2::Sha512>,
}

/// A file that is not the target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the file has {property} {found}, expected {listed} as listed; it is damaged or another one: fetch it again"
)]
pub struct TargetMismatch {
    /// "length", "sha256" or "sha512".
    pub property: &'static str,
    /// What the file has.
    pub found: String,
    /// What is listed.
    pub listed: String,
}

impl TargetCheck {
    /// Begins a comparison.
    pub fn new(target: &Target) -> Self {
        let has_sha512 = target.hashes.iter().any(|(name, _)| name == "sha512");
        Self {
            left: target.length,
            length: target.length,
            hashes: target.hashes.clone(),
            sha256: sha2::Sha256::new(),
            sha512: has_sha512.then(sha2::Sha512::new),
        }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// [`TargetMismatch`] as soon as the file is longer than listed: stop the download.
    pub fn update(&mut self, piece: &[u8]) -> Result<(), TargetMismatch> {
        let len = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.left = self.left.checked_sub(len).ok_or_else(|| TargetMismatch {
            property: "length",
            found: format!("more than {} bytes", self.length),
            listed: self.length.to_string(),
        })?;
        self.sha256.update(piece);
        if let Some(sha512) = &mut self.sha512 {
            sha512.update(piece);
        }
        Ok(())
    }

    /// Ends the comparison: every digest of an algorithm that we have must match, and at least one must be listed.
    ///
    /// # Errors
    /// [`TargetMismatch`] if the file is another one, or shorter.
    pub fn finish(self) -> Result<(), TargetMismatch> {
        if self.left > 0 {
            let found = self.length.saturating_sub(self.left).to_string();
            return Err(TargetMismatch { property: "length", found, listed: self.length.to_string() });
        }
        let sha256 = hex::encode(&self.sha256.finalize());
        let sha512 = self.sha512.map(|sha512| hex::encode(&sha512.finalize())).unwrap_or_default();
        match self.hashes.mismatch_of(|| sha256.clone(), || sha512.clone()) {
            Some((property, found, listed)) => Err(TargetMismatch { property, found, listed }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::Object;
    use crate::digest::Sha256;

    fn target(hashes: Hashes, length: u64) -> Target {
        Target { length, hashes, custom: None, unknown: Object::new() }
    }

    #[test]
    fn a_file_passes_in_any_pieces_and_no_other_one_does() {
        let target = target(Hashes::sha256(Sha256::of(b"content")), 7);
        let check = |pieces: &[&[u8]]| {
            let mut check = TargetCheck::new(&target);
            pieces.iter().try_for_each(|piece| check.update(piece))?;
            check.finish()
        };
        assert_eq!(check(&[b"content"]), Ok(()));
        assert_eq!(check(&[b"con", b"", b"tent"]), Ok(()));
        let property = |pieces: &[&[u8]]| check(pieces).unwrap_err().property;
        assert_eq!(property(&[b"Content"]), "sha256");
        assert_eq!(property(&[b"conten"]), "length");
        assert_eq!(property(&[b"content", b"!"]), "length");
    }
}
