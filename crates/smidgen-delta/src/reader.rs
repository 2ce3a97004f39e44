//! The one cursor that header bytes are read through: it cannot overrun, and it takes numbers in one spelling only.
#![deny(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use crate::{ParseError, varint};

/// A cursor over bytes from outside. Every read names the field it is for, so that every error does.
pub(crate) struct BoundedReader<'a> {
    rest: &'a [u8],
    offset: u64,
}

impl<'a> BoundedReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// Bytes read so far.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn byte(&mut self, field: &'static str) -> Result<u8, ParseError> {
        let [byte] = self.array(field)?;
        Ok(byte)
    }

    pub(crate) fn array<const N: usize>(&mut self, field: &'static str) -> Result<[u8; N], ParseError> {
        let Some((bytes, rest)) = self.rest.split_first_chunk() else {
            return Err(self.truncated(field, N));
        };
        self.advance(rest);
        Ok(*bytes)
    }

    pub(crate) fn varint(&mut self, field: &'static str) -> Result<u64, ParseError> {
        match varint::read(self.rest) {
            Ok((value, rest)) => {
                self.advance(rest);
                Ok(value)
            }
            Err(varint::Fault::Truncated) => Err(self.truncated(field, self.rest.len().saturating_add(1))),
            Err(varint::Fault::NotCanonical) => Err(ParseError::NotCanonical { field }),
        }
    }

    fn advance(&mut self, rest: &'a [u8]) {
        let read = self.rest.len().saturating_sub(rest.len());
        self.offset = self.offset.saturating_add(read as u64);
        self.rest = rest;
    }

    fn truncated(&self, field: &'static str, wanted: usize) -> ParseError {
        ParseError::Truncated {
            field,
            found: self.offset.saturating_add(self.rest.len() as u64),
            expected: self.offset.saturating_add(wanted as u64),
        }
    }
}
