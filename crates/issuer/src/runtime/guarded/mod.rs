//! Objects of the API, each of which is decoded on its own.
//!
//! A list is one JSON document: without this module, one object that does not fit its type makes the whole
//! list unreadable. The API server stores some fields as a client sent them, and our types cannot hold all of
//! their values. The API server accepts times until the end of the year 9999, and our types until
//! 9999-12-30T22:00:00Z. `metadata.managedFields` can be nested to any depth. And an object may have been
//! stored while an earlier CRD allowed more.

pub mod kept;
pub mod metadata;

mod tree;

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kept::Kept;
use kube::Resource;
use serde::de::{DeserializeOwned, DeserializeSeed as _, Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use std::borrow::Cow;
use tree::Tree;

/// An object as the API server returned it, or a description of it if it cannot be decoded.
///
/// Decoding never fails. Of the metadata only what [`Kept`] says is decoded, so that nothing else is ever in
/// memory as more than the bytes of a response. `metadata.managedFields` is always left out: it is not used
/// here, and a PUT without it leaves it unchanged ([Server-Side Apply]).
///
/// [Server-Side Apply]: https://kubernetes.io/docs/reference/using-api/server-side-apply/
#[derive(Clone, Debug)]
pub struct Guarded<K>(Result<K, Box<Unreadable>>);

/// An object that exists and cannot be decoded.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{} cannot be read: {error}", self.title())]
pub struct Unreadable {
    /// Group and version, as in `tcs.intel.com/v1alpha1`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Name, namespace, UID, resource version and labels, as far as they are text. Nothing else is set.
    pub metadata: ObjectMeta,
    /// Which field is wrong and how, in at most [`MAX_ERROR`] characters. Never contains the value of the
    /// field.
    pub error: String,
}

/// Maximum length of a text about an object that cannot be decoded, in characters.
pub const MAX_ERROR: usize = 300;

impl<K> Guarded<K> {
    /// The object, if it could be decoded.
    pub fn read(self) -> Result<K, Box<Unreadable>> {
        self.0
    }

    /// Whether it could be decoded.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.0.is_ok()
    }
}

impl<K> From<K> for Guarded<K> {
    fn from(object: K) -> Self {
        Self(Ok(object))
    }
}

impl Unreadable {
    /// Kind and name, for example `TCSIssuer sandbox/my-ca`.
    #[must_use]
    pub fn title(&self) -> String {
        let name = printable(self.name(), MAX_ERROR);
        match self.metadata.namespace.as_deref() {
            Some(namespace) => format!("{} {}/{name}", self.kind, printable(namespace, MAX_ERROR)),
            None => format!("{} {name}", self.kind),
        }
    }

    /// A reference for Events about it.
    #[must_use]
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: Some(self.api_version.clone()),
            kind: Some(self.kind.clone()),
            namespace: self.metadata.namespace.clone(),
            name: self.metadata.name.clone(),
            uid: self.metadata.uid.clone(),
            ..ObjectReference::default()
        }
    }

    /// Its name. Empty if the name cannot be read.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }
}

/// The error that kube returns for an object that it cannot decode.
impl From<Box<Unreadable>> for kube::Error {
    fn from(unreadable: Box<Unreadable>) -> Self {
        Self::SerdeError(serde_json::Error::custom(unreadable))
    }
}

impl<'de, K> Deserialize<'de> for Guarded<K>
where
    K: DeserializeOwned + Resource<DynamicType = ()> + Kept,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = if K::DECODES_ITSELF {
            let text = <&RawValue>::deserialize(deserializer)?;
            if let Ok(object) = serde_json::from_str(text.get()) {
                return Ok(Self(Ok(object)));
            }
            // What does not fit at once is read as the objects of other kinds are, so that the same objects
            // can be read and the error names the field.
            Tree::object(K::METADATA).deserialize(text).map_err(D::Error::custom)?
        } else {
            Tree::object(K::METADATA).deserialize(deserializer)?
        };
        let decoded = serde_path_to_error::deserialize(&object);
        Ok(Self(decoded.map_err(|error| {
            Box::new(Unreadable {
                api_version: K::api_version(&()).into_owned(),
                kind: K::kind(&()).into_owned(),
                metadata: readable_metadata(&object),
                error: describe(&error),
            })
        })))
    }
}

/// Used for writes. An object that could not be decoded cannot be written back.
impl<K: Serialize> Serialize for Guarded<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Ok(object) => object.serialize(serializer),
            Err(unreadable) => Err(serde::ser::Error::custom(unreadable)),
        }
    }
}

impl<K: Resource> Resource for Guarded<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(dynamic)
    }

    fn group(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::group(dynamic)
    }

    fn version(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::version(dynamic)
    }

    fn plural(dynamic: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(dynamic)
    }

    fn metadata_api() -> bool {
        K::metadata_api()
    }

    fn meta(&self) -> &ObjectMeta {
        match &self.0 {
            Ok(object) => object.meta(),
            Err(unreadable) => &unreadable.metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match &mut self.0 {
            Ok(object) => object.meta_mut(),
            Err(unreadable) => &mut unreadable.metadata,
        }
    }
}

/// The metadata that is text.
fn readable_metadata(object: &Value) -> ObjectMeta {
    let metadata = object.get("metadata");
    let text = |field: &str| metadata?.get(field)?.as_str().map(str::to_owned);
    let labels = metadata.and_then(|metadata| metadata.get("labels")?.as_object());
    ObjectMeta {
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        labels: labels.map(|labels| {
            let texts =
                labels.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
            texts.collect()
        }),
        ..ObjectMeta::default()
    }
}

/// Which field is wrong and how, without its value: `serde` quotes values, and those of a Secret must not be
/// logged.
fn describe(error: &serde_path_to_error::Error<serde_json::Error>) -> String {
    let text = error.inner().to_string();
    let expected = |text: &str| text.rsplit_once(", expected ").map(|(_, expected)| expected.to_owned());
    let what = if let Some((field, _)) =
        text.strip_prefix("missing field `").and_then(|rest| rest.split_once('`'))
    {
        format!("the field {field} is missing")
    } else if let Some(rest) =
        text.strip_prefix("invalid type: ").or_else(|| text.strip_prefix("invalid value: "))
        && let Some(expected) = expected(rest)
    {
        let found = rest.split(['`', '"', ',']).next().unwrap_or_default();
        format!("found {}, expected {expected}", found.trim())
    } else if text.starts_with("unknown variant `")
        && let Some(expected) = expected(&text)
    {
        format!("found another value, expected {expected}")
    } else {
        "the field does not allow this value".to_owned()
    };
    printable(&format!("{}: {what}", error.path()), MAX_ERROR)
}

/// Limits the length of a text for a log or a message, and replaces control characters.
fn printable(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

#[cfg(test)]
mod tests;
