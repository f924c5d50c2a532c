//! What the tools read from and write to: time, standard output and standard error.

use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::exit::Exit;

/// Where results and messages are written, and what time it is.
pub struct Io<'a> {
    /// Name of the tool, with which every message begins.
    pub tool: &'static str,
    /// Unix seconds.
    pub now: i64,
    /// Waits between two attempts to reach a service.
    pub wait: &'a dyn Fn(Duration),
    /// Standard output: results.
    pub out: &'a mut dyn Write,
    /// Standard error: warnings and other messages. A failure to write them does not change the result.
    pub messages: &'a mut dyn Write,
}

impl Io<'_> {
    /// Writes a warning, one line.
    pub fn warn(&mut self, text: &str) {
        self.say(&format!("warning: {text}"));
    }

    /// Writes a message, one line.
    pub fn say(&mut self, text: &str) {
        let _ = writeln!(self.messages, "{}: {}", self.tool, printable(text));
    }
}

/// Maximum number of characters of a text that reaches a terminal.
const LONGEST_TEXT: usize = 1_000;

/// Texts from files, names and services are untrusted. Control and formatting characters are replaced before
/// they reach a terminal, and a long text is cut, so that it cannot hide what precedes it.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut shown: String =
        text.chars().take(LONGEST_TEXT).map(|c| if is_printable(c) { c } else { '?' }).collect();
    if text.chars().nth(LONGEST_TEXT).is_some() {
        shown.push('…');
    }
    shown
}

/// Whether a terminal shows a character as it is: no control or formatting character.
#[must_use]
pub fn is_printable(c: char) -> bool {
    matches!(c, '"' | '\'' | '\\') || c.escape_debug().len() == 1
}

/// Writes the one line of a refusal to standard error and returns the exit status of its class.
#[must_use]
pub fn refuse(tool: &str, code: &str, message: &str, advice: &str, exit: Exit) -> ExitCode {
    let line = format!("{tool}: error[{code}]: {}; {}", printable(message), printable(advice));
    // Even if standard error is closed, the exit status reports the refusal.
    let _ = writeln!(std::io::stderr(), "{line}");
    exit.into()
}

/// The time, Unix seconds. A clock outside every sensible range gives an instant at which nothing is valid.
#[must_use]
pub fn now() -> i64 {
    #[expect(clippy::disallowed_methods, reason = "this is where time enters the tools")]
    let time = SystemTime::now();
    time.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mislead_on_a_terminal_is_replaced() {
        let text = "a\u{1b}[2J\u{202e}\u{2028}\u{200b}\r\n\t\"é\u{9f}\\z'";
        assert_eq!(printable(text), "a?[2J??????\"é?\\z'");
        let long = printable(&"x".repeat(5_000));
        assert_eq!((long.chars().count(), long.ends_with("x…")), (LONGEST_TEXT + 1, true));
    }
}
