//! Parts of schemas that several types use.

use kube::core::Rule;
use serde::{Deserialize, Deserializer};

/// A DNS-1123 subdomain, the form of a Secret's name. Its length (253) is limited separately.
pub const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// The patterns of URIs that the enclave reads, but for the segments `.` and `..`, which a rule refuses.
pub const URI_PATTERN: &str =
    r"^[A-Za-z][A-Za-z0-9+.-]*://[A-Za-z0-9._:-]+(/(\*|[A-Za-z0-9._~!$&'()+,;=:@-]+))*(/\*\*)?$";

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

/// The rule that bounds the lists of a policy: all entries together have at most 16 KiB. The service keeps
/// the policies of all issuers in memory.
pub fn at_most_16_kib(lists: &[&str]) -> Rule {
    let size =
        |list: &&str| format!("(has(self.{list}) ? self.{list}.map(entry, size(bytes(entry))).sum() : 0)");
    let sizes: Vec<String> = lists.iter().map(size).collect();
    Rule::new(format!("{} <= 16384", sizes.join(" + "))).message(
        "the entries of a policy have at most 16384 bytes together: use patterns that cover more names",
    )
}

/// Removes the format that schemars derives from Rust's unsigned integers. The API server does not know it
/// and warns whoever applies the CRD. The range says the same.
pub fn no_format(schema: &mut schemars::Schema) {
    schema.remove("format");
}
