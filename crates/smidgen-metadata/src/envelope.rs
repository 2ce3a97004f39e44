//! The envelope: signatures beside what they sign, and the count of those that hold.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use crate::canonical::{self, Members, ParseError, View};
use crate::error::{Authority, VerifyError};
use crate::fields::{Fields, Malformed, Place};
use crate::key::{KeyId, PublicKey};
use crate::limits::Limits;
use crate::role::{self, Role, RoleKind, RoleName};
use crate::verified::Verified;

/// A metadata file as received: parsed as strict JSON, but not trusted.
#[derive(Clone, Debug)]
pub struct RawMetadata<'a> {
    name: RoleName,
    /// As they stand in the file: what is no signature at all counts as one that does not hold.
    signatures: BTreeMap<KeyId, String>,
    signed: Members<'a>,
    /// The canonical form of `signed` as received, unknown members and all: what the signatures are over.
    message: Vec<u8>,
}

impl<'a> RawMetadata<'a> {
    /// Parses a file that is expected to hold the role `name`.
    ///
    /// # Errors
    /// [`VerifyError::LengthExceeded`] before anything is parsed, [`VerifyError::Malformed`] if it is not strict JSON or
    /// no envelope, or names one key id twice.
    pub fn parse(bytes: &'a [u8], name: impl Into<RoleName>, limits: &Limits) -> Result<Self, VerifyError> {
        let name = name.into();
        let value = canonical::parse_view(bytes, &limits.of_document(limits.max_len(&name)));
        let value = value.map_err(|error| match error {
            ParseError::TooLong { found, max } => {
                VerifyError::LengthExceeded { role: name.clone(), found, max }
            }
            ParseError::Syntax(found) => VerifyError::Malformed {
                role: name.clone(),
                fault: Malformed::new("the document", found, "strict JSON"),
            },
        })?;
        let (signatures, signed) =
            read_envelope(value).map_err(|fault| VerifyError::Malformed { role: name.clone(), fault })?;
        Ok(Self { name, signatures, message: signed.to_canonical(bytes.len()), signed })
    }

    /// Parses a file whose role only the file itself knows: for tools that show whatever they are given.
    ///
    /// # Errors
    /// As [`RawMetadata::parse`], with the limits of targets, which are the widest.
    pub fn parse_any(bytes: &'a [u8], limits: &Limits) -> Result<Self, VerifyError> {
        let mut raw = Self::parse(bytes, RoleKind::Targets, limits)?;
        let kind = RoleKind::ALL.into_iter().find(|kind| raw.found_type() == Some(kind.as_str()));
        raw.name = kind.unwrap_or(RoleKind::Targets).into();
        Ok(raw)
    }

    /// The role that the file was expected to hold.
    pub fn name(&self) -> &RoleName {
        &self.name
    }

    /// What the file itself says it is.
    pub fn found_type(&self) -> Option<&str> {
        match self.signed.get("_type") {
            Some(View::String(found)) => Some(found),
            _ => None,
        }
    }

    /// Ids of the keys whose signatures the file carries, valid or not.
    pub fn signers(&self) -> impl Iterator<Item = &KeyId> {
        self.signatures.keys()
    }

    #[cfg(feature = "sign")]
    pub(crate) fn signatures(&self) -> &BTreeMap<KeyId, String> {
        &self.signatures
    }

    #[cfg(feature = "sign")]
    pub(crate) fn signed(&self) -> &Members<'a> {
        &self.signed
    }

    /// The same, without borrowing the bytes that it was read from.
    pub fn into_owned(self) -> RawMetadata<'static> {
        let Self { name, signatures, signed, message } = self;
        RawMetadata { name, signatures, signed: signed.into_owned(), message }
    }

    /// The bytes that the signatures are over.
    pub fn message(&self) -> &[u8] {
        &self.message
    }

    /// Reads the role without checking any signature: for tools that show a file, never for decisions.
    ///
    /// # Errors
    /// [`VerifyError`] if it is not the role or not in its form.
    pub fn read_unverified<R: Role>(&self) -> Result<R, VerifyError> {
        role::read(self.signed.clone(), &self.name)
    }

    /// Counts the distinct keys of `signers` whose signature holds; fails below the threshold.
    ///
    /// TUF, section 4.3: a threshold is a number of keys, not of signatures. Each key counts once, whatever ids it goes by.
    pub(crate) fn check_signatures(&self, signers: &Signers<'_>) -> Result<(), VerifyError> {
        let mut valid: BTreeSet<Vec<u8>> = BTreeSet::new();
        for id in signers.keyids {
            let (Some(key), Some(signature)) = (signers.keys.get(id), self.signatures.get(id)) else {
                continue;
            };
            let Some(identity) = key.identity() else { continue };
            if !valid.contains(&identity) && key.verifies(&self.message, signature) {
                valid.insert(identity);
            }
        }
        let found = u64::try_from(valid.len()).unwrap_or(u64::MAX);
        if found < signers.threshold {
            let needed = signers.threshold;
            return Err(VerifyError::SignatureThreshold {
                role: self.name.clone(),
                authority: signers.authority.clone(),
                found,
                needed,
            });
        }
        Ok(())
    }

    /// Checks the signatures and only then reads the role.
    pub(crate) fn verify<R: Role>(self, signers: &Signers<'_>) -> Result<Verified<R>, VerifyError> {
        self.check_signatures(signers)?;
        role::read(self.signed, &self.name).map(Verified::vouch)
    }

    /// The same for a role that says itself who signs it: read first, and believed only after its signatures.
    pub(crate) fn verify_by_itself<R: Role>(
        mut self,
        signers: impl Fn(&R) -> Signers<'_>,
    ) -> Result<Verified<R>, VerifyError> {
        let claimed = role::read(std::mem::take(&mut self.signed), &self.name)?;
        self.check_signatures(&signers(&claimed))?;
        Ok(Verified::vouch(claimed))
    }
}

/// Who may sign a role, and who says so.
pub(crate) struct Signers<'a> {
    pub(crate) authority: Authority,
    pub(crate) keys: &'a BTreeMap<KeyId, PublicKey>,
    pub(crate) keyids: &'a BTreeSet<KeyId>,
    pub(crate) threshold: u64,
}

fn read_envelope(value: View<'_>) -> Result<(BTreeMap<KeyId, String>, Members<'_>), Malformed> {
    let top = Place::Top("");
    let mut fields = Fields::of(value, top)?;
    let place = top.member("signatures");
    let mut signatures = BTreeMap::new();
    for (index, item) in fields.array("signatures")?.into_iter().enumerate() {
        let mut item = Fields::of(item, place.item(index))?;
        let id = KeyId::from_text(item.string("keyid")?);
        let signature = item.string("sig")?;
        match signatures.entry(id) {
            Entry::Vacant(vacant) => vacant.insert(signature),
            Entry::Occupied(taken) => {
                return Err(Malformed::new(
                    "signatures",
                    format!("the key id {} twice", taken.key()),
                    "distinct key ids",
                ));
            }
        };
    }
    Ok((signatures, fields.members("signed")?))
}
