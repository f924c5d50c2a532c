//! Reads JSON of any depth.

use super::kept::{MAX_ANNOTATION, Metadata, is_own_annotation, is_own_label, is_used};
use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// The depth below which an object is not read. No field of our types is nested so deep, and `serde_json`
/// refuses a whole document that has 128 levels.
const MAX_DEPTH: u8 = 64;

/// Deserializes an object into a [`Value`] without the metadata that is not kept and without values that are
/// nested too deep.
#[derive(Clone, Copy)]
pub struct Tree {
    depth: u8,
    kept: Metadata,
    place: Place,
}

/// Where in an object a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Object,
    Metadata,
    Labels,
    Annotations,
    Annotation,
    Elsewhere,
}

impl Tree {
    /// Reads a whole object.
    pub fn object(kept: Metadata) -> Self {
        Self { depth: 0, kept, place: Place::Object }
    }

    fn at(self, place: Place) -> Self {
        Self { depth: self.depth.saturating_add(1), place, ..self }
    }

    /// How the value of a field is read; `None` if it is skipped.
    fn field(self, name: &str) -> Option<Self> {
        let own = self.kept == Metadata::Own;
        let place = match (self.place, name) {
            (Place::Object, "metadata") => Place::Metadata,
            (Place::Metadata, "managedFields") => return None,
            (Place::Metadata, _) if own && !is_used(name) => return None,
            (Place::Metadata, "labels") if own => Place::Labels,
            (Place::Metadata, "annotations") if own => Place::Annotations,
            (Place::Labels, _) if !is_own_label(name) => return None,
            (Place::Annotations, _) if !is_own_annotation(name) => return None,
            (Place::Annotations, _) => Place::Annotation,
            _ => Place::Elsewhere,
        };
        Some(self.at(place))
    }

    fn text(self, text: &str) -> Value {
        if self.place == Place::Annotation {
            return text.chars().take(MAX_ANNOTATION).collect::<String>().into();
        }
        text.into()
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > MAX_DEPTH {
            return IgnoredAny::deserialize(deserializer).map(|_| Value::Null);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(self.text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self.at(Place::Elsewhere))? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut all = Map::new();
        while let Some(name) = fields.next_key::<String>()? {
            if let Some(tree) = self.field(&name) {
                all.insert(name, fields.next_value_seed(tree)?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Value::Object(all))
    }
}
