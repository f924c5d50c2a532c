//! Ids of rules: a letter and a number (`B05`), or `W-`, a letter and a number (`W-S7`).

use serde::Deserialize;
use std::fmt;

/// The id of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct RuleId {
    /// Whether it is about a weakness of the original.
    is_weakness: bool,
    letter: char,
    number: u8,
}

const LETTERS: [char; 6] = ['a', 'b', 'c', 'd', 'q', 'x'];
const LETTERS_OF_WEAKNESSES: [char; 3] = ['d', 'r', 's'];

impl RuleId {
    /// Reads the part of a test's name that is an id, `b05` for example, or after `w` the `s7`.
    fn parse(part: &str, is_weakness: bool) -> Option<Self> {
        let mut chars = part.chars();
        let letter = chars.next()?;
        let digits = chars.as_str();
        let known = if is_weakness { LETTERS_OF_WEAKNESSES.as_slice() } else { LETTERS.as_slice() };
        if !known.contains(&letter) || digits.len() > 2 || !digits.bytes().all(|digit| digit.is_ascii_digit())
        {
            return None;
        }
        Some(Self { is_weakness, letter, number: digits.parse().ok()? })
    }
}

impl TryFrom<String> for RuleId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let (part, is_weakness) = text.strip_prefix("W-").map_or((text.as_str(), false), |part| (part, true));
        let id = Self::parse(&part.to_lowercase(), is_weakness);
        id.filter(|id| id.to_string() == text).ok_or_else(|| format!("{text} is not an id"))
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = self.letter.to_ascii_uppercase();
        if self.is_weakness {
            write!(f, "W-{letter}{}", self.number)
        } else if self.letter == 'q' {
            write!(f, "{letter}{}", self.number)
        } else {
            write!(f, "{letter}{:02}", self.number)
        }
    }
}

/// The ids with which the name of a test begins.
pub fn of_test(name: &str) -> Vec<RuleId> {
    let mut ids = Vec::new();
    let mut parts = name.split('_');
    while let Some(part) = parts.next() {
        let id = match part {
            "w" => parts.next().and_then(|part| RuleId::parse(part, true)),
            part => RuleId::parse(part, false),
        };
        let Some(id) = id else { break };
        ids.push(id);
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_names() {
        let ids = |name: &str| of_test(name).iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        assert_eq!(ids("b05_w_d7_lifetime_rules"), "B05 W-D7");
        assert_eq!(ids("w_d1_q9_debug_is_refused"), "W-D1 Q9");
        assert_eq!(ids("w_r4_w_s6_a_cluster_issuer"), "W-R4 W-S6");
        assert_eq!(ids("a_flooding_client"), "");
        assert_eq!(ids("x509_is_no_id"), "");
        assert_eq!(ids("wrong_names"), "");
        assert!(RuleId::try_from("B5".to_owned()).is_err());
        assert!(RuleId::try_from("W-S7".to_owned()).is_ok());
    }
}
