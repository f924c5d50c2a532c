//! `deployment/tcs_issuer.yaml`, as it was when this program was built.

use crate::error::Error;
use serde_json::Value;

const MANIFEST: &str = include_str!("../../../../deployment/tcs_issuer.yaml");

/// What to do about the Deployment.
pub const APPLY_ALL: &str =
    "kubectl apply -f deployment/tcs_issuer.yaml   # in the repository of the service, with your images";
/// What to do about rights and policies. The Deployment stays as it is, with its images.
pub const APPLY: &str =
    "kubectl apply -f deployment/access.yaml   # in the repository of the service, at the version that runs";

/// The objects of the manifest.
pub struct Manifest(Vec<Value>);

impl Manifest {
    /// Reads it. A test excludes that it cannot be read.
    pub fn read() -> Result<Self, Error> {
        let unreadable = |error: serde_saphyr::Error| Error::ObjectUnreadable {
            object: "the manifest of this program".to_owned(),
            cause: error.to_string(),
        };
        serde_saphyr::from_multiple(MANIFEST).map(Self).map_err(unreadable)
    }

    /// The objects of a kind: name and object.
    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = (&str, &Value)> {
        let is_kind = move |object: &&Value| object.get("kind").and_then(Value::as_str) == Some(kind);
        self.0.iter().filter(is_kind).filter_map(|object| {
            let name = object.pointer("/metadata/name").and_then(Value::as_str)?;
            Some((name, object))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_has_what_is_checked() {
        let manifest = Manifest::read().unwrap();
        let names = |kind: &str| manifest.of_kind(kind).map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        assert!(names("ValidatingAdmissionPolicy").contains(&"tcs-issuer-secrets".to_owned()));
        assert_eq!(names("ValidatingAdmissionPolicy"), names("ValidatingAdmissionPolicyBinding"));
        assert!(names("ClusterRole").contains(&"tcs-issuer".to_owned()));
        assert!(names("Role").contains(&"tcs-issuer".to_owned()));
    }
}
