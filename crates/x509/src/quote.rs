//! Quotes parts of the input in messages.

/// Maximum length of a quoted text, in characters.
const MAX_QUOTED: usize = 100;

/// The text in quotation marks: what is not printable ASCII is escaped, and what is long is cut.
pub fn quoted(text: &str) -> String {
    let mut escaped = text.chars().flat_map(char::escape_default);
    let shown: String = escaped.by_ref().take(MAX_QUOTED).collect();
    let cut = if escaped.next().is_some() { "…" } else { "" };
    format!("\"{shown}{cut}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_texts_are_short_and_printable() {
        assert_eq!(quoted("a.example"), "\"a.example\"");
        assert_eq!(quoted("a\n\u{1b}[0mé\""), "\"a\\n\\u{1b}[0m\\u{e9}\\\"\"");
        assert_eq!(quoted(&"x".repeat(MAX_QUOTED)), format!("\"{}\"", "x".repeat(MAX_QUOTED)));
        assert_eq!(quoted(&"x".repeat(MAX_QUOTED + 1)), format!("\"{}…\"", "x".repeat(MAX_QUOTED)));
    }
}
