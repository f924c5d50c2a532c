//! The pages of a list, put together.

use crate::error::Error;
use serde_json::Value;
use std::collections::BTreeSet;

/// How many pages are read at most. With 500 objects a page, more would be no list for people.
const MAX_PAGES: usize = 400;

/// What was read of a list so far.
#[derive(Debug, Default)]
pub struct Pages {
    /// The objects.
    pub objects: Vec<Value>,
    /// The tokens of the pages that were asked for.
    tokens: BTreeSet<String>,
    was_restarted: bool,
}

impl Pages {
    /// Takes a page; the token of the next one. A list without an end fails.
    pub fn take(&mut self, action: &str, mut page: Value) -> Result<Option<String>, Error> {
        if let Some(items) = page.get_mut("items").and_then(Value::as_array_mut) {
            self.objects.append(items);
        }
        let next = page.pointer("/metadata/continue").and_then(Value::as_str).filter(|next| !next.is_empty());
        let Some(next) = next.map(str::to_owned) else { return Ok(None) };
        if self.tokens.len() >= MAX_PAGES || !self.tokens.insert(next.clone()) {
            let cause = "the API server sends the same pages again, or too many".to_owned();
            return Err(Error::ObjectUnreadable { object: format!("the answer to {action:?}"), cause });
        }
        Ok(Some(next))
    }

    /// Whether the list is read anew after this error: once, if what it continued has expired meanwhile.
    pub fn restart(&mut self, error: &Error) -> bool {
        let has_expired = error.has_reason("Expired") || error.has_reason("Gone");
        if !has_expired || self.tokens.is_empty() || self.was_restarted {
            return false;
        }
        *self = Self { was_restarted: true, ..Self::default() };
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn page(object: u32, next: &str) -> Value {
        json!({"items": [object], "metadata": {"continue": next}})
    }

    fn expired() -> Error {
        Error::Rejected { action: "list".into(), reason: "Expired".into(), message: "too old".into() }
    }

    #[test]
    fn a_list_without_an_end_fails() {
        let mut pages = Pages::default();
        assert_eq!(pages.take("list", page(1, "a")).unwrap().as_deref(), Some("a"));
        assert_eq!(pages.take("list", page(2, "b")).unwrap().as_deref(), Some("b"));
        assert_eq!(pages.take("list", page(3, "a")).unwrap_err().code(), "ObjectUnreadable");
        let mut endless = Pages::default();
        let failed = (0..=MAX_PAGES).find(|at| endless.take("list", page(1, &at.to_string())).is_err());
        assert_eq!(failed, Some(MAX_PAGES));
    }

    #[test]
    fn an_expired_list_is_read_anew_once() {
        let mut pages = Pages::default();
        assert!(!pages.restart(&expired()), "nothing was continued");
        pages.take("list", page(1, "a")).unwrap();
        assert!(!pages.restart(&Error::NotFound("x".into())));
        assert!(pages.restart(&expired()) && pages.objects.is_empty());
        pages.take("list", page(1, "a")).unwrap();
        assert_eq!(pages.take("list", page(2, "")).unwrap(), None);
        assert_eq!(pages.objects, [1, 2]);
        assert!(!pages.restart(&expired()), "once");
    }
}
