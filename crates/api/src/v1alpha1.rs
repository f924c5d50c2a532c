//! Version `v1alpha1` of `tcs.intel.com`.
//!
//! The doc comments of the fields are the descriptions that `kubectl explain` prints.

mod issuer;
mod policy;
mod quote_attestation;

pub use issuer::{
    CaSpec, CaStatus, ClusterIssuerSpec, IssuerSpec, IssuerStatus, OfferStatus, PreviousCa, RefusedDelivery,
    TCSClusterIssuer, TCSIssuer,
};
pub use policy::PolicySpec;
pub use quote_attestation::{
    QuoteAttestation, QuoteAttestationSpec, QuoteAttestationStatus, QuoteCondition, SecretEntry,
};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

/// A DNS-1123 subdomain, the form of a Secret's name; its length (253) is limited separately.
const DNS_SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// The custom resource definitions.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![QuoteAttestation::crd(), TCSIssuer::crd(), TCSClusterIssuer::crd()]
}

#[cfg(test)]
mod tests;
