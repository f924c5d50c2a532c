//! A list of texts that needs little memory.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, SeqAccess, Visitor};
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
    ends: Box<[u32]>,
}

impl TextList {
    /// The texts in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let mut rest = &*self.text;
        let mut begin = 0;
        self.ends.iter().map(move |&end| {
            let length = usize::try_from(end.saturating_sub(begin)).unwrap_or(usize::MAX);
            // The ends were taken from this text, so none is out of range or inside a character.
            let (text, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
            (rest, begin) = (after, end);
            text
        })
    }
}

/// Collects the texts of a [`TextList`].
#[derive(Default)]
struct Builder {
    text: String,
    ends: Vec<u32>,
}

impl Builder {
    /// Adds a text. `None`: all texts together have 4 GiB or more.
    fn push(&mut self, text: &str) -> Option<()> {
        self.text.push_str(text);
        self.ends.push(u32::try_from(self.text.len()).ok()?);
        Some(())
    }

    fn finish(self) -> TextList {
        TextList { text: self.text.into_boxed_str(), ends: self.ends.into_boxed_slice() }
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
        let mut builder = Builder::default();
        while let Some(text) = texts.next_element::<Cow<'de, str>>()? {
            builder.push(&text).ok_or_else(|| A::Error::custom("a list of 4 GiB or more"))?;
        }
        Ok(builder.finish())
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
            assert_eq!(serde_json::to_string(&list).unwrap(), json);
            assert_eq!(format!("{list:?}"), format!("{texts:?}"));
        }
    }

    #[test]
    fn lists_that_are_cut_differently_differ() {
        let list = |json| serde_json::from_str::<TextList>(json).unwrap();
        assert_ne!(list(r#"["ab"]"#), list(r#"["a","b"]"#));
        assert_ne!(list(r"[]"), list(r#"[""]"#));
        assert_eq!(list(r"[]"), TextList::default());
    }

    #[test]
    fn what_is_no_list_of_texts_is_refused() {
        for json in ["null", r#""a""#, "[1]", r#"["a",null]"#, r#"{"a":"b"}"#] {
            assert!(serde_json::from_str::<TextList>(json).is_err(), "{json}");
        }
    }
}
