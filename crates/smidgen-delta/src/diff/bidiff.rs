//! Writes a script as bidiff's own stream.

use std::io;

use super::{
    DiffError,
    pack::{Packed, Strength, pack},
    script::Script,
};
use crate::SectionKind;

/// The one section of a bidiff patch for `script`.
pub(super) fn encode(script: &Script<'_>, strength: Strength) -> Result<Vec<Packed>, DiffError> {
    Ok(vec![pack(SectionKind::Interleaved, &stream(script)?, strength)?])
}

/// `script` as bidiff's stream.
fn stream(script: &Script<'_>) -> Result<Vec<u8>, DiffError> {
    let failed = |_: io::Error| DiffError::Pack { reason: "bidiff's writer failed on memory" };
    let mut writer = ::bidiff::enc::Writer::new(Vec::new()).map_err(failed)?;
    // A control's seek comes after its parts: the first place in the old file takes a control of its own.
    if let Some(first) = script.steps.first().filter(|first| first.old_offset > 0) {
        let seek = first.old_offset as i64;
        writer.write(&::bidiff::Control { add: &[], copy: &[], seek }).map_err(failed)?;
    }
    let mut add = Vec::new();
    let mut parts = script.parts().peekable();
    while let Some(part) = parts.next() {
        add.clear();
        add.extend(part.differences());
        let old_end = part.step.old_offset + part.step.add_len;
        let next = parts.peek().map_or(old_end, |next| next.step.old_offset);
        let control = ::bidiff::Control { add: &add, copy: part.extra, seek: next as i64 - old_end as i64 };
        writer.write(&control).map_err(failed)?;
    }
    Ok(writer.into_inner())
}
