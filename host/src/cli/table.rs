//! Results on a terminal: aligned columns, and nothing that the terminal would obey.

use crate::clock::Timestamp;
use std::fmt::Write as _;

/// Columns of text under their headings.
pub(super) struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(headings: &[&str]) -> Self {
        Self { rows: vec![headings.iter().map(|heading| heading.to_uppercase()).collect()] }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.iter().map(|cell| printable(cell)).collect());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.len() == 1
    }

    /// All rows; the last column is not padded.
    pub(super) fn text(&self) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                let _ = write!(line, "{cell:width$}  ");
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }

    /// Prints it, or this sentence in its place.
    pub(super) fn print(&self, empty: &str) {
        if self.is_empty() {
            println!("{empty}");
        } else {
            print!("{}", self.text());
        }
    }
}

/// Agents and providers choose some of what is shown: controls could move the cursor, and directional characters could
/// make one name look like another.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if unsafe_to_show(c) { '\u{fffd}' } else { c }).collect()
}

/// As [`printable`], with line breaks left in.
pub(super) fn printable_lines(text: &str) -> String {
    text.chars().map(|c| if unsafe_to_show(c) && c != '\n' { '\u{fffd}' } else { c }).collect()
}

fn unsafe_to_show(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// To the second, in UTC.
pub(super) fn time(at: Timestamp) -> String {
    let text = at.to_string();
    match text.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => text,
    }
}

/// Names in a row; a dash where there is none.
pub(super) fn list(names: &[String]) -> String {
    if names.is_empty() { "-".to_owned() } else { names.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_printed() {
        let mut table = Table::new(&["agent", "reason"]);
        table.row(["calendar".into(), "\u{1b}[2Jcleared\r\n\u{202e}txet".into()]);
        let text = table.text();
        assert_eq!(text, "AGENT     REASON\ncalendar  \u{fffd}[2Jcleared\u{fffd}\u{fffd}\u{fffd}txet\n");
    }

    #[test]
    fn times_are_read_to_the_second() {
        assert_eq!(time(Timestamp::from_millis(1_700_000_000_123)), "2023-11-14T22:13:20Z");
    }
}
