//! Reads metadata without `managedFields`, or only what tells an object from others.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// All other fields of [`ObjectMeta`].
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Fields {
    annotations: Option<BTreeMap<String, String>>,
    creation_timestamp: Option<Time>,
    deletion_grace_period_seconds: Option<i64>,
    deletion_timestamp: Option<Time>,
    finalizers: Option<Vec<String>>,
    generate_name: Option<String>,
    generation: Option<i64>,
    labels: Option<BTreeMap<String, String>>,
    name: Option<String>,
    namespace: Option<String>,
    owner_references: Option<Vec<OwnerReference>>,
    resource_version: Option<String>,
    self_link: Option<String>,
    uid: Option<String>,
}

/// Reads metadata, and skips `managedFields` without decoding it, however deep it is nested.
///
/// # Errors
///
/// If a field does not have its type.
pub fn without_managed_fields<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let fields = Fields::deserialize(deserializer)?;
    // A field that a new version of the type adds does not compile until it is added here.
    Ok(ObjectMeta {
        annotations: fields.annotations,
        creation_timestamp: fields.creation_timestamp,
        deletion_grace_period_seconds: fields.deletion_grace_period_seconds,
        deletion_timestamp: fields.deletion_timestamp,
        finalizers: fields.finalizers,
        generate_name: fields.generate_name,
        generation: fields.generation,
        labels: fields.labels,
        managed_fields: None,
        name: fields.name,
        namespace: fields.namespace,
        owner_references: fields.owner_references,
        resource_version: fields.resource_version,
        self_link: fields.self_link,
        uid: fields.uid,
    })
}

/// What tells an object and its version from others.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    creation_timestamp: Option<Time>,
    generation: Option<i64>,
    name: Option<String>,
    namespace: Option<String>,
    resource_version: Option<String>,
    uid: Option<String>,
}

/// Reads what tells an object and its version from others, and skips the rest of the metadata.
///
/// # Errors
///
/// If a field does not have its type.
pub fn identity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<ObjectMeta, D::Error> {
    let Identity { creation_timestamp, generation, name, namespace, resource_version, uid } =
        Identity::deserialize(deserializer)?;
    Ok(ObjectMeta {
        creation_timestamp,
        generation,
        name,
        namespace,
        resource_version,
        uid,
        ..ObjectMeta::default()
    })
}
