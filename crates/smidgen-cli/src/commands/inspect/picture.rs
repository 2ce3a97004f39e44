//! The picture of a patch: along the new file, what each piece of it costs; below, what each section does.

use std::fmt::Write as _;

use smidgen_delta::{Costs, Share};

use crate::quantity::{bytes, counted, exact, percent};

/// What is drawn.
pub(super) struct Subject<'a> {
    pub(super) patch_size: u64,
    pub(super) new_size: u64,
    /// Bytes of the patch that belong to no place.
    pub(super) around: f64,
    pub(super) sections: Vec<Section>,
    /// The costs of equal pieces of the new file.
    pub(super) columns: &'a [Costs],
}

pub(super) struct Section {
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) size: u64,
    /// Whether it is one range of the file.
    pub(super) is_at_one_place: bool,
    pub(super) costs: Costs,
}

/// A kind of cost: its name, its colour, and how to read it off.
type Kind = (&'static str, &'static str, fn(&Costs) -> Share);

/// From the axis up, in colours that colour-blind eyes tell apart.
const KINDS: [Kind; 5] = [
    ("extra bytes", "#4b5563", |costs| costs.extra),
    ("differing bytes", "#e69f00", |costs| costs.differing),
    ("mispredicted references", "#d55e00", |costs| costs.mispredicted),
    ("predicted references", "#009e73", |costs| costs.predicted),
    ("controls", "#56b4e9", |costs| costs.controls),
];

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 40.0;
const RIGHT: f64 = 960.0;
const TOP: f64 = 134.0;
const AXIS: f64 = 334.0;
const BAND: f64 = 22.0;
const ROWS_TOP: f64 = 426.0;
const ROW: f64 = 25.0;
/// Where the bars of sections begin and end.
const BAR: (f64, f64) = (230.0, 750.0);
/// Sections with a bar of their own.
const MAX_ROWS: usize = 14;
/// One in so many columns may be cut, so that the others are seen beside it.
const CUT: usize = 60;
/// Bits of a column that are worth it to cut others.
const WORTH_SEEING: f64 = 64.0;
/// About the width of a letter of the smallest type.
const LETTER: f64 = 6.4;

const INK: &str = "#1f2328";
const FAINT: &str = "#656d76";
const GRID: &str = "#e3e8ed";

/// Draws the picture as SVG.
pub(super) fn draw(subject: &Subject<'_>) -> String {
    let mut rows: Vec<&Section> =
        subject.sections.iter().filter(|section| section.costs.bits() >= 4.0).collect();
    rows.sort_by(|a, b| b.costs.bits().total_cmp(&a.costs.bits()));
    let rest = rows.split_off(rows.len().min(MAX_ROWS));
    let height = ROWS_TOP + ROW * (rows.len() + 1) as f64 + 24.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif\" role=\"img\">\n\
         <title>Where the bytes of a patch go</title>\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" rx=\"10\" fill=\"#ffffff\" stroke=\"#d8dee4\"/>\n"
    );
    let title = format!("Where the {} of the patch go", counted(subject.patch_size, "byte"));
    text(&mut svg, (LEFT, 38.0), 18.0, INK, "start", &title);
    let shares = match subject.new_size {
        0 => "the new file is empty".to_owned(),
        size => format!("{} of the new file's {}", percent(subject.patch_size, size), counted(size, "byte")),
    };
    text(&mut svg, (RIGHT, 38.0), 13.0, FAINT, "end", &shares);
    draw_legend(&mut svg, subject);
    draw_columns(&mut svg, subject);
    draw_band(&mut svg, subject);
    draw_rows(&mut svg, subject, &rows, &rest);
    svg.push_str("</svg>\n");
    svg
}

fn draw_legend(svg: &mut String, subject: &Subject<'_>) {
    let mut all = Costs::default();
    subject.columns.iter().for_each(|column| all.include(column));
    let step = (RIGHT - LEFT) / KINDS.len() as f64;
    for (index, (name, colour, share)) in KINDS.iter().rev().enumerate() {
        let x = LEFT + step * index as f64;
        rectangle(svg, (x, 60.0), (12.0, 12.0), colour, "");
        text(svg, (x + 18.0, 70.5), 12.0, INK, "start", name);
        let share = share(&all);
        let said = format!("{} for {}", counted(share.bytes().round() as u64, "byte"), exact(share.count));
        text(svg, (x + 18.0, 86.0), 11.0, FAINT, "start", &said);
    }
}

/// The costs along the file, stacked.
fn draw_columns(svg: &mut String, subject: &Subject<'_>) {
    let columns = subject.columns;
    let mut totals: Vec<f64> = columns.iter().map(Costs::bits).collect();
    totals.sort_by(f64::total_cmp);
    let most = totals.last().copied().unwrap_or(0.0);
    let usual = totals.get((columns.len() - 1).saturating_sub(columns.len() / CUT)).copied().unwrap_or(0.0);
    // A few peaks are cut only if they would flatten all the rest, and there is a rest.
    let is_cut = usual >= WORTH_SEEING && usual * 2.0 < most;
    let limit = if is_cut { usual * 1.25 } else { most }.max(8.0);
    let width = (RIGHT - LEFT) / columns.len() as f64;
    let y = |bits: f64| AXIS - (bits / limit).min(1.0) * (AXIS - TOP);
    line(svg, (LEFT, TOP), (RIGHT, TOP), GRID);
    // The highest first: each kind covers what lies below it.
    for (index, (name, colour, _)) in KINDS.iter().enumerate().rev() {
        let mut path = format!("M{LEFT} {AXIS}");
        for (column, costs) in columns.iter().enumerate() {
            let below: f64 = KINDS.iter().take(index + 1).map(|(_, _, share)| share(costs).bits).sum();
            let _ = write!(path, "V{:.1}H{:.1}", y(below), LEFT + width * (column + 1) as f64);
        }
        let _ = writeln!(svg, "<path d=\"{path}V{AXIS}Z\" fill=\"{colour}\"><title>{name}</title></path>");
    }
    for (column, costs) in columns.iter().enumerate().filter(|(_, costs)| costs.bits() > limit) {
        let x = LEFT + width * (column as f64 + 0.5);
        let _ = writeln!(
            svg,
            "<path d=\"M{:.1} {:.1}l4 -7l4 7Z\" fill=\"{INK}\"><title>{}</title></path>",
            x - 4.0,
            TOP - 3.0,
            counted((costs.bits() / 8.0).round() as u64, "byte")
        );
    }
    line(svg, (LEFT, AXIS), (RIGHT, AXIS), FAINT);
    if subject.new_size == 0 {
        return;
    }
    let piece = bytes(subject.new_size.div_ceil(columns.len() as u64));
    let cut = if is_cut { "; what goes beyond it is cut and marked" } else { "" };
    let top = counted((limit / 8.0).round() as u64, "byte");
    let said = format!("upper line: {top} for {piece} of the file{cut}");
    text(svg, (LEFT, TOP - 14.0), 11.0, FAINT, "start", &said);
    let middle = f64::midpoint(TOP, AXIS);
    let _ = writeln!(
        svg,
        "<text transform=\"translate({:.1} {middle:.1}) rotate(-90)\" font-size=\"11\" fill=\"{FAINT}\" \
         text-anchor=\"middle\">bytes of the patch</text>",
        LEFT - 8.0
    );
}

/// The sections under the columns, with their names where there is room.
fn draw_band(svg: &mut String, subject: &Subject<'_>) {
    let scale = (RIGHT - LEFT) / subject.new_size.max(1) as f64;
    let at = AXIS + 6.0;
    let mut label_end = LEFT;
    for (index, section) in subject.sections.iter().filter(|section| section.is_at_one_place).enumerate() {
        let (x, width) = (LEFT + section.offset as f64 * scale, section.size as f64 * scale);
        let colour = if index % 2 == 0 { "#dbe3ea" } else { "#eef2f5" };
        let hint = format!("{}: {}", section.name, counted(section.size, "byte"));
        rectangle(svg, (x, at), (width, BAND), colour, &hint);
        let label = LETTER * section.name.chars().count() as f64;
        if label + 6.0 <= width && x >= label_end {
            text(svg, (x + width / 2.0, at + 15.0), 11.0, INK, "middle", &section.name);
            label_end = x;
        }
    }
    text(svg, (LEFT, at + BAND + 16.0), 11.0, FAINT, "start", "start of the new file");
    text(svg, (RIGHT, at + BAND + 16.0), 11.0, FAINT, "end", &bytes(subject.new_size));
}

/// A bar for each of the dearest sections, and one line for what is left.
fn draw_rows(svg: &mut String, subject: &Subject<'_>, rows: &[&Section], rest: &[&Section]) {
    text(svg, (LEFT, ROWS_TOP - 12.0), 13.0, INK, "start", "By section");
    let most = rows.iter().map(|section| section.costs.bits()).fold(1.0, f64::max);
    let mut y = ROWS_TOP;
    for section in rows {
        text(svg, (BAR.0 - 10.0, y + 14.0), 12.0, INK, "end", &shortened(&section.name));
        let mut x = BAR.0;
        for (name, colour, share) in KINDS {
            let share = share(&section.costs);
            let width = share.bits / most * (BAR.1 - BAR.0);
            let cost = counted(share.bytes().round() as u64, "byte");
            let hint = format!("{}, {name}: {cost}", section.name);
            if width >= 0.05 {
                rectangle(svg, (x, y + 2.0), (width, ROW - 8.0), colour, &hint);
            }
            x += width;
        }
        let cost = (section.costs.bits() / 8.0).round() as u64;
        let said = format!("{} ({})", exact(cost), percent(cost, subject.patch_size));
        text(svg, (x + 8.0, y + 14.0), 12.0, INK, "start", &said);
        let of = format!("of {}", bytes(section.size));
        text(svg, (RIGHT, y + 14.0), 11.0, FAINT, "end", &of);
        y += ROW;
    }
    let others: f64 = rest.iter().map(|section| section.costs.bits() / 8.0).sum();
    let around = counted(subject.around.round() as u64, "byte");
    let said = if rest.is_empty() {
        format!("header, layouts, regions and rounding: {around}")
    } else {
        format!(
            "header, layouts, regions and rounding: {around}; {}: {}",
            counted(rest.len() as u64, "more section"),
            exact(others.round() as u64)
        )
    };
    text(svg, (BAR.0, y + 16.0), 11.0, FAINT, "start", &said);
}

/// A name that fits in front of its bar.
fn shortened(name: &str) -> String {
    const MOST: usize = 26;
    if name.chars().count() <= MOST {
        return name.to_owned();
    }
    name.chars().take(MOST - 2).chain("..".chars()).collect()
}

fn text(svg: &mut String, at: (f64, f64), size: f64, colour: &str, anchor: &str, text: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{:.1}\" y=\"{:.1}\" font-size=\"{size}\" fill=\"{colour}\" text-anchor=\"{anchor}\">{}</text>",
        at.0,
        at.1,
        escaped(text)
    );
}

fn rectangle(svg: &mut String, corner: (f64, f64), (width, height): (f64, f64), colour: &str, hint: &str) {
    let _ = write!(
        svg,
        "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"",
        corner.0, corner.1
    );
    if hint.is_empty() {
        svg.push_str("/>\n");
    } else {
        let _ = writeln!(svg, "><title>{}</title></rect>", escaped(hint));
    }
}

fn line(svg: &mut String, from: (f64, f64), to: (f64, f64), colour: &str) {
    let _ = writeln!(
        svg,
        "<line x1=\"{:.1}\" y1=\"{:.1}\" x2=\"{:.1}\" y2=\"{:.1}\" stroke=\"{colour}\"/>",
        from.0, from.1, to.0, to.1
    );
}

/// Names of sections are the file's, and may be anything.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn costs(bits: f64) -> Costs {
        let share = |bits| Share { count: 3, bits };
        Costs {
            controls: share(bits),
            predicted: share(bits / 2.0),
            mispredicted: share(bits * 3.0),
            differing: share(bits),
            extra: share(bits * 4.0),
        }
    }

    #[test]
    fn pictures_look_as_recorded() {
        let section = |name: &str, offset, size, bits| Section {
            name: name.to_owned(),
            offset,
            size,
            is_at_one_place: name != "(between sections)",
            costs: costs(bits),
        };
        let sections = vec![
            section(".text", 4096, 60_000, 9000.0),
            section(".ro<data>", 70_000, 20_000, 2500.0),
            section(".empty", 90_000, 1000, 0.0),
            section("(between sections)", 0, 9000, 10.0),
        ];
        let columns: Vec<Costs> = (0..8).map(|column| costs(f64::from(column * column * 40))).collect();
        let subject =
            Subject { patch_size: 14_000, new_size: 100_000, around: 120.0, sections, columns: &columns };
        insta::assert_snapshot!(draw(&subject));
    }

    #[test]
    fn nothing_at_all_can_be_drawn() {
        let subject = Subject {
            patch_size: 100,
            new_size: 0,
            around: 100.0,
            sections: Vec::new(),
            columns: &[Costs::default()],
        };
        let svg = draw(&subject);
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert!(svg.contains(">the new file is empty<") && !svg.contains("upper line"), "{svg}");
    }

    /// All of it was cut where most columns cost nothing, and the upper line stood for 0 bytes.
    #[test]
    fn a_column_that_stands_alone_is_not_cut() {
        let mut columns = vec![Costs::default(); 300];
        columns[7] = costs(200.0);
        let subject = Subject {
            patch_size: 400,
            new_size: 372_000,
            around: 100.0,
            sections: Vec::new(),
            columns: &columns,
        };
        let svg = draw(&subject);
        assert!(svg.contains("upper line: 238 bytes for 1.24 kB of the file<"), "{svg}");
    }
}
