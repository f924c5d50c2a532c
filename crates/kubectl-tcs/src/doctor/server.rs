//! The version of the API server.

use super::finding::Finding;
use serde_json::Value;

/// The oldest minor version of Kubernetes 1 that supports the CRDs.
const OLDEST: u64 = 32;
const CHECK: &str = "Version";
const OBJECT: &str = "API server";

/// Checks what `/version` says.
pub fn version(answer: &Value) -> Finding {
    // Some providers append a `+` to the minor version.
    let number = |field: &str| {
        let text = answer.get(field).and_then(Value::as_str)?;
        text.trim_end_matches('+').parse::<u64>().ok()
    };
    let (Some(major), Some(minor)) = (number("major"), number("minor")) else {
        return Finding::unchecked(CHECK, OBJECT, format!("its version cannot be read: {answer}"));
    };
    let found = format!("Kubernetes {major}.{minor}, expected 1.{OLDEST} or later");
    if (major, minor) >= (1, OLDEST) {
        Finding::good(CHECK, OBJECT, found)
    } else {
        Finding::wrong(CHECK, OBJECT, found, "upgrade the cluster")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::Outcome;
    use serde_json::json;

    #[test]
    fn old_api_servers_are_refused() {
        let outcome = |answer: Value| version(&answer).outcome;
        assert_eq!(outcome(json!({"major": "1", "minor": "32+"})), Outcome::Good);
        assert_eq!(outcome(json!({"major": "1", "minor": "31"})), Outcome::Wrong);
        assert_eq!(outcome(json!({"major": "1", "minor": ""})), Outcome::Unchecked);
        assert_eq!(outcome(json!({})), Outcome::Unchecked);
    }
}
