//! Lower-case hexadecimal, the only spelling of bytes in metadata.

/// Writes two lower-case digits for each byte.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

fn digit(nibble: u8) -> char {
    char::from(if nibble < 10 {
        b'0'.wrapping_add(nibble)
    } else {
        b'a'.wrapping_sub(10).wrapping_add(nibble)
    })
}

fn value(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

/// Reads exactly `N` bytes. Upper case is read as well: other signers may write it.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    let mut bytes = [0_u8; N];
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = value(*high)? << 4 | value(*low)?;
    }
    Some(bytes)
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
