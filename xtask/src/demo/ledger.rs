//! What it cost: one row for each thing a client did, and a table at the end.

use std::fmt::Write as _;

use super::link::Exchange;

/// What one run of a client cost.
pub(super) struct Row {
    pub(super) who: String,
    pub(super) what: String,
    /// Requests.
    pub(super) requests: usize,
    /// Bytes of HTTP, both ways, heads included.
    pub(super) wire: u64,
    /// Bytes of the compressed full copy that a client without patches would fetch here; nothing where it would fetch
    /// nothing.
    pub(super) full: Option<u64>,
}

/// The rows so far.
#[derive(Default)]
pub(super) struct Ledger {
    rows: Vec<Row>,
}

impl Ledger {
    pub(super) fn add(
        &mut self,
        who: &str,
        what: impl Into<String>,
        exchanges: &[Exchange],
        full: Option<u64>,
    ) {
        let (requests, wire) = (exchanges.len(), wire(exchanges));
        self.rows.push(Row { who: who.to_owned(), what: what.into(), requests, wire, full });
    }

    /// The rows as a table with a sum. Updates are what is summed: a first install has nothing to save.
    pub(super) fn table(&self) -> String {
        let width = |text: fn(&Row) -> &str, least: usize| {
            self.rows.iter().map(|row| text(row).chars().count()).fold(least, usize::max)
        };
        let (who, what) = (width(|row| &row.who, 6), width(|row| &row.what, 4));
        let mut table = format!(
            "{:<who$}  {:<what$}  {:>8}  {:>12}  {:>12}  {:>7}\n",
            "client", "what", "requests", "bytes", "full copy", "saved"
        );
        for row in &self.rows {
            let full = row.full.map_or("-".to_owned(), grouped);
            let saved = row
                .full
                .filter(|full| *full > row.wire)
                .map_or("-".to_owned(), |full| percent(row.wire, full));
            // Writing to a string cannot fail.
            let _ = writeln!(
                table,
                "{:<who$}  {:<what$}  {:>8}  {:>12}  {full:>12}  {saved:>7}",
                row.who,
                row.what,
                row.requests,
                grouped(row.wire)
            );
        }
        table
    }

    /// Bytes of all updates, and of the full copies that they stood for.
    pub(super) fn updates(&self) -> (u64, u64) {
        let updates = self.rows.iter().filter(|row| row.full.is_some_and(|full| full > row.wire));
        updates.fold((0, 0), |(wire, full), row| (wire + row.wire, full + row.full.unwrap_or_default()))
    }
}

/// Bytes both ways.
pub(super) fn wire(exchanges: &[Exchange]) -> u64 {
    exchanges.iter().map(|exchange| exchange.sent + exchange.received).sum()
}

/// Digits in groups of three.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// How much less `part` is than `whole`.
pub(super) fn percent(part: u64, whole: u64) -> String {
    let saved = 100.0 - 100.0 * part as f64 / whole.max(1) as f64;
    format!("{saved:.1} %")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_numbers_for_people() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (12_345_678, "12,345,678")] {
            assert_eq!(grouped(number), text);
        }
        assert_eq!(percent(50, 1000), "95.0 %");
    }

    #[test]
    fn sums_what_was_saved_and_leaves_out_what_had_nothing_to_save() {
        let mut ledger = Ledger::default();
        let exchange = |received| Exchange { received, ..Exchange::default() };
        ledger.add("one", "first install", &[exchange(1010)], Some(1000));
        ledger.add("one", "update", &[exchange(30), exchange(20)], Some(1000));
        ledger.add("one", "poll", &[exchange(5)], None);
        assert_eq!(ledger.updates(), (50, 1000));
        let table = ledger.table();
        assert_eq!(table.lines().count(), 4);
        assert!(table.contains("95.0 %"), "{table}");
    }
}
