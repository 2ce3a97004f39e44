//! Where the bytes of a patch go: by section of the new file and by what is said there, and by class of reference.

use anyhow::Result;
use serde::{Serialize, Serializer};
use smidgen_delta::diff::{FileSection, sections_of};
use smidgen_delta::{ClassCosts, Costs, Digest, Patch, Share};

use super::picture;
use crate::exit::Exit;
use crate::failure::Problem;
use crate::quantity::{exact, percent, signed, table};

/// Columns of the picture: the new file is cut into so many equal pieces.
const COLUMNS: u64 = 300;
/// What the file has beside the sections that it names.
const BETWEEN: &str = "(between sections)";
/// The only section of a file that names none.
const WHOLE: &str = "(whole file)";

#[derive(Serialize)]
pub(super) struct Report {
    /// Bytes of header and section table.
    header: u64,
    /// Layouts and regions: what belongs to no place.
    #[serde(serialize_with = "in_bytes")]
    layout: f64,
    /// By place; what lies between the named ones comes last.
    sections: Vec<Section>,
    /// What ends the streams, and belongs to nothing; less than nothing where zeros at their ends are not written.
    #[serde(serialize_with = "in_bytes")]
    rounding: f64,
    /// References by class, the dearest first.
    classes: Vec<Class>,
    /// Stretches of which is said whether they rest: predicted, and of no class.
    resting: Cost,
    #[serde(skip)]
    columns: Vec<Costs>,
    #[serde(skip)]
    sizes: Sizes,
}

#[derive(Clone, Copy)]
struct Sizes {
    patch: u64,
    new: u64,
}

#[derive(Serialize)]
struct Section {
    name: String,
    offset: u64,
    size: u64,
    /// Of the patch, all kinds together.
    #[serde(serialize_with = "in_bytes")]
    bytes: f64,
    controls: Cost,
    predicted: Cost,
    mispredicted: Cost,
    differing: Cost,
    extra: Cost,
    #[serde(skip)]
    costs: Costs,
}

/// How often, and what it takes of the patch.
#[derive(Serialize)]
struct Cost {
    count: u64,
    #[serde(serialize_with = "in_bytes")]
    bytes: f64,
}

#[derive(Serialize)]
struct Class {
    class: &'static str,
    predicted: Cost,
    mispredicted: Cost,
}

/// To a hundredth: what is below it nobody pays.
fn in_bytes<S: Serializer>(bytes: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    // A sum with zero has no sign of its own.
    serializer.serialize_f64((bytes * 100.0).round() / 100.0 + 0.0)
}

impl From<Share> for Cost {
    fn from(share: Share) -> Self {
        Self { count: share.count, bytes: share.bytes() }
    }
}

impl Cost {
    fn include(&mut self, other: &Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}

impl Section {
    fn new(name: String, offset: u64, size: u64, costs: Costs) -> Self {
        Self {
            name,
            offset,
            size,
            bytes: costs.bits() / 8.0,
            controls: costs.controls.into(),
            predicted: costs.predicted.into(),
            mispredicted: costs.mispredicted.into(),
            differing: costs.differing.into(),
            extra: costs.extra.into(),
            costs,
        }
    }
}

impl Class {
    fn bytes(&self) -> f64 {
        self.predicted.bytes + self.mispredicted.bytes
    }
}

impl From<ClassCosts> for Class {
    fn from(costs: ClassCosts) -> Self {
        Self {
            class: costs.class,
            predicted: costs.predicted.into(),
            mispredicted: costs.mispredicted.into(),
        }
    }
}

impl Report {
    /// Applies `patch` to `old` and says what each part of the new file costs; `new` spares making it twice.
    pub(super) fn of(patch: &Patch<&[u8]>, patch_size: u64, old: &[u8], new: Option<&[u8]>) -> Result<Self> {
        let header = patch.header();
        let made = match new {
            Some(new) => {
                let (found, expected) = (Digest::of(new), header.new_digest);
                if found != expected {
                    let message = format!(
                        "the new file has digest {found}, the patch makes {expected}; leave --new out, and it is made"
                    );
                    return Err(Problem::new(Exit::NotApplicable, "new_differs", message).into());
                }
                None
            }
            None => {
                let mut made = Vec::new();
                patch.apply(&old, &mut made)?;
                Some(made)
            }
        };
        let named = sections_of(made.as_deref().or(new).unwrap_or_default());
        let cuts = Cuts::new(&named, header.new_size);
        let account = patch.account(&old, &cuts.borders)?.ok_or_else(|| {
            let message = format!(
                "codec {} packs each section as a whole, so that no byte has a price of its own; \
                 only patches of codec reference can be accounted for by place",
                header.codec
            );
            Problem::new(Exit::Failed, "not_by_place", message)
        })?;
        let mut columns = vec![Costs::default(); COLUMNS as usize];
        let mut costs = vec![Costs::default(); named.len() + 1];
        for (border, part) in cuts.borders.iter().zip(&account.parts) {
            columns[cuts.column(*border)].include(part);
            costs[cuts.section(*border)].include(part);
        }
        let between = header.new_size - named.iter().map(|section| section.len).sum::<u64>();
        let rest = if named.is_empty() { WHOLE } else { BETWEEN };
        let rest = Section::new(rest.to_owned(), 0, between, costs.pop().unwrap_or_default());
        let mut sections: Vec<Section> = named
            .into_iter()
            .zip(costs)
            .map(|(section, costs)| Section::new(section.name, section.offset, section.len, costs))
            .collect();
        sections.push(rest);
        let mut classes: Vec<Class> = account.classes.into_iter().map(Class::from).collect();
        classes.sort_by(|a, b| b.bytes().total_cmp(&a.bytes()));
        let (header_size, layout) = (header.encoded_len() as u64, account.layout.bytes());
        let told: f64 = sections.iter().map(|section| section.bytes).sum();
        Ok(Self {
            header: header_size,
            layout,
            rounding: patch_size as f64 - header_size as f64 - layout - told,
            sections,
            classes,
            resting: account.resting.into(),
            columns,
            sizes: Sizes { patch: patch_size, new: header.new_size },
        })
    }

    pub(super) fn text(&self) -> String {
        let titles = [
            "new file",
            "size",
            "controls",
            "predicted",
            "mispredicted",
            "differing",
            "extra",
            "all",
            "of the patch",
        ];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        let (mut all, mut shown) = (Costs::default(), 0);
        for section in &self.sections {
            all.include(&section.costs);
            if section.bytes >= 0.5 {
                rows.push(self.row(label(section), exact(section.size), &section.costs));
                shown += whole(section.bytes);
            }
        }
        let rest = |what: &str, bytes: i64| {
            let share = percent(bytes.unsigned_abs(), self.sizes.patch);
            let sign = if bytes < 0 { "-" } else { "" };
            let mut row = vec![String::new(); titles.len()];
            row[0] = what.to_owned();
            (row[7], row[8]) = (signed(bytes), format!("{sign}{share}"));
            row
        };
        let (layout, header) = (whole(self.layout), self.header);
        rows.push(rest("(layouts and regions)", layout as i64));
        rows.push(rest("(header)", header as i64));
        // Of the column as it is shown, so that it adds up.
        rows.push(rest("(rounding)", self.sizes.patch as i64 - (shown + layout + header) as i64));
        let mut sum = self.row("all".to_owned(), exact(self.sizes.new), &all);
        (sum[7], sum[8]) = (exact(self.sizes.patch), percent(self.sizes.patch, self.sizes.patch));
        rows.push(sum);
        let mut text = format!("\nwhere the bytes of the patch go\n\n{}", table(&rows));
        if !self.classes.is_empty() || self.resting.count > 0 {
            text.push_str(&format!("\nreferences in matches, by class\n\n{}", table(&self.class_rows())));
        }
        text
    }

    fn row(&self, name: String, size: String, costs: &Costs) -> Vec<String> {
        let shares = [costs.controls, costs.predicted, costs.mispredicted, costs.differing, costs.extra];
        let mut row = vec![name, size];
        row.extend(shares.map(|share| exact(whole(share.bytes()))));
        let bytes = whole(costs.bits() / 8.0);
        row.extend([exact(bytes), percent(bytes, self.sizes.patch)]);
        row
    }

    fn class_rows(&self) -> Vec<Vec<String>> {
        let titles = ["class", "count", "mispredicted", "bytes for predicted", "bytes for mispredicted"];
        let mut rows = vec![titles.map(str::to_owned).to_vec()];
        let row = |name: &str, [predicted, mispredicted]: [&Cost; 2]| {
            let count = predicted.count + mispredicted.count;
            vec![
                name.to_owned(),
                exact(count),
                percent(mispredicted.count, count),
                exact(whole(predicted.bytes)),
                exact(whole(mispredicted.bytes)),
            ]
        };
        let mut all = [Cost { count: 0, bytes: self.resting.bytes }, Cost { count: 0, bytes: 0.0 }];
        for class in &self.classes {
            let costs = [&class.predicted, &class.mispredicted];
            all.iter_mut().zip(costs).for_each(|(sum, cost)| sum.include(cost));
            rows.push(row(class.class, costs));
        }
        // Stretches are no references, and not counted with them.
        let resting = [String::new(), String::new(), exact(whole(self.resting.bytes))];
        rows.push(["(stretches that may rest)".to_owned()].into_iter().chain(resting).collect());
        rows.push(row("all", all.each_ref()));
        rows
    }

    /// The same as a drawing.
    pub(super) fn picture(&self) -> String {
        let sections = self.sections.iter().map(|section| picture::Section {
            name: label(section),
            offset: section.offset,
            size: section.size,
            is_at_one_place: section.name != BETWEEN,
            costs: section.costs,
        });
        picture::draw(&picture::Subject {
            patch_size: self.sizes.patch,
            new_size: self.sizes.new,
            around: self.header as f64 + self.layout + self.rounding,
            sections: sections.collect(),
            columns: &self.columns,
        })
    }
}

fn label(section: &Section) -> String {
    if section.name.is_empty() { "(unnamed)".to_owned() } else { section.name.clone() }
}

/// To whole bytes.
fn whole(bytes: f64) -> u64 {
    bytes.round().max(0.0) as u64
}

/// The new file cut wherever a section begins or ends, or a column of the picture begins.
struct Cuts {
    borders: Vec<u64>,
    /// First and last offset of each section, by place.
    sections: Vec<(u64, u64)>,
    new_size: u64,
}

impl Cuts {
    fn new(named: &[FileSection], new_size: u64) -> Self {
        let column =
            |column: u64| (u128::from(new_size) * u128::from(column)).div_ceil(COLUMNS.into()) as u64;
        let mut borders: Vec<u64> = (0..COLUMNS).map(column).collect();
        borders.extend(named.iter().flat_map(|section| [section.offset, section.offset + section.len]));
        borders.sort_unstable();
        borders.dedup();
        let sections = named.iter().map(|section| (section.offset, section.offset + section.len)).collect();
        Self { borders, sections, new_size }
    }

    /// The column that holds an offset.
    fn column(&self, offset: u64) -> usize {
        let column = u128::from(offset) * u128::from(COLUMNS) / u128::from(self.new_size.max(1));
        column.min((COLUMNS - 1).into()) as usize
    }

    /// Ordinal of the section that holds an offset; their number if none does.
    fn section(&self, offset: u64) -> usize {
        let holds = |(from, to): &(u64, u64)| (*from..*to).contains(&offset);
        self.sections.iter().position(holds).unwrap_or(self.sections.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_lie_in_one_column_and_one_section() {
        let section = |offset, len| FileSection { name: String::new(), offset, len };
        for new_size in [0, 1, 299, 300, 12_345] {
            let named: Vec<FileSection> = [section(0, new_size / 3), section(new_size / 2, new_size / 4)]
                .into_iter()
                .filter(|section| section.len > 0)
                .collect();
            let cuts = Cuts::new(&named, new_size);
            assert_eq!(cuts.borders[0], 0);
            for offset in 0..new_size {
                let border = *cuts.borders.iter().rev().find(|border| **border <= offset).unwrap();
                assert_eq!(cuts.column(border), cuts.column(offset), "{offset} of {new_size}");
                assert_eq!(cuts.section(border), cuts.section(offset), "{offset} of {new_size}");
            }
        }
    }
    #[test]
    fn reads_as_recorded() {
        let share = |count, bytes: f64| Share { count, bits: bytes * 8.0 };
        let costs = |bytes: f64| Costs {
            controls: share(40, bytes),
            predicted: share(70_000, bytes / 10.0),
            mispredicted: share(300, bytes * 2.0),
            differing: share(1200, bytes * 3.0),
            extra: share(9000, bytes * 5.0),
        };
        let class = |class, bytes| Class {
            class,
            predicted: share(69_000, bytes).into(),
            mispredicted: share(250, bytes * 8.0).into(),
        };
        let report = Report {
            header: 107,
            layout: 189.256,
            rounding: 0.33,
            sections: vec![
                Section::new(".text".to_owned(), 4096, 5_900_000, costs(3000.0)),
                Section::new(String::new(), 5_904_096, 12_000, costs(2.0)),
                Section::new(".cheap".to_owned(), 5_916_096, 500, costs(0.01)),
                Section::new(BETWEEN.to_owned(), 0, 4596, costs(11.0)),
            ],
            classes: vec![class("call", 500.0), class("pointer", 4.0)],
            resting: share(1200, 12.0).into(),
            columns: Vec::new(),
            sizes: Sizes { patch: 33_741, new: 5_921_192 },
        };
        insta::assert_snapshot!(report.text());
        insta::assert_snapshot!(serde_json::to_string_pretty(&report).unwrap());
    }
}
