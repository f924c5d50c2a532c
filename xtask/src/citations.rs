//! Texts of the repository cite public specifications and pages of the repository, nothing else.

use crate::sources::{Source, sources};

/// Words before `reference,` that named documents outside the repository.
const DOCUMENTS: [&str; 10] = [
    "protocol",
    "x509",
    "verification",
    "platforms",
    "platform",
    "conformance",
    "stack",
    "crypto",
    "delivery",
    "sgx",
];

/// The citations in a text: line and words.
fn citations(text: &str) -> Vec<(usize, String)> {
    let lines: Vec<&str> = text.lines().map(without_comment_marks).collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        // A citation may continue in the next line of a comment.
        let both = format!("{line} {}", lines.get(index + 1).copied().unwrap_or_default());
        let begins =
            |at: &usize| both[..*at].chars().next_back().is_none_or(|before| !before.is_alphanumeric());
        let mut places = line.char_indices().map(|(at, _)| at).filter(begins);
        if let Some(words) = places.find_map(|at| citation(&both[at..])) {
            found.push((index + 1, words));
        }
    }
    found
}

fn without_comment_marks(line: &str) -> &str {
    line.trim().trim_start_matches(['/', '!', '#', ' '])
}

/// The citation with which a text begins.
fn citation(text: &str) -> Option<String> {
    let mut words = text.split_whitespace();
    let (first, second, third) = (words.next()?, words.next()?, words.next().unwrap_or_default());
    let is_number = |word: &str| word.starts_with(|c: char| c.is_ascii_digit());
    let document = first.rsplit('-').next().unwrap_or_default();
    let cites = match (first, second) {
        (_, "reference,") => DOCUMENTS.contains(&document),
        ("reference,", _) => second == "section" && is_number(third) || is_number(second),
        ("design," | "design", "section") => true,
        // Lists of requirements and issues that are not public.
        ("acceptance" | "Acceptance", _) => is_number(second) && second.contains('.'),
        ("issue" | "Issue" | "crypto-and-x509", _) => is_number(second),
        // The ids of docs/conformance.md are cited with its name.
        ("conformance", _) => {
            second.len() > 1 && second.starts_with(['A', 'B', 'D', 'X', 'Q']) && is_number(&second[1..])
        }
        _ => false,
    };
    cites.then(|| [first, second, third].join(" "))
}

#[test]
fn nothing_outside_the_repository_is_cited() {
    let texts = sources(&tcs_testkit::repository(), &["rs", "md", "toml", "yaml"]).unwrap();
    let mut found = Vec::new();
    for Source { path, text } in texts.iter().filter(|source| !source.path.ends_with("src/citations.rs")) {
        for (line, words) in citations(text) {
            found.push(format!("{}:{line}: {words}", path.display()));
        }
    }
    let list = found.join("\n");
    assert!(found.is_empty(), "cite an RFC, a public specification or a page of docs/ instead:\n{list}");
}

#[test]
fn citations_are_found() {
    for text in [
        "//! The wire (provisioning-protocol reference, section 1).",
        "/// (Gramine; platform reference,\n/// section 3)",
        "// crypto-and-x509 reference, 4.3",
        "// as CTK does (crypto-and-x509 1.1).",
        "//! design, section 5",
        "//! Acceptance 2.4: bit flips.",
        "// as issue 14 says",
        "/// never a root (conformance B4).",
    ] {
        assert_eq!(citations(text).len(), 1, "{text}");
    }
    for text in [
        "/// RFC 5280, section 4.1.2.7",
        "/// `docs/protocol.md`, \"Wrapped keys\"",
        "/// `docs/conformance.md`, B05",
        "/// a reference, not a copy",
        "/// by design, sections of it",
        "acceptance of evidence",
    ] {
        assert_eq!(citations(text), [], "{text}");
    }
}
