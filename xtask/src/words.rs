//! Words that this project once used in a meaning of its own. The field has terms for these things;
//! CONTRIBUTING.md lists them.

use crate::sources::{Source, sources};

/// The words, in lower case. `judge` and words with the same stem are found by their beginning.
const WORDS: [&str; 8] = ["dealings", "lasting", "door", "doors", "floor", "floors", "bed", "beds"];
const BEGINNINGS: [&str; 1] = ["judg"];

/// Files that name the words in order to forbid them, and texts of others.
fn may_use_them(source: &Source) -> bool {
    let path = source.path.to_string_lossy();
    path == "xtask/src/words.rs" || path == "CONTRIBUTING.md" || path == "tests/e2e/data/users-document.md"
}

fn found_words(text: &str) -> impl Iterator<Item = (usize, String)> {
    text.lines().enumerate().flat_map(|(index, line)| {
        // Digits are part of a name or of a hexadecimal number, in which a word means nothing.
        line.split(|c: char| !c.is_alphanumeric())
            .filter(|part| !part.contains(|c: char| c.is_ascii_digit()))
            .map(str::to_lowercase)
            .filter(|word| {
                WORDS.contains(&word.as_str()) || BEGINNINGS.iter().any(|begin| word.starts_with(begin))
            })
            .map(move |word| (index + 1, word))
            .collect::<Vec<_>>()
    })
}

#[test]
fn things_have_the_names_of_the_field() {
    let texts = sources(&tcs_testkit::repository(), &["rs", "md", "toml", "yaml", "go"]).unwrap();
    let mut found = Vec::new();
    for source in texts.iter().filter(|source| !may_use_them(source)) {
        for (line, word) in found_words(&source.text) {
            found.push(format!("{}:{line}: {word}", source.path.display()));
        }
    }
    let list = found.join("\n");
    assert!(found.is_empty(), "CONTRIBUTING.md, section Words, says what to write instead:\n{list}");
}

#[test]
fn words_are_found_in_names_too() {
    let text = "fn door_of()\nlet flooring = bedrock; // ff5bed80\n// the judges, and a Floor";
    let found: Vec<(usize, String)> = found_words(text).collect();
    assert_eq!(found, [(1, "door".into()), (3, "judges".into()), (3, "floor".into())]);
}
