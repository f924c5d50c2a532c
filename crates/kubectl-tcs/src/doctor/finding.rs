//! The result of one check.

use crate::error::Error;
use serde_json::{Value, json};

/// How a check went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is as it should be.
    Good,
    /// Something is wrong.
    Wrong,
    /// It could not be checked.
    Unchecked,
}

impl Outcome {
    fn text(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Wrong => "wrong",
            Self::Unchecked => "could not be checked",
        }
    }
}

/// The result of one check.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The stable name of the check.
    pub check: &'static str,
    /// The object.
    pub object: String,
    /// How it went.
    pub outcome: Outcome,
    /// What was found and expected.
    pub found: String,
    /// What to do; empty if nothing is wrong.
    pub advice: String,
}

impl Finding {
    /// Everything is as it should be.
    pub fn good(check: &'static str, object: impl Into<String>, found: impl Into<String>) -> Self {
        let (object, found) = (object.into(), found.into());
        Self { check, object, outcome: Outcome::Good, found, advice: String::new() }
    }

    /// Something is wrong.
    pub fn wrong(
        check: &'static str,
        object: impl Into<String>,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let (object, found, advice) = (object.into(), found.into(), advice.into());
        Self { check, object, outcome: Outcome::Wrong, found, advice }
    }

    /// It could not be checked.
    pub fn unchecked(check: &'static str, object: impl Into<String>, why: impl Into<String>) -> Self {
        let advice = "repeat kubectl tcs doctor as a user who may read this".to_owned();
        Self { check, object: object.into(), outcome: Outcome::Unchecked, found: why.into(), advice }
    }

    /// An error of a check that says nothing about the object.
    pub fn of_error(check: &'static str, object: impl Into<String>, error: &Error) -> Self {
        Self::unchecked(check, object, error.to_string())
    }

    /// The cells of the table.
    pub fn cells(&self) -> [String; 3] {
        [self.check.to_owned(), self.object.clone(), self.outcome.text().to_owned()]
    }

    /// The JSON document.
    pub fn document(&self) -> Value {
        let outcome = match self.outcome {
            Outcome::Good => "Good",
            Outcome::Wrong => "Wrong",
            Outcome::Unchecked => "Unchecked",
        };
        json!({
            "check": self.check, "object": self.object, "outcome": outcome, "found": self.found,
            "advice": self.advice,
        })
    }
}
