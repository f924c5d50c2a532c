//! How much memory what strangers write takes, as an estimate that is rather too high.
//!
//! The length of the JSON of an object would be too low: a label of one character takes eight bytes there,
//! and more than a hundred here.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use std::collections::BTreeMap;

/// What the allocator adds to each allocation.
const ALLOCATION: usize = 16;
/// What an entry takes in a map whose nodes are half full, beside what its key and its value point to.
const MAP_ENTRY: usize = 128;

/// What a text points to.
pub fn text(text: &str) -> usize {
    text.len().saturating_add(ALLOCATION)
}

/// What a text points to, if there is one.
pub fn optional(text: Option<&String>) -> usize {
    text.map_or(0, |present| self::text(present))
}

/// What a list takes whose items point to so much. Room may be left for as many items again.
pub fn list<T>(items: &[T], item: impl Fn(&T) -> usize) -> usize {
    let places = size_of::<T>().saturating_mul(2);
    sum(items.iter().map(|one| item(one).saturating_add(places)))
}

/// What a list of texts takes.
pub fn texts(texts: &[String]) -> usize {
    list(texts, |one| text(one))
}

/// What a map takes whose values point to so much.
pub fn map<V>(map: &BTreeMap<String, V>, value: impl Fn(&V) -> usize) -> usize {
    sum(map.iter().map(|(key, one)| sum([text(key), value(one), MAP_ENTRY])))
}

/// What metadata points to. `managedFields` are never kept.
pub fn metadata(metadata: &ObjectMeta) -> usize {
    // A field that a new version of the type adds does not compile until it is added here.
    let ObjectMeta {
        annotations,
        creation_timestamp: _,
        deletion_grace_period_seconds: _,
        deletion_timestamp: _,
        finalizers,
        generate_name,
        generation: _,
        labels,
        managed_fields: _,
        name,
        namespace,
        owner_references,
        resource_version,
        self_link,
        uid,
    } = metadata;
    let owner = |owner: &OwnerReference| {
        let OwnerReference { api_version, kind, name, uid, block_owner_deletion: _, controller: _ } = owner;
        sum([api_version, kind, name, uid].map(|one| text(one)))
    };
    let names = [generate_name, name, namespace, resource_version, self_link, uid];
    sum([
        sum([annotations, labels].into_iter().flatten().map(|texts| map(texts, |one| text(one)))),
        finalizers.as_deref().map_or(0, texts),
        owner_references.as_deref().map_or(0, |owners| list(owners, owner)),
        sum(names.map(|name| optional(name.as_ref()))),
    ])
}

/// The sum of these sizes.
pub fn sum(sizes: impl IntoIterator<Item = usize>) -> usize {
    sizes.into_iter().fold(0, usize::saturating_add)
}
