//! Code that is compiled for tests only.

use syn::{Attribute, Meta};

/// Whether attributes say that code is compiled for tests only: `#[test]`, `#[cfg(test)]`, `#[cfg(all(test,
/// …))]`.
pub fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => {
            let condition: String = list.tokens.to_string().split_whitespace().collect();
            let all = condition.strip_prefix("all(").and_then(|rest| rest.strip_suffix(')'));
            condition == "test" || all.is_some_and(|all| all.split(',').any(|part| part == "test"))
        }
        _ => false,
    })
}
