//! Version `v1alpha1` of `tcs.intel.com`.
//!
//! The doc comments of the fields are the descriptions that `kubectl explain` prints.

mod ca;
mod delivery;
mod issuer;
mod policy;
mod quote_attestation;
mod schema;
mod text_list;

pub use ca::{CaSpec, CaStatus, PreviousCa};
pub use delivery::{DeliverySpec, WrapFormat};
pub use issuer::{
    ClusterIssuerSpec, IssuerSpec, IssuerStatus, OfferStatus, RefusedDelivery, TCSClusterIssuer, TCSIssuer,
};
pub use policy::PolicySpec;
pub use quote_attestation::{
    QuoteAttestation, QuoteAttestationSpec, QuoteAttestationStatus, QuoteCondition, SecretEntry,
};
pub use text_list::TextList;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt as _;

/// The custom resource definitions.
#[must_use]
pub fn crds() -> Vec<CustomResourceDefinition> {
    vec![QuoteAttestation::crd(), TCSIssuer::crd(), TCSClusterIssuer::crd()]
}

#[cfg(test)]
mod tests;
