//! Numbers as people read them.

use indicatif::{DecimalBytes, HumanCount};

/// A size rounded to what matters, in powers of 1000: "1.84 MB".
pub(crate) fn bytes(count: u64) -> String {
    DecimalBytes(count).to_string()
}

/// Every digit, grouped: "1,842,113".
pub(crate) fn exact(count: u64) -> String {
    HumanCount(count).to_string()
}

/// Every digit, and what is counted: "1 control", "1,500 controls".
pub(crate) fn counted(count: u64, what: &str) -> String {
    format!("{} {what}{}", exact(count), if count == 1 { "" } else { "s" })
}

/// Every digit of what may be less than nothing: "-3".
pub(crate) fn signed(count: i64) -> String {
    format!("{}{}", if count < 0 { "-" } else { "" }, exact(count.unsigned_abs()))
}

/// How much of `whole` is `part`, with as many digits as tell small shares apart: "0.41 %".
pub(crate) fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return "-".to_owned();
    }
    let share = part as f64 / whole as f64 * 100.0;
    match share {
        _ if part == 0 || part == whole => format!("{share:.0} %"),
        // Rounding must not claim the whole.
        share if share > 99.9 && share < 100.0 => "99.9 %".to_owned(),
        share if share >= 10.0 => format!("{share:.1} %"),
        share if share >= 0.1 => format!("{share:.2} %"),
        share => format!("{share:.4} %"),
    }
}

/// How much less than `whole` is `part`: "98.6 % saved", or the honest opposite.
pub(crate) fn saving(part: u64, whole: u64) -> String {
    if part > whole {
        return format!("{} more", percent(part - whole, whole));
    }
    format!("{} saved", percent(whole - part, whole))
}

/// Lines of a table: the first column to the left, all others to the right.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell: &String| cell.chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            match column {
                0 => line.push_str(&format!("  {cell:<width$}")),
                _ => line.push_str(&format!("  {cell:>width$}")),
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_keep_the_digits_that_matter() {
        assert_eq!(percent(1, 3), "33.3 %");
        assert_eq!(percent(41, 10_000), "0.41 %");
        assert_eq!(percent(4, 1_000_000), "0.0004 %");
        assert_eq!(percent(0, 7), "0 %");
        assert_eq!(percent(7, 7), "100 %");
        assert_eq!(percent(7, 0), "-");
        assert_eq!(percent(999_999, 1_000_000), "99.9 %");
        assert_eq!(percent(9, 7), "128.6 %");
    }

    #[test]
    fn one_is_not_many_and_less_than_nothing_is_told() {
        assert_eq!([0, 1, 1500].map(|count| counted(count, "seek")), ["0 seeks", "1 seek", "1,500 seeks"]);
        assert_eq!([-1234, 0, 7].map(signed), ["-1,234", "0", "7"]);
    }

    #[test]
    fn a_loss_is_not_called_a_saving() {
        assert_eq!(saving(25, 100), "75.0 % saved");
        assert_eq!(saving(125, 100), "25.0 % more");
    }

    #[test]
    fn tables_line_up() {
        let rows = [["section", "raw"], ["add", "1,234"]].map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(table(&rows), "  section    raw\n  add      1,234\n");
    }
}
