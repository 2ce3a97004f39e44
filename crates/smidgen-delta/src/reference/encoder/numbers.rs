//! Little-endian numbers in files that may lie about where they are.

/// The 16-bit number at `at`.
pub(super) fn u16_at(file: &[u8], at: u64) -> Option<u16> {
    Some(u16::from_le_bytes(*file.get(usize::try_from(at).ok()?..)?.first_chunk()?))
}

/// The 32-bit number at `at`.
pub(super) fn u32_at(file: &[u8], at: u64) -> Option<u32> {
    Some(u32::from_le_bytes(*file.get(usize::try_from(at).ok()?..)?.first_chunk()?))
}

/// The 64-bit number at `at`.
pub(super) fn u64_at(file: &[u8], at: u64) -> Option<u64> {
    Some(u64::from_le_bytes(*file.get(usize::try_from(at).ok()?..)?.first_chunk()?))
}

/// Bytes of a longer name are not looked at.
const LONG_NAME: usize = 256;

/// A name that ends with a zero; empty if it begins behind the file.
pub(super) fn name_at(file: &[u8], at: u64) -> &[u8] {
    let rest = usize::try_from(at).ok().and_then(|at| file.get(at..)).unwrap_or_default();
    let rest = rest.get(..LONG_NAME).unwrap_or(rest);
    rest.split(|byte| *byte == 0).next().unwrap_or_default()
}

/// A name in a field of so many bytes that zeros fill up.
pub(super) fn text_at(file: &[u8], at: u64, len: u64) -> String {
    let end = at.saturating_add(len);
    let field =
        usize::try_from(at).ok().zip(usize::try_from(end).ok()).and_then(|(at, end)| file.get(at..end));
    let name = field.unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}
