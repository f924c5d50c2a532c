//! What is written: lines, tables and JSON, all of it safe for terminals.

use crate::error::Error;
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write;

/// Longest text in characters. More of a single text would hide what precedes it.
const LONGEST: usize = 4_000;

/// Where results and messages are written, and whether results are JSON.
pub struct Output<'a> {
    /// Whether results are one JSON document instead of text.
    pub json: bool,
    /// Standard output: results.
    pub out: &'a mut dyn Write,
    /// Standard error: progress. A failure to write it does not change the result.
    pub messages: &'a mut dyn Write,
}

impl Output<'_> {
    /// Writes one line of a result. Blanks at its beginning are kept, because they are ours; others are one.
    pub fn line(&mut self, text: &str) -> Result<(), Error> {
        let indentation = text.len().saturating_sub(text.trim_start_matches(' ').len());
        Ok(writeln!(self.out, "{:indentation$}{}", "", printable(&one_blank(text)))?)
    }

    /// Writes one line with a title, behind which a text begins at this column.
    pub fn field(&mut self, title: &str, column: usize, text: &str) -> Result<(), Error> {
        Ok(writeln!(self.out, "{title:column$}{}", printable(&one_blank(text)))?)
    }

    /// Writes one line with a title and a step that helps. Blanks of a step are ours: what others chose is in
    /// it only as a word ([`crate::command`]).
    pub fn step(&mut self, title: &str, column: usize, step: &str) -> Result<(), Error> {
        Ok(writeln!(self.out, "{title:column$}{}", printable(step))?)
    }

    /// Writes a table: the first row has the titles of the columns.
    pub fn table<const N: usize>(&mut self, rows: &[[String; N]]) -> Result<(), Error> {
        for line in aligned(rows) {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// Writes a JSON document.
    pub fn document(&mut self, document: &Value) -> Result<(), Error> {
        Ok(writeln!(self.out, "{}", escaped_json(&format!("{document:#}")))?)
    }

    /// Writes a message about progress.
    pub fn say(&mut self, text: &str) {
        let _ = writeln!(self.messages, "{}", printable(&one_blank(text)));
    }
}

/// The rows of a table as lines, in the way of kubectl: columns of equal width, three blanks between them.
fn aligned<const N: usize>(rows: &[[String; N]]) -> Vec<String> {
    let shown: Vec<[String; N]> =
        rows.iter().map(|row| row.each_ref().map(|cell| printable(cell_or_none(&one_blank(cell))))).collect();
    let mut widths = [0; N];
    for row in &shown {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    shown.iter().map(line).collect()
}

fn cell_or_none(cell: &str) -> &str {
    if cell.is_empty() { "<none>" } else { cell }
}

/// A text of somebody else on one line: control and formatting characters are written as `\u{…}`, so that a
/// terminal shows them and does not obey, and what is very long is cut.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars().take(LONGEST) {
        match c {
            '\n' | '\t' | '\r' => shown.push(' '),
            c if is_printable(c) => shown.push(c),
            c => shown.extend(c.escape_unicode()),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// A text of somebody else with one blank where it has several, so that it cannot fill a line of a terminal
/// with blanks and seem to begin another one.
#[must_use]
pub fn one_blank(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Texts of somebody else, with commas between them. One with a comma or a quotation mark of its own is
/// quoted, so that it cannot look like several.
#[must_use]
pub fn listed(all: &[String]) -> String {
    let quoted = |text: &String| if text.contains([',', '"']) { format!("{text:?}") } else { text.clone() };
    all.iter().map(quoted).collect::<Vec<_>>().join(", ")
}

/// Whether a terminal shows a character as it is. Some letters look like blanks.
fn is_printable(c: char) -> bool {
    !matches!(c, '\u{115f}' | '\u{1160}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}') && is_shown(c)
}

fn is_shown(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

/// JSON with control and formatting characters as `\uXXXX` (RFC 8259, section 7). The value is the same: such
/// characters are only inside of strings.
fn escaped_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' || is_printable(c) {
            text.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing into a String cannot fail.
                let _ = write!(text, "\\u{unit:04x}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_could_mislead_on_a_terminal_is_escaped() {
        assert_eq!(printable("a\u{1b}[2J\u{202e}b\r\nc"), "a\\u{1b}[2J\\u{202e}b  c");
        assert_eq!(printable("\"é\\z'"), "\"é\\z'");
        assert!(printable(&"x".repeat(5_000)).ends_with("x…"));
        let value = json!({"a": "\u{202e}\u{9f}\u{1b}x\u{e0001}"});
        let shown = escaped_json(&value.to_string());
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(serde_json::from_str::<Value>(&shown).unwrap(), value);
    }

    #[test]
    fn columns_are_aligned_and_a_cell_is_never_empty() {
        let rows = [["NAME", "READY"], ["a-long-name", ""], ["b\u{7}", "True"]];
        let rows = rows.map(|row| row.map(str::to_owned));
        assert_eq!(aligned(&rows), ["NAME          READY", "a-long-name   <none>", "b\\u{7}        True"]);
    }

    #[test]
    fn a_line_of_somebody_else_stays_one_line() {
        let (mut out, mut messages) = (Vec::new(), Vec::new());
        let mut output = Output { json: false, out: &mut out, messages: &mut messages };
        output.line("one\ntwo").unwrap();
        output.say("three\nfour");
        assert_eq!((out, messages), (b"one two\n".to_vec(), b"three four\n".to_vec()));
    }

    #[test]
    fn blanks_of_somebody_else_forge_neither_a_line_nor_a_column() {
        let (mut out, mut messages) = (Vec::new(), Vec::new());
        let mut output = Output { json: false, out: &mut out, messages: &mut messages };
        let forged = format!("a{}\u{3000}\u{a0}b", " ".repeat(200));
        output.line(&format!("  {forged}")).unwrap();
        output.field("Title:", 8, &forged).unwrap();
        output.say(&forged);
        let rows = [["NAME", "READY"], [&forged, "False"]].map(|row| row.map(str::to_owned));
        output.table(&rows).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text, "  a b\nTitle:  a b\nNAME   READY\na b    False\n");
        assert_eq!(messages, b"a b\n");
        for blank in ['\u{2800}', '\u{3164}', '\u{115f}', '\u{1160}', '\u{ffa0}'] {
            assert_eq!(printable(&blank.to_string()), blank.escape_unicode().to_string());
        }
        let names = ["DNS:a".to_owned(), "DNS:b, DNS:c".to_owned()];
        assert_eq!(listed(&names), r#"DNS:a, "DNS:b, DNS:c""#);
    }
}
