//! Parts of schemas that several types use.

use kube::core::Rule;
use serde::{Deserialize, Deserializer};

/// A DNS-1123 subdomain, the form of a Secret's name. Its length (253) is limited separately.
pub const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// Deserializes a field that must have a value if it is present. YAML reads a field that is left blank as
/// null, which could mean a rule or none.
pub fn not_null<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The rule by which the API server refuses null as the value of a field. `fields` names all fields of the
/// object.
///
/// These fields must be `nullable`. If a field is not, the API server drops a null silently, also when it
/// reads stored objects (Kubernetes documentation, "Defaulting and Nullable"). A rule sees a null field as
/// absent, but the size of the object counts it.
pub fn no_blanks(fields: &[&str]) -> Rule {
    let present: Vec<String> = fields.iter().map(|field| format!("(has(self.{field}) ? 1 : 0)")).collect();
    Rule::new(format!("size(dyn(self)) == {}", present.join(" + ")))
        .message("a field that is left blank is null, which is no value: leave it out, or write [] for a list that allows nothing")
}
