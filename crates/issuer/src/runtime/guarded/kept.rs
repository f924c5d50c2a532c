//! What is kept of the metadata of objects. Everybody who may create an object decides how large the rest is.

use k8s_openapi::api::core::v1::Secret;
use kube::core::PartialObjectMeta;
use tcs_api::v1alpha1::{QuoteAttestation, TCSClusterIssuer, TCSIssuer};
use tcs_api::{annotations, labels, sealed};

/// What is kept of the metadata of objects of a kind. `managedFields` are never kept.
pub trait Kept {
    /// What is kept.
    const METADATA: KeptMetadata;

    /// Whether the type leaves out by itself what is not kept. Then an object that fits its type is decoded
    /// in one step, without the tree in between, which takes most of the time. Kinds of which there are many
    /// changes do this.
    const DECODES_ITSELF: bool = false;
}

/// What is kept of the metadata of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeptMetadata {
    /// All of it: the object is written back as it was read, and what a write leaves out is deleted.
    Whole,
    /// Only what the service uses: see [`is_used`], [`is_own_label`] and [`is_own_annotation`]. The values of
    /// annotations are cut after [`MAX_ANNOTATION`] characters.
    Own,
}

/// Maximum length of a value of an annotation that is kept, in characters. No annotation of the service has a
/// longer valid value.
pub const MAX_ANNOTATION: usize = 128;

/// Whether the service uses a field of the metadata.
pub fn is_used(field: &str) -> bool {
    matches!(
        field,
        "name"
            | "namespace"
            | "uid"
            | "resourceVersion"
            | "generation"
            | "deletionTimestamp"
            | "labels"
            | "annotations"
    )
}

/// Whether the service uses a label.
pub fn is_own_label(key: &str) -> bool {
    [labels::MANAGED_BY, labels::ISSUER_UID, labels::ISSUER_NAMESPACE, labels::ISSUER_NAME].contains(&key)
}

/// Whether the service uses an annotation.
pub fn is_own_annotation(key: &str) -> bool {
    [annotations::RENEW, annotations::NEW_CA, sealed::FINGERPRINT, sealed::GENERATION, sealed::NOT_AFTER]
        .contains(&key)
}

impl Kept for TCSIssuer {
    const METADATA: KeptMetadata = KeptMetadata::Own;
}

impl Kept for TCSClusterIssuer {
    const METADATA: KeptMetadata = KeptMetadata::Own;
}

/// The content of these objects is not read, so they are never written back.
impl<K> Kept for PartialObjectMeta<K> {
    const METADATA: KeptMetadata = KeptMetadata::Own;
}

impl Kept for QuoteAttestation {
    const METADATA: KeptMetadata = KeptMetadata::Whole;
}

impl Kept for Secret {
    const METADATA: KeptMetadata = KeptMetadata::Whole;
}
