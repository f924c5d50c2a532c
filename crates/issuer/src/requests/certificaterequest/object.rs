//! The type `CertificateRequest` of cert-manager, as far as the service reads it.
//!
//! cert-manager publishes no types for Rust. `crates/testkit/data/cert-manager` has its CRD, with which a
//! test compares these.

use crate::memory::{list, metadata as size_of_metadata, optional, sum, text, texts};
use crate::runtime::guarded::kept::{Kept, KeptMetadata};
use crate::runtime::guarded::metadata;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use tcs_api::CERT_MANAGER_GROUP;

/// A `CertificateRequest`. Only what the service uses is kept of it.
#[derive(Clone, Debug, Deserialize)]
pub struct CertificateRequest {
    /// What tells it from others.
    #[serde(default, deserialize_with = "metadata::identity")]
    pub metadata: ObjectMeta,
    /// Its spec.
    pub spec: Spec,
    /// Its status.
    #[serde(default, deserialize_with = "status")]
    pub status: Status,
}

/// What is requested.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// The PKCS#10 request: base64 text of PEM.
    pub request: String,
    /// The issuer.
    pub issuer_ref: IssuerRef,
    /// Usages by their Kubernetes names.
    pub usages: Option<Vec<String>>,
    /// The lifetime as Go writes durations.
    pub duration: Option<String>,
    /// Whether a CA certificate is requested.
    #[serde(rename = "isCA")]
    pub is_ca: Option<bool>,
}

/// The issuer that a request names.
#[derive(Clone, Debug, Deserialize)]
pub struct IssuerRef {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Option<String>,
    /// Its API group.
    pub group: Option<String>,
}

/// What the status says. Texts of others are not kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// An approver approved the request.
    pub is_approved: bool,
    /// An approver denied the request.
    pub is_denied: bool,
    /// There is a certificate.
    pub has_certificate: bool,
    /// The condition `Ready`.
    pub ready: Option<Condition>,
}

/// A condition.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// Its type.
    #[serde(rename = "type")]
    pub type_: String,
    /// `True`, `False` or `Unknown`.
    pub status: String,
    /// A code for programs.
    pub reason: Option<String>,
    /// A message for people.
    pub message: Option<String>,
    /// RFC 3339 text as it was read: the type for Kubernetes' times does not hold all that the API server
    /// stores.
    pub last_transition_time: Option<String>,
}

/// The status as the API server stores it.
#[derive(Default, Deserialize)]
struct Stored {
    certificate: Option<String>,
    conditions: Option<Vec<Condition>>,
}

fn status<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Status, D::Error> {
    let stored = Option::<Stored>::deserialize(deserializer)?.unwrap_or_default();
    let mut conditions = stored.conditions.unwrap_or_default();
    let is_true = |type_: &str| conditions.iter().any(|one| one.type_ == type_ && one.status == "True");
    let (is_approved, is_denied) = (is_true("Approved"), is_true("Denied"));
    let has_certificate = stored.certificate.is_some_and(|certificate| !certificate.is_empty());
    let ready = conditions.iter().position(|one| one.type_ == "Ready").map(|at| conditions.swap_remove(at));
    Ok(Status { is_approved, is_denied, has_certificate, ready })
}

impl Status {
    /// Whether the request has its result (`docs/conformance.md`, A04).
    #[must_use]
    pub fn is_final(&self) -> bool {
        let ended = |ready: &Condition| match (ready.status.as_str(), ready.reason.as_deref()) {
            ("True", _) => true,
            ("False", reason) => matches!(reason, Some("Failed" | "Denied")),
            _ => false,
        };
        self.has_certificate || self.ready.as_ref().is_some_and(ended)
    }

    /// Stands for the condition `Ready`.
    #[must_use]
    pub fn hash_of_ready(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.ready.hash(&mut hasher);
        hasher.finish()
    }
}

/// The memory that a request takes, in bytes.
pub fn size(request: &CertificateRequest) -> usize {
    // A new field does not compile until it is added here.
    let CertificateRequest { metadata, spec, status } = request;
    let Spec { request: pem, issuer_ref, usages, duration, is_ca: _ } = spec;
    let IssuerRef { name, kind, group } = issuer_ref;
    let Status { is_approved: _, is_denied: _, has_certificate: _, ready } = status;
    sum([
        size_of::<CertificateRequest>(),
        size_of_metadata(metadata),
        text(pem),
        text(name),
        optional(kind.as_ref()),
        optional(group.as_ref()),
        usages.as_deref().map_or(0, texts),
        optional(duration.as_ref()),
        list(ready.as_slice(), |ready| {
            let Condition { type_, status, reason, message, last_transition_time } = ready;
            let others = [reason, message, last_transition_time];
            sum([text(type_), text(status), sum(others.map(|other| optional(other.as_ref())))])
        }),
    ])
}

/// It is never written back, and it leaves out what is not used by itself.
impl Kept for CertificateRequest {
    const METADATA: KeptMetadata = KeptMetadata::Whole;
    const DECODES_ITSELF: bool = true;
}

impl Resource for CertificateRequest {
    type DynamicType = ();
    type Scope = NamespaceResourceScope;

    fn kind((): &()) -> Cow<'_, str> {
        "CertificateRequest".into()
    }

    fn group((): &()) -> Cow<'_, str> {
        CERT_MANAGER_GROUP.into()
    }

    fn version((): &()) -> Cow<'_, str> {
        "v1".into()
    }

    fn plural((): &()) -> Cow<'_, str> {
        "certificaterequests".into()
    }

    fn meta(&self) -> &ObjectMeta {
        &self.metadata
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.metadata
    }
}
