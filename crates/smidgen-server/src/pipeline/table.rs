//! The report's rows as a table in plain text.

use std::fmt;

use super::DeltaRow;

const HEADINGS: [&str; 8] =
    ["artifact", "pair", "full", "patch", "saved", "CPU s", "memory to apply", "peak"];

/// Writes a heading and one line for each row, in columns as wide as their widest cell.
pub(super) fn write(rows: &[DeltaRow], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let rows: Vec<[String; 8]> = rows.iter().map(cells).collect();
    let mut widths = HEADINGS.map(str::len);
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    line(&HEADINGS.map(str::to_owned), widths, f)?;
    rows.iter().try_for_each(|row| line(row, widths, f))
}

fn cells(row: &DeltaRow) -> [String; 8] {
    let old = row.old_version.as_deref().unwrap_or("(none)");
    let full = row.full_size.map_or_else(|| "-".into(), group);
    let [patch, saved, cpu, memory, peak] = match row.patch_size {
        Some(size) => [
            group(size),
            percent(row.saved, row.full_size),
            format!("{:.2}", row.cpu_seconds),
            group(row.apply_memory),
            row.apply_peak.map_or_else(|| "-".into(), group),
        ],
        None => [row.reason.clone().unwrap_or_default(), "-".into(), "-".into(), "-".into(), "-".into()],
    };
    let artifact = format!("{} {}", row.name, row.platform);
    [artifact, format!("{old} -> {}", row.new_version), full, patch, saved, cpu, memory, peak]
}

fn line(cells: &[String; 8], widths: [usize; 8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut text = String::new();
    for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
        // Names to the left, numbers to the right.
        let cell = if index < 2 { format!("{cell:<width$}  ") } else { format!("{cell:>width$}  ") };
        text.push_str(&cell);
    }
    writeln!(f, "{}", text.trim_end())
}

fn percent(saved: u64, full: Option<u64>) -> String {
    match full {
        Some(full) if full > 0 => format!("{:.1} %", saved as f64 * 100.0 / full as f64),
        _ => "-".into(),
    }
}

/// A number with a comma before each group of three digits.
fn group(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::DeltaReport;

    #[test]
    fn lines_columns_up() {
        let row = DeltaRow {
            name: "editor".into(),
            platform: "x86_64-linux".parse().unwrap(),
            old_version: Some("1.0".into()),
            new_version: "1.1".parse().unwrap(),
            full_size: Some(1_234_567),
            patch_size: Some(12_345),
            saved: 1_222_222,
            codec: Some("classic".into()),
            cpu_seconds: 1.5,
            apply_memory: 999,
            apply_peak: Some(3_145_728),
            reason: None,
        };
        let first = DeltaRow {
            old_version: None,
            patch_size: None,
            reason: Some("there is no older build".into()),
            ..row.clone()
        };
        let report = DeltaReport { artifacts: Vec::new(), rows: vec![row, first] };
        let expected = "\
artifact             pair                full                    patch   saved  CPU s  memory to apply       peak
editor x86_64-linux  1.0 -> 1.1     1,234,567                   12,345  99.0 %   1.50              999  3,145,728
editor x86_64-linux  (none) -> 1.1  1,234,567  there is no older build       -      -                -          -
";
        assert_eq!(report.to_string(), expected);
    }
}
