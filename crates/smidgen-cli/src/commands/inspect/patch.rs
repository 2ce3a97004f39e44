//! What a patch says: sizes and digests, sections, controls, and where the new file's bytes come from.

use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;
use smidgen_delta::{Codec, Limits, Patch, SectionKind};

use super::account;
use crate::quantity::{bytes, counted, exact, percent, table};

/// Characters of the picture.
const PICTURE_WIDTH: u64 = 64;

#[derive(Serialize)]
pub(super) struct Report {
    version: u8,
    codec: String,
    patch_size: u64,
    old_size: u64,
    new_size: u64,
    old_digest: String,
    new_digest: String,
    window_log: u8,
    apply_memory: u64,
    /// Bytes of header and section table.
    header_size: u64,
    sections: Vec<Section>,
    controls: u64,
    /// Bytes taken over from the old file, changed ones included.
    add: u64,
    /// Of these, as they were and changed; unknown where what changes stands only beside the old file.
    add_zero: Option<u64>,
    add_non_zero: Option<u64>,
    extra: u64,
    seeks_back: u64,
    seeks_forward: u64,
    seek_distance: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<account::Report>,
    /// Where a picture of it was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) picture: Option<PathBuf>,
}

#[derive(Serialize)]
struct Section {
    kind: String,
    raw_size: u64,
    packed_size: u64,
    /// Whether the raw size counts bytes.
    #[serde(skip)]
    is_bytes: bool,
}

impl Report {
    pub(super) fn of(raw: &[u8]) -> Result<Self> {
        let patch = Patch::open(raw, &Limits::default())?;
        let (header, inspection) = (patch.header(), patch.inspect()?);
        let is_told = header.codec != Codec::Reference;
        Ok(Self {
            version: header.version,
            codec: header.codec.to_string(),
            patch_size: raw.len() as u64,
            old_size: header.old_size,
            new_size: header.new_size,
            old_digest: header.old_digest.to_string(),
            new_digest: header.new_digest.to_string(),
            window_log: header.window_log,
            apply_memory: header.apply_memory(),
            header_size: header.encoded_len() as u64,
            sections: header
                .sections
                .iter()
                .map(|section| Section {
                    kind: section.kind.to_string(),
                    raw_size: section.raw_size,
                    packed_size: section.packed_size,
                    is_bytes: !matches!(section.kind, SectionKind::Plan | SectionKind::References),
                })
                .collect(),
            controls: inspection.controls,
            add: inspection.add_zero.saturating_add(inspection.add_non_zero),
            add_zero: is_told.then_some(inspection.add_zero),
            add_non_zero: is_told.then_some(inspection.add_non_zero),
            extra: inspection.extra,
            seeks_back: inspection.seeks_back,
            seeks_forward: inspection.seeks_forward,
            seek_distance: inspection.seek_distance,
            account: None,
            picture: None,
        })
    }

    /// Adds where the bytes of the patch go.
    pub(super) fn account_for(
        &mut self,
        raw: &[u8],
        old: &[u8],
        new: Option<&[u8]>,
    ) -> Result<&account::Report> {
        let patch = Patch::open(raw, &Limits::default())?;
        Ok(self.account.insert(account::Report::of(&patch, raw.len() as u64, old, new)?))
    }

    pub(super) fn text(&self) -> String {
        let promise = table(&[
            vec!["old".into(), exact(self.old_size), self.old_digest.clone()],
            vec!["new".into(), exact(self.new_size), self.new_digest.clone()],
        ]);
        let mut parts = match (self.add_zero, self.add_non_zero) {
            (Some(same), Some(changed)) => {
                vec![('=', "taken over as it was", same), ('~', "taken over, byte changed", changed)]
            }
            _ => vec![('=', "taken over, corrected where it differs", self.add)],
        };
        parts.push(('+', "sent", self.extra));
        let shares: Vec<Vec<String>> = parts
            .iter()
            .map(|&(sign, what, part)| {
                vec![format!("{sign} {what}"), exact(part), percent(part, self.new_size)]
            })
            .collect();
        let widths: Vec<(char, u64)> = parts.iter().map(|&(sign, _, part)| (sign, part)).collect();
        let account = self.account.as_ref().map(account::Report::text).unwrap_or_default();
        let drawn = self.picture.as_ref().map(|path| format!("\npicture: {}\n", path.display()));
        format!(
            "patch: container version {}, codec {}, {} bytes ({} of the new file)\n\n{promise}\n{}\n\
             new file, by where its bytes come from\n\n  [{}]\n\n{}\n\
             {}; {} back, {} forward, over {} in all\n\
             applying needs up to {} of memory (window of 2^{} bytes)\n",
            self.version,
            self.codec,
            exact(self.patch_size),
            percent(self.patch_size, self.new_size),
            table(&self.streams()),
            picture(&widths),
            table(&shares),
            counted(self.controls, "control"),
            counted(self.seeks_back, "seek"),
            exact(self.seeks_forward),
            bytes(self.seek_distance),
            bytes(self.apply_memory),
            self.window_log,
        ) + &account
            + &drawn.unwrap_or_default()
    }

    /// The sections of the patch, called streams here: sections are also what the new file has.
    fn streams(&self) -> Vec<Vec<String>> {
        let titles = ["stream", "raw", "packed", "packed/raw", "of the patch"];
        let share = |packed_size| percent(packed_size, self.patch_size);
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        rows.extend(self.sections.iter().map(|section| {
            let (raw, ratio) = if section.is_bytes {
                (exact(section.raw_size), percent(section.packed_size, section.raw_size))
            } else {
                ("-".to_owned(), "-".to_owned())
            };
            vec![section.kind.clone(), raw, exact(section.packed_size), ratio, share(section.packed_size)]
        }));
        for (what, size) in [("(header)", self.header_size), ("all", self.patch_size)] {
            let (raw, ratio) = (String::new(), String::new());
            rows.push(vec![what.to_owned(), raw, exact(size), ratio, share(size)]);
        }
        rows
    }
}

/// A bar of [`PICTURE_WIDTH`] characters in which each part has its share, and at least one character if it has any
/// byte at all; the largest part gives them up.
fn picture(parts: &[(char, u64)]) -> String {
    let whole: u64 = parts.iter().map(|(_, part)| part).sum();
    if whole == 0 {
        return " ".repeat(PICTURE_WIDTH as usize);
    }
    let mut widths: Vec<u64> = parts
        .iter()
        .map(|&(_, part)| match u128::from(part) * u128::from(PICTURE_WIDTH) / u128::from(whole) {
            0 if part > 0 => 1,
            width => width as u64,
        })
        .collect();
    let others: u64 = widths.iter().sum();
    if let Some(widest) = widths.iter_mut().max() {
        *widest = (*widest + PICTURE_WIDTH).saturating_sub(others);
    }
    parts.iter().zip(widths).map(|(&(sign, _), width)| sign.to_string().repeat(width as usize)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_recorded() {
        let report = Report {
            version: 1,
            codec: "classic".into(),
            patch_size: 45_292,
            old_size: 11_534_336,
            new_size: 11_600_000,
            old_digest: "0a".repeat(32),
            new_digest: "9c".repeat(32),
            window_log: 23,
            apply_memory: 9_000_000,
            header_size: 92,
            sections: [("add lens", 3_000, 1_200), ("add runs", 60_000, 14_000), ("extra", 70_000, 30_000)]
                .map(|(kind, raw_size, packed_size)| Section {
                    kind: kind.into(),
                    raw_size,
                    packed_size,
                    is_bytes: true,
                })
                .into(),
            controls: 1_500,
            add: 11_530_000,
            add_zero: Some(11_400_000),
            add_non_zero: Some(130_000),
            extra: 70_000,
            seeks_back: 700,
            seeks_forward: 799,
            seek_distance: 4_200_000,
            account: None,
            picture: None,
        };
        insta::assert_snapshot!(report.text());
    }

    #[test]
    fn pictures_have_one_width_and_hide_nothing() {
        for parts in [[1, 1, 1], [1_000_000, 1, 1], [0, 0, 5], [0, 7, 0], [u64::MAX / 4, 3, u64::MAX / 4]] {
            let [same, changed, sent] = parts;
            let picture = picture(&[('=', same), ('~', changed), ('+', sent)]);
            assert_eq!(picture.len() as u64, PICTURE_WIDTH, "{picture}");
            for (sign, part) in [('=', same), ('~', changed), ('+', sent)] {
                assert_eq!(picture.contains(sign), part > 0, "{picture}");
            }
        }
        assert_eq!(picture(&[('=', 0)]).trim(), "");
    }
}
