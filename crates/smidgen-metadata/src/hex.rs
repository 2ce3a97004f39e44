//! Lower-case hexadecimal, the only spelling of bytes in metadata.

/// Writes two lower-case digits for each byte.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            text.extend(char::from_digit(u32::from(nibble), 16));
        }
    }
    text
}

/// Reads exactly `N` bytes. Upper case is read as well: other signers may write it.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0_u8; N];
    let mut digits =
        text.chars().map(|character| character.to_digit(16).and_then(|digit| u8::try_from(digit).ok()));
    for byte in &mut bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = high << 4 | low;
    }
    digits.next().is_none().then_some(bytes)
}

/// Reads bytes of any number. At most 4096 of them: signatures and keys are shorter.
#[cfg(feature = "tuf-compat")]
pub(crate) fn decode_all(text: &str) -> Option<Vec<u8>> {
    if text.len() > 8192 || !text.len().is_multiple_of(2) {
        return None;
    }
    let mut digits = text.chars().map(|digit| digit.to_digit(16));
    let mut bytes = Vec::new();
    while let Some(high) = digits.next() {
        bytes.push(u8::try_from(high? << 4 | digits.next()??).ok()?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_nothing_else() {
        assert_eq!(encode(&[0, 15, 255]), "000fff");
        assert_eq!(decode::<3>("000fFf"), Some([0, 15, 255]));
        for text in ["", "00", "000ff", "000fff0", "000fff00", "000fgf", "０00fff"] {
            assert_eq!(decode::<3>(text), None, "{text}");
        }
    }
}
