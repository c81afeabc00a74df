//! Tables of text: columns as wide as what stands in them, two spaces between, no lines to get in the way of `cut`.

use super::{Style, plain};

/// A table under construction.
///
/// Cells are shown without control characters: what stands in them was often written by somebody else.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    /// Columns whose cells stand to the right, as numbers do.
    right: Vec<bool>,
    rows: Vec<Vec<Cell>>,
}

/// One cell: its text, and how it is shown.
#[derive(Debug)]
pub(crate) struct Cell {
    text: String,
    style: Option<Style>,
}

impl Cell {
    /// A cell with emphasis where that can be seen.
    pub(crate) fn styled(style: Style, text: impl Into<String>) -> Self {
        Self { text: plain(&text.into()), style: Some(style) }
    }
}

impl<T: Into<String>> From<T> for Cell {
    fn from(text: T) -> Self {
        Self { text: plain(&text.into()), style: None }
    }
}

impl Table {
    /// A table with these columns. A heading that starts with `>` is one of numbers: its cells stand to the right.
    pub(crate) fn new<const N: usize>(headings: [&'static str; N]) -> Self {
        Self {
            right: headings.iter().map(|heading| heading.starts_with('>')).collect(),
            headings: headings.iter().map(|heading| heading.trim_start_matches('>')).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row with a cell for each column; missing ones stay empty.
    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        debug_assert!(N <= self.headings.len(), "a row has no more cells than there are columns");
        self.rows.push(cells.into());
    }

    /// The lines to print.
    pub(crate) fn lines(&self, is_styled: bool) -> Vec<String> {
        let widths: Vec<usize> = (0..self.headings.len()).map(|column| self.width(column)).collect();
        let headings = self.headings.iter().map(|heading| Cell::styled(Style::Heading, heading.to_uppercase()));
        let headings: Vec<_> = headings.collect();
        std::iter::once(&headings).chain(&self.rows).map(|row| self.line(row, &widths, is_styled)).collect()
    }

    fn width(&self, column: usize) -> usize {
        let cells = self.rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
        cells.max().unwrap_or_default().max(self.headings[column].chars().count())
    }

    fn line(&self, row: &[Cell], widths: &[usize], is_styled: bool) -> String {
        let mut line = String::new();
        for ((cell, width), right) in row.iter().zip(widths).zip(&self.right) {
            if !line.is_empty() {
                line.push_str("  ");
            }
            // Counted before emphasis, which takes no room.
            let space = " ".repeat(width - cell.text.chars().count());
            let text = match cell.style.filter(|_| is_styled && !cell.text.is_empty()) {
                Some(style) => style.apply(&cell.text),
                None => cell.text.clone(),
            };
            line = if *right { format!("{line}{space}{text}") } else { format!("{line}{text}{space}") };
        }
        line.truncate(line.trim_end().len());
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_stands_in_them() {
        let mut table = Table::new(["name", ">requests"]);
        table.row(["receipts".into(), "7".into()]);
        table.row(["s".into(), Cell::styled(Style::Bad, "1000000000")]);
        assert_eq!(table.lines(false), ["NAME        REQUESTS", "receipts           7", "s         1000000000"]);
    }

    #[test]
    fn emphasis_takes_no_room_and_control_characters_are_shown() {
        let mut table = Table::new(["name", "state"]);
        table.row([Cell::styled(Style::Good, "a"), "up".into()]);
        table.row(["b\u{1b}".into(), "down".into()]);
        let lines = table.lines(true);
        assert_eq!(lines[1], "\u{1b}[32ma\u{1b}[0m        up");
        assert_eq!(lines[2], "b\\u{1b}  down");
    }
}
