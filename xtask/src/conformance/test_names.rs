//! Names of tests in a source file.

/// The names of the functions that an attribute marks as tests.
///
/// The text is searched instead of being parsed, because some tests are inside macros such as `proptest!`.
pub fn test_names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.ends_with("test]") || line.contains("test(");
        } else if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
            names.extend(rest.get(..end).map(str::to_owned));
            is_test = false;
        } else if !line.starts_with("//") {
            is_test = false;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_found_and_other_functions_are_not() {
        let text = "
            #[test]
            /// Why.
            #[ignore]
            fn one() {}
            fn helper() {}
            #[tokio::test]
            async fn two() {}
            #[derive(Debug)]
            struct A;
            #[cfg(test)]
            mod tests { fn three() {} }
            proptest! {
                #[test]
                fn four(a in 0..1) {}
            }";
        assert_eq!(test_names(text), ["one", "two", "four"]);
    }
}
