//! The tests that SECURITY.md names exist.

use std::collections::BTreeSet;
use std::path::Path;
use tcs_testkit::repository;

/// How the names of tests in SECURITY.md begin.
const PREFIXES: [&str; 5] = ["review_", "w_", "x02_", "a_", "clients_"];

fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split('(').next());
            found.extend(names.map(|name| name.trim().to_owned()));
        }
    }
}

#[test]
fn every_test_that_the_threat_model_names_exists() {
    let mut known = BTreeSet::new();
    for folder in ["crates", "tests", "xtask"] {
        functions(&repository().join(folder), &mut known);
    }
    let page = std::fs::read_to_string(repository().join("SECURITY.md")).unwrap();
    let is_name = |word: &&str| {
        PREFIXES.iter().any(|prefix| word.starts_with(prefix))
            && word.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '…'))
    };
    let mut named = 0;
    for name in page.split('`').skip(1).step_by(2).filter(is_name) {
        named += 1;
        let exists = match name.strip_suffix('…') {
            Some(beginning) => known.iter().any(|known| known.starts_with(beginning)),
            None => known.contains(name),
        };
        assert!(exists, "SECURITY.md names the test {name}, which is not there");
    }
    assert!(named > 10, "{named}");
}
