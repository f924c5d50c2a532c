//! Objects of the API, each decoded on its own.
//!
//! A list is one JSON document: without this, one object that does not fit its type makes the whole list unreadable. The
//! API server keeps some things as a client sent them, and what it keeps may be more than our types hold. Times reach to
//! the end of the year 9999 there and to 9999-12-30T22:00:00Z here, and `metadata.managedFields` can be nested to any
//! depth. An object may also have been stored while an earlier CRD allowed more.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::fmt;

/// An object as the API server answered it, or what can be said of it if it cannot be decoded.
///
/// Decoding one never fails. `metadata.managedFields` is left out: it is of no use here, and a PUT without it changes
/// nothing about it ([Server-Side Apply]).
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
    /// Name, namespace, UID, resource version and labels, as far as each is there as text; nothing else.
    pub metadata: ObjectMeta,
    /// Which field is wrong and how, in at most [`LONGEST_ERROR`] characters; never what the field holds.
    pub error: String,
}

/// The longest text about an object that cannot be decoded, in characters.
pub const LONGEST_ERROR: usize = 300;

/// The depth at which an object is not read any further. Nothing that our types hold lies as deep, and `serde_json` refuses a
/// whole document for 128 levels.
const DEEPEST: u8 = 64;

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
    /// What it is called: `TCSIssuer sandbox/my-ca`.
    #[must_use]
    pub fn title(&self) -> String {
        let name = printable(self.name(), LONGEST_ERROR);
        match self.metadata.namespace.as_deref() {
            Some(namespace) => format!("{} {}/{name}", self.kind, printable(namespace, LONGEST_ERROR)),
            None => format!("{} {name}", self.kind),
        }
    }

    /// For Events about it.
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

    /// Its name; empty if that cannot be read.
    #[must_use]
    pub fn name(&self) -> &str {
        self.metadata.name.as_deref().unwrap_or_default()
    }
}

/// As kube reports what it cannot decode.
impl From<Box<Unreadable>> for kube::Error {
    fn from(unreadable: Box<Unreadable>) -> Self {
        Self::SerdeError(serde_json::Error::custom(unreadable))
    }
}

impl<'de, K> Deserialize<'de> for Guarded<K>
where
    K: DeserializeOwned + Resource<DynamicType = ()>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let object = Tree::OBJECT.deserialize(deserializer)?;
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

/// For writes: what could not be decoded cannot be written back.
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

/// What of the metadata is text.
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

/// Which field is wrong and how, without what it holds. `serde` quotes values, and a Secret's are not for the log.
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
        "the value is not one that this field takes".to_owned()
    };
    printable(&format!("{}: {what}", error.path()), LONGEST_ERROR)
}

/// A text for a log or a message: at most so many characters, and none that could change what stands around it.
fn printable(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// Reads an object into a [`Value`] without its `metadata.managedFields` and without what is nested too deep.
#[derive(Clone, Copy)]
struct Tree {
    depth: u8,
    is_metadata: bool,
}

impl Tree {
    const OBJECT: Self = Self { depth: 0, is_metadata: false };

    fn below(self) -> Self {
        Self { depth: self.depth.saturating_add(1), is_metadata: false }
    }

    /// How a field's value is read; not at all if nothing is to be known of it.
    fn field(self, name: &str) -> Option<Self> {
        let dropped = self.is_metadata && name == "managedFields";
        (!dropped).then(|| Self { is_metadata: self.depth == 0 && name == "metadata", ..self.below() })
    }
}

impl<'de> DeserializeSeed<'de> for Tree {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        if self.depth > DEEPEST {
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
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(self.below())? {
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

#[cfg(test)]
mod tests {
    use super::*;
    use k8s_openapi::api::core::v1::Secret;
    use kube::ResourceExt as _;
    use kube::api::{ObjectList, WatchEvent};
    use kube::core::PartialObjectMeta;
    use serde_json::json;
    use tcs_api::v1alpha1::TCSIssuer;

    const BEYOND: &str = "9999-12-31T23:59:59Z";

    fn issuer(name: &str) -> Value {
        json!({
            "apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSIssuer",
            "metadata": {
                "name": name, "namespace": "sandbox", "uid": format!("uid-of-{name}"), "resourceVersion": "7",
                "labels": {"team": "blue"}, "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"secretName": "its-secret"},
        })
    }

    fn with(mut object: Value, pointer: &str, value: Value) -> Value {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[field] = value;
        object
    }

    /// By way of text, as it comes from the API server.
    fn read<K: DeserializeOwned + Resource<DynamicType = ()>>(object: &Value) -> Result<K, Box<Unreadable>> {
        serde_json::from_str::<Guarded<K>>(&object.to_string()).unwrap().read()
    }

    fn unreadable(object: &Value) -> Unreadable {
        *read::<TCSIssuer>(object).unwrap_err()
    }

    #[test]
    fn review_h1_times_in_managed_fields_are_not_decoded() {
        let managed = json!([{"manager": "x", "operation": "Update", "time": BEYOND}]);
        let object = with(issuer("poison"), "/metadata/managedFields", managed);
        serde_json::from_str::<TCSIssuer>(&object.to_string()).unwrap_err();
        let read = read::<TCSIssuer>(&object).unwrap();
        assert_eq!((read.name_any().as_str(), read.metadata.managed_fields), ("poison", None));
        // Only there: a field of that name elsewhere is the object's own.
        let secret = json!({"metadata": {"name": "s"}, "data": {"managedFields": "AA=="}});
        let secret = super::tests::read::<Secret>(&secret).unwrap();
        assert_eq!(secret.data.unwrap().get("managedFields").unwrap().0, [0]);
    }

    #[test]
    fn review_h1_nesting_beyond_the_parsers_limit_is_not_followed() {
        for place in [
            "metadata\":{\"name\":\"deep\",\"managedFields",
            "metadata\":{\"name\":\"deep\"},\"status\":{\"more",
        ] {
            let nested = format!("{}0{}", "{\"f:a\":".repeat(9_000), "}".repeat(9_000));
            let text = format!("{{\"{place}\":{nested}}},\"spec\":{{\"secretName\":\"s\"}}}}");
            let list = format!("{{\"apiVersion\":\"v1\",\"kind\":\"L\",\"items\":[{text},{text}]}}");
            let unguarded = serde_json::from_str::<ObjectList<TCSIssuer>>(&list);
            assert_eq!(unguarded.is_err(), place.contains("managedFields"), "{place}");
            let list: ObjectList<Guarded<TCSIssuer>> = serde_json::from_str(&list).unwrap();
            assert!(list.into_iter().all(|object| object.read().is_ok()), "{place}");
            let event = format!("{{\"type\":\"ADDED\",\"object\":{text}}}");
            let event: WatchEvent<Guarded<TCSIssuer>> = serde_json::from_str(&event).unwrap();
            assert!(matches!(event, WatchEvent::Added(object) if object.is_readable()), "{place}");
        }
    }

    #[test]
    fn review_h1_one_bad_object_of_three_is_told_and_the_others_are_read() {
        let bad = with(issuer("bad"), "/spec/secretName", json!(5));
        let list = json!({
            "apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSIssuerList", "metadata": {"resourceVersion": "9"},
            "items": [issuer("a"), bad, issuer("z")],
        });
        let list: ObjectList<Guarded<TCSIssuer>> = serde_json::from_str(&list.to_string()).unwrap();
        let read: Vec<_> = list.into_iter().map(Guarded::read).collect();
        let names: Vec<_> = read.iter().flatten().map(kube::ResourceExt::name_any).collect();
        assert_eq!(names, ["a", "z"]);
        let bad = read[1].as_ref().unwrap_err();
        assert_eq!(
            bad.to_string(),
            "TCSIssuer sandbox/bad cannot be read: spec.secretName: found integer, expected a string"
        );
        let metadata = &bad.metadata;
        assert_eq!(metadata.uid.as_deref(), Some("uid-of-bad"));
        assert_eq!(metadata.resource_version.as_deref(), Some("7"));
        assert_eq!(metadata.labels.as_ref().unwrap()["team"], "blue");
        assert!(metadata.creation_timestamp.is_none(), "times are not text");
    }

    #[test]
    fn review_h1_what_metadata_is_no_text_is_left_out() {
        let bad = unreadable(&with(issuer("x"), "/metadata/uid", json!(7)));
        assert_eq!((bad.metadata.uid, bad.metadata.name.as_deref()), (None, Some("x")));
        for metadata in [json!(null), json!("text"), json!([1]), json!({"name": {}})] {
            let bad = unreadable(&with(issuer("x"), "/metadata", metadata));
            assert_eq!((bad.name(), bad.metadata.uid.as_ref()), ("", None));
        }
        for object in [json!(null), json!(3), json!("text"), json!([])] {
            assert_eq!(unreadable(&object).metadata, ObjectMeta::default(), "{object}");
        }
    }

    #[test]
    fn review_h1_errors_name_the_field_and_never_what_it_holds() {
        const HUSH: &str = "hush,\" expected \u{1b}[31m`hush`, expected hush";
        let secret = |data: Value| json!({"metadata": {"name": "s"}, "data": data});
        let told = |data: Value| read::<Secret>(&secret(data)).unwrap_err().error;
        for data in
            [json!(HUSH), json!({"a": HUSH}), json!({"a": [HUSH]}), json!([HUSH]), json!({"a": {HUSH: 1}})]
        {
            let told = told(data);
            assert!(told.starts_with("data"), "{told}");
            assert!(!told.contains("hush"), "{told}");
        }
        let metadata = |field: &str| with(issuer("x"), &format!("/metadata/{field}"), json!(HUSH));
        for field in ["creationTimestamp", "labels", "generation", "finalizers", "ownerReferences"] {
            let told = unreadable(&metadata(field)).error;
            assert!(told.starts_with(&format!("metadata.{field}: ")) && !told.contains("hush"), "{told}");
        }
        let missing = with(issuer("x"), "/spec", json!({}));
        assert_eq!(unreadable(&missing).error, "spec: the field secretName is missing");
        // However long, and whatever is in it.
        let name = format!("\u{1b}[2J\n{}", "n".repeat(5_000));
        let labels = json!({name.as_str(): 5});
        let told =
            unreadable(&with(with(issuer("x"), "/metadata/labels", labels), "/metadata/name", json!(name)));
        let text = told.to_string();
        assert!(text.chars().count() < 3 * LONGEST_ERROR, "{}", text.len());
        assert!(!text.contains(char::is_control), "{text}");
    }

    #[test]
    fn review_h1_metadata_alone_is_guarded_too() {
        let secret = json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": {"name": "s", "managedFields": [{"time": BEYOND}]},
        });
        assert!(Guarded::<PartialObjectMeta<Secret>>::metadata_api());
        assert_eq!(read::<PartialObjectMeta<Secret>>(&secret).unwrap().name_any(), "s");
        let bad = with(secret, "/metadata/labels", json!([]));
        let bad = read::<PartialObjectMeta<Secret>>(&bad).unwrap_err();
        assert_eq!((bad.kind.as_str(), bad.name()), ("Secret", "s"));
    }

    #[test]
    fn an_object_is_written_as_it_was_read_and_an_unreadable_one_never() {
        let read: Guarded<TCSIssuer> = serde_json::from_value(issuer("x")).unwrap();
        let typed: TCSIssuer = serde_json::from_value(issuer("x")).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&typed).unwrap());
        let bad: Guarded<TCSIssuer> = serde_json::from_value(with(issuer("x"), "/spec", json!(1))).unwrap();
        serde_json::to_value(&bad).unwrap_err();
    }
}
