//! Where an object in the cluster differs from the expected one.

use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Longest value that is shown, in characters.
const SHOWN: usize = 120;

/// Fields for people, which decide nothing.
const TEXTS: [&str; 5] = ["message", "messageExpression", "reason", "auditAnnotations", "description"];

/// The first difference, in the order of the names of fields. What the API server adds by itself is none, and
/// neither are texts for people.
pub fn difference(field: &str, expected: Option<&Value>, found: Option<&Value>) -> Option<String> {
    let is_absent = |value: Option<&Value>| value.is_none_or(Value::is_null);
    match (expected, found) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            // Below `properties` of a schema, names are those of fields of objects.
            let are_properties = field.ends_with(".properties");
            let is_compared = |name: &&String| are_properties || !TEXTS.contains(&name.as_str());
            let mut names = names.into_iter().filter(is_compared);
            names.find_map(|name| difference(&format!("{field}.{name}"), one.get(name), other.get(name)))
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) => (0..one.len().max(other.len()))
            .find_map(|at| difference(&format!("{field}[{at}]"), one.get(at), other.get(at))),
        (one, other) if is_absent(one) && is_absent(other) => None,
        (one, Some(other)) if is_absent(one) && is_default(field, other) => None,
        (one, other) if one == other => None,
        (one, other) => Some(format!("{field} should be {} and is {}", shown(one), shown(other))),
    }
}

/// Whether the API server sets a field to this value if it is left out.
fn is_default(field: &str, value: &Value) -> bool {
    let name = field.rsplit('.').next().unwrap_or(field);
    match name {
        "matchPolicy" => *value == json!("Equivalent"),
        "failurePolicy" => *value == json!("Fail"),
        "scope" => *value == json!("*"),
        "namespaceSelector" | "objectSelector" => *value == json!({}),
        _ => false,
    }
}

fn shown(value: Option<&Value>) -> String {
    let Some(value) = value else { return "absent".to_owned() };
    let text = value.to_string();
    let cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_texts_are_no_difference() {
        let expected = json!({"a": [{"message": "x", "b": 1}], "n": null});
        let found = json!({"a": [{"message": "y", "b": 1, "scope": "*"}], "matchPolicy": "Equivalent"});
        assert_eq!(difference("spec", Some(&expected), Some(&found)), None);
    }

    #[test]
    fn a_property_that_is_named_like_a_text_is_compared() {
        for name in TEXTS {
            let schema = |maximum: u32| json!({"properties": {name: {"maxLength": maximum, "description": maximum.to_string()}}});
            let found = difference("schema", Some(&schema(1)), Some(&schema(2))).unwrap();
            assert_eq!(found, format!("schema.properties.{name}.maxLength should be 1 and is 2"));
            assert!(difference("schema", Some(&schema(1)), Some(&json!({"properties": {}}))).is_some());
        }
    }

    #[test]
    fn the_first_difference_is_named() {
        let differ = |one: Value, other: Value| difference("spec", Some(&one), Some(&other)).unwrap();
        assert_eq!(differ(json!({"a": 1}), json!({"a": 2})), "spec.a should be 1 and is 2");
        assert_eq!(differ(json!({"a": [1]}), json!({"a": [1, 2]})), "spec.a[1] should be absent and is 2");
        assert_eq!(differ(json!({"a": 1}), json!({})), "spec.a should be 1 and is absent");
        assert!(differ(json!({}), json!({"matchPolicy": "Exact"})).contains("matchPolicy"));
        assert!(differ(json!({}), json!({"a": "x".repeat(500)})).ends_with('…'));
    }
}
