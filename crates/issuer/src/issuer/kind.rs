//! An issuer of either kind: `TCSIssuer` or `TCSClusterIssuer`.

use crate::runtime::guarded::kept::Kept;
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use kube::Resource;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use tcs_api::signer::{self, SignerName};
use tcs_api::v1alpha1::{ClusterIssuerSpec, IssuerSpec, IssuerStatus, TCSClusterIssuer, TCSIssuer};
use tcs_api::{SERVICE_NAMESPACE, conditions, labels};

/// A `TCSIssuer` or a `TCSClusterIssuer`. Cheap to clone.
#[derive(Clone, Debug, PartialEq)]
pub enum Issuer {
    /// An issuer of one namespace.
    Namespaced(Arc<TCSIssuer>),
    /// An issuer of the whole cluster. It publishes its CA certificate in the service's namespace.
    Cluster(Arc<TCSClusterIssuer>),
}

/// What differs between the two kinds of issuers.
pub trait IssuerKind:
    Resource<DynamicType = ()> + Kept + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// The signer name of an issuer with this metadata.
    fn signer(metadata: &ObjectMeta) -> SignerName;

    /// Whether issuers of this kind have such signer names.
    fn is_signer_of_kind(signer: &SignerName) -> bool;
}

impl IssuerKind for TCSIssuer {
    fn signer(metadata: &ObjectMeta) -> SignerName {
        let text = |field: &Option<String>| field.clone().unwrap_or_default();
        SignerName::Namespaced { namespace: text(&metadata.namespace), name: text(&metadata.name) }
    }

    fn is_signer_of_kind(signer: &SignerName) -> bool {
        matches!(signer, SignerName::Namespaced { .. })
    }
}

impl IssuerKind for TCSClusterIssuer {
    fn signer(metadata: &ObjectMeta) -> SignerName {
        SignerName::Cluster { name: metadata.name.clone().unwrap_or_default() }
    }

    fn is_signer_of_kind(signer: &SignerName) -> bool {
        matches!(signer, SignerName::Cluster { .. })
    }
}

impl From<Arc<TCSIssuer>> for Issuer {
    fn from(issuer: Arc<TCSIssuer>) -> Self {
        Self::Namespaced(issuer)
    }
}

impl From<Arc<TCSClusterIssuer>> for Issuer {
    fn from(issuer: Arc<TCSClusterIssuer>) -> Self {
        Self::Cluster(issuer)
    }
}

impl Issuer {
    /// Its metadata.
    #[must_use]
    pub fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Namespaced(issuer) => &issuer.metadata,
            Self::Cluster(issuer) => &issuer.metadata,
        }
    }

    /// Its spec.
    #[must_use]
    pub fn spec(&self) -> &IssuerSpec {
        match self {
            Self::Namespaced(issuer) => &issuer.spec,
            Self::Cluster(issuer) => {
                let ClusterIssuerSpec(spec) = &issuer.spec;
                spec
            }
        }
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> Option<&IssuerStatus> {
        match self {
            Self::Namespaced(issuer) => issuer.status.as_ref(),
            Self::Cluster(issuer) => issuer.status.as_ref(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> String {
        self.meta().name.clone().unwrap_or_default()
    }

    /// Its namespace; `None` for a cluster issuer.
    #[must_use]
    pub fn namespace(&self) -> Option<&str> {
        self.meta().namespace.as_deref()
    }

    /// Its UID.
    #[must_use]
    pub fn uid(&self) -> String {
        self.meta().uid.clone().unwrap_or_default()
    }

    /// Its resource version. Versions of one resource can be compared as numbers (KEP-5504).
    #[must_use]
    pub fn version(&self) -> u64 {
        self.meta().resource_version.as_ref().and_then(|version| version.parse().ok()).unwrap_or(0)
    }

    /// The value of an annotation.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<&str> {
        self.meta().annotations.as_ref()?.get(key).map(String::as_str)
    }

    /// The namespace of the Secret that publishes its CA certificate.
    #[must_use]
    pub fn publication_namespace(&self) -> &str {
        self.namespace().unwrap_or(SERVICE_NAMESPACE)
    }

    /// Its signer name as the original walk-through spells it.
    #[must_use]
    pub fn signer_name(&self) -> String {
        match self.namespace() {
            Some(namespace) => signer::signer_name(namespace, &self.name()),
            None => signer::cluster_signer_name(&self.name()),
        }
    }

    /// Its signer name, parsed.
    #[must_use]
    pub fn signer(&self) -> SignerName {
        match self {
            Self::Namespaced(issuer) => TCSIssuer::signer(&issuer.metadata),
            Self::Cluster(issuer) => TCSClusterIssuer::signer(&issuer.metadata),
        }
    }

    /// All spellings of its signer name that are served.
    #[must_use]
    pub fn spellings(&self) -> [String; 2] {
        match self.namespace() {
            Some(namespace) => signer::spellings(namespace, &self.name()),
            None => signer::cluster_spellings(&self.name()),
        }
    }

    /// Whether a signer name refers to it.
    #[must_use]
    pub fn is_named(&self, by: &SignerName) -> bool {
        match by {
            SignerName::Namespaced { namespace, name } => {
                self.namespace() == Some(namespace) && self.name() == *name
            }
            SignerName::Cluster { name } => self.namespace().is_none() && self.name() == *name,
        }
    }

    /// The name of its `QuoteAttestation`.
    #[must_use]
    pub fn attestation_name(&self) -> String {
        match self.namespace() {
            Some(namespace) => signer::quote_attestation_name(namespace, &self.name()),
            None => signer::cluster_quote_attestation_name(&self.name()),
        }
    }

    /// Its arguments for kubectl, for example `tcsissuers.tcs.intel.com -n sandbox my-ca`.
    #[must_use]
    pub fn for_kubectl(&self) -> String {
        match self.namespace() {
            Some(namespace) => format!("tcsissuers.tcs.intel.com -n {namespace} {}", self.name()),
            None => format!("tcsclusterissuers.tcs.intel.com {}", self.name()),
        }
    }

    /// A reference to it, for Events.
    #[must_use]
    pub fn reference(&self) -> ObjectReference {
        match self {
            Self::Namespaced(issuer) => issuer.object_ref(&()),
            Self::Cluster(issuer) => issuer.object_ref(&()),
        }
    }

    /// An owner reference to it. A cluster issuer may own objects of any namespace.
    #[must_use]
    pub fn owner(&self) -> OwnerReference {
        let (api_version, kind) = match self {
            Self::Namespaced(_) => (TCSIssuer::api_version(&()), TCSIssuer::kind(&())),
            Self::Cluster(_) => (TCSClusterIssuer::api_version(&()), TCSClusterIssuer::kind(&())),
        };
        OwnerReference {
            api_version: api_version.into_owned(),
            kind: kind.into_owned(),
            name: self.name(),
            uid: self.uid(),
            ..OwnerReference::default()
        }
    }

    /// Labels that mark an object as this issuer's. The namespace is empty for a cluster issuer.
    #[must_use]
    pub fn own_labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (labels::MANAGED_BY.into(), labels::MANAGED_BY_US.into()),
            (labels::ISSUER_UID.into(), self.uid()),
            (labels::ISSUER_NAMESPACE.into(), self.namespace().unwrap_or_default().into()),
            (labels::ISSUER_NAME.into(), self.name()),
        ])
    }

    /// The labels of its spec, overridden by those of [`Self::own_labels`].
    #[must_use]
    pub fn all_labels(&self) -> BTreeMap<String, String> {
        let mut all = self.spec().labels.clone();
        all.extend(self.own_labels());
        all
    }

    /// Whether it may be waiting for a CA key: the first, a lost one, or the next.
    #[must_use]
    pub fn awaits_key(&self) -> bool {
        !self.signs() || self.status().is_some_and(|status| status.offer.is_some())
    }

    /// Whether it signs according to its status.
    #[must_use]
    pub fn signs(&self) -> bool {
        self.meta().deletion_timestamp.is_none() && self.status().is_some_and(conditions::is_ready)
    }
}
