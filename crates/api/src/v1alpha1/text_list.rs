//! A list of texts that needs little memory.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::fmt;

/// A list of texts in two blocks of memory, however many there are. The controller keeps the policies of all
/// issuers, and a `Vec<String>` of short texts needs twice the memory of the texts.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TextList {
    /// All texts, one after the other.
    text: Box<str>,
    /// Where each of them ends in `text`, in bytes.
    ends: Box<[usize]>,
}

impl TextList {
    /// The texts in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let begins = std::iter::once(&0).chain(&self.ends);
        // The ends were taken from this text, so none is out of range or inside a character.
        begins.zip(&self.ends).map(|(begin, end)| self.text.get(*begin..*end).unwrap_or_default())
    }
}

impl<T: AsRef<str>> FromIterator<T> for TextList {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let (mut text, mut ends) = (String::new(), Vec::new());
        for next in texts {
            text.push_str(next.as_ref());
            ends.push(text.len());
        }
        Self { text: text.into_boxed_str(), ends: ends.into_boxed_slice() }
    }
}

impl<T: AsRef<str>, const LEN: usize> From<[T; LEN]> for TextList {
    fn from(texts: [T; LEN]) -> Self {
        texts.into_iter().collect()
    }
}

impl fmt::Debug for TextList {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.iter()).finish()
    }
}

impl Serialize for TextList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de> Deserialize<'de> for TextList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Texts)
    }
}

struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = TextList;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list of strings")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut texts: A) -> Result<TextList, A::Error> {
        let mut fault = None;
        let texts = std::iter::from_fn(|| match texts.next_element::<Cow<'de, str>>() {
            Ok(next) => next,
            Err(error) => {
                fault = Some(error);
                None
            }
        });
        let list = texts.collect();
        fault.map_or(Ok(list), Err)
    }
}

/// The schema of `Vec<String>`.
impl JsonSchema for TextList {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        Vec::<String>::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Vec::<String>::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_written_as_it_was_read() {
        for json in [r"[]", r#"[""]"#, r#"["","a","","ü\n","b"]"#] {
            let list: TextList = serde_json::from_str(json).unwrap();
            let texts: Vec<String> = serde_json::from_str(json).unwrap();
            assert_eq!(list.iter().collect::<Vec<_>>(), texts);
            assert_eq!(list, texts.iter().collect());
            assert_eq!(serde_json::to_string(&list).unwrap(), json);
            assert_eq!(format!("{list:?}"), format!("{texts:?}"));
        }
    }

    #[test]
    fn lists_that_are_cut_differently_differ() {
        assert_ne!(TextList::from(["ab"]), TextList::from(["a", "b"]));
        assert_ne!(TextList::from([""]), TextList::default());
    }

    #[test]
    fn what_is_no_list_of_texts_is_refused() {
        for json in ["null", r#""a""#, "[1]", r#"["a",null]"#, r#"{"a":"b"}"#] {
            assert!(serde_json::from_str::<TextList>(json).is_err(), "{json}");
        }
    }
}
