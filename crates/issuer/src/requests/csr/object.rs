//! The type `CertificateSigningRequest`, as far as the service reads and writes it.

use crate::runtime::guarded::kept::{Kept, KeptMetadata};
use crate::runtime::guarded::metadata;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{CertificateSigningRequest, CertificateSigningRequestSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;

/// A [`CertificateSigningRequest`] whose conditions keep their times as text.
///
/// An approver may write any time that Go supports, and the API server keeps it. The type of `k8s_openapi`
/// ends a day before the end of the year 9999. Text is written back as it was read.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
pub struct KubernetesCsr {
    /// Its metadata, without `managedFields`.
    #[serde(default, deserialize_with = "metadata::without_managed_fields")]
    pub metadata: ObjectMeta,
    /// Its spec.
    pub spec: CertificateSigningRequestSpec,
    /// Its status.
    #[serde(default)]
    pub status: Option<CsrStatus>,
}

/// Status of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CsrStatus {
    /// The certificate in PEM, leaf first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<ByteString>,
    /// Approved, Denied or Failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conditions: Option<Vec<CsrCondition>>,
}

/// A condition of a request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CsrCondition {
    /// Approved, Denied or Failed.
    #[serde(rename = "type")]
    pub type_: String,
    /// True, False or Unknown.
    pub status: String,
    /// A code for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// A message for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// RFC 3339 text as it was read.
    #[serde(default, skip_serializing_if = "is_unwritable")]
    pub last_update_time: Option<String>,
    /// RFC 3339 text as it was read.
    #[serde(default, skip_serializing_if = "is_unwritable")]
    pub last_transition_time: Option<String>,
}

/// Whether a time cannot be written. A time with an offset can make Go return a year of five digits or below
/// 0. Such a year is not RFC 3339 (section 5.6), and the API server refuses it. If the field is left out, the
/// API server keeps the time in the condition of an approval.
#[expect(clippy::ref_option, reason = "serde's signature")]
fn is_unwritable(time: &Option<String>) -> bool {
    let is_year = |text: &str| {
        let (year, rest) = text.split_at_checked(4).unwrap_or((text, ""));
        year.bytes().all(|byte| byte.is_ascii_digit()) && rest.starts_with('-')
    };
    !time.as_deref().is_some_and(is_year)
}

/// Adds `apiVersion` and `kind`, which the API server omits in the items of a list.
impl Serialize for KubernetesCsr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("CertificateSigningRequest", 5)?;
        object.serialize_field("apiVersion", &Self::api_version(&()))?;
        object.serialize_field("kind", &Self::kind(&()))?;
        object.serialize_field("metadata", &self.metadata)?;
        object.serialize_field("spec", &self.spec)?;
        match &self.status {
            Some(status) => object.serialize_field("status", status)?,
            None => object.skip_field("status")?,
        }
        object.end()
    }
}

/// A PUT of the status also writes the metadata, so an annotation that is left out would be deleted.
impl Kept for KubernetesCsr {
    const METADATA: KeptMetadata = KeptMetadata::Whole;
    const DECODES_ITSELF: bool = true;
}

impl Resource for KubernetesCsr {
    type DynamicType = ();
    type Scope = <CertificateSigningRequest as Resource>::Scope;

    fn kind((): &()) -> Cow<'_, str> {
        CertificateSigningRequest::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        CertificateSigningRequest::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        CertificateSigningRequest::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        CertificateSigningRequest::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn approved(time: &str) -> Value {
        json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": {"name": "r", "uid": "u", "resourceVersion": "5", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {
                "request": "cGVt", "signerName": "example.com/s", "usages": ["server auth"], "expirationSeconds": 600,
                "username": "u", "groups": ["g"], "extra": {"k": ["v"]}, "uid": "n",
            },
            "status": {"certificate": "cGVt", "conditions": [{
                "type": "Approved", "status": "True", "reason": "R", "message": "M",
                "lastUpdateTime": time, "lastTransitionTime": time,
            }]},
        })
    }

    #[test]
    fn review_l1_times_of_conditions_are_written_as_they_were_read() {
        let object = approved("9999-12-31T23:59:59Z");
        serde_json::from_value::<CertificateSigningRequest>(object.clone()).unwrap_err();
        let read: KubernetesCsr = serde_json::from_value(object.clone()).unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), object);
    }

    #[test]
    fn it_reads_and_writes_the_same_json_as_the_official_type() {
        let mut bare = approved("2026-01-01T00:00:00Z");
        for place in ["status", "apiVersion", "kind"] {
            let official: CertificateSigningRequest = serde_json::from_value(bare.clone()).unwrap();
            let ours: KubernetesCsr = serde_json::from_value(bare.clone()).unwrap();
            assert_eq!(serde_json::to_value(ours).unwrap(), serde_json::to_value(official).unwrap());
            bare.as_object_mut().unwrap().remove(place);
        }
        assert_eq!(KubernetesCsr::url_path(&(), None), CertificateSigningRequest::url_path(&(), None));
    }
}
