//! Kubernetes API types of `tcs.intel.com`: custom resources, conditions and reasons, and signer names.
//!
//! Everything here is data and pure functions; there is no client. The custom resource definitions in
//! `deployment/crds/` and the page `docs/quote-attestation-api.md` are generated from these types.
#![forbid(unsafe_code)]

pub mod conditions;
pub mod reasons;
pub mod sealed;
pub mod signer;
pub mod v1alpha1;

/// The API group of all our resources.
pub const GROUP: &str = "tcs.intel.com";
/// The API group of cert-manager.
pub const CERT_MANAGER_GROUP: &str = "cert-manager.io";
/// The verb on an issuer of a namespace that a requester needs.
pub const REFERENCE: &str = "reference";

/// The namespace of the service, of its `QuoteAttestation`s and of the key owner's Secrets.
pub const SERVICE_NAMESPACE: &str = "tcs-issuer";

/// The service's ServiceAccount in [`SERVICE_NAMESPACE`]. The service also uses this name as its field
/// manager and as the controller name of its Events.
pub const SERVICE_ACCOUNT: &str = "tcs-issuer";

/// An annotation [`annotations::RENEW`] is ignored while this many replaced CAs are still published: their
/// trust anchors are mounted into every pod.
pub const MAX_PREVIOUS_BY_ANNOTATION: usize = 8;

/// Labels that the service sets on the objects that it creates.
pub mod labels {
    /// The program that an object belongs to.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// The value of [`MANAGED_BY`] on every object of the service. The admission policy requires it.
    pub const MANAGED_BY_US: &str = "tcs-issuer";
    /// UID of the issuer that an object belongs to.
    pub const ISSUER_UID: &str = "tcs.intel.com/issuer-uid";
    /// Namespace of the issuer that an object belongs to; empty for a cluster issuer.
    pub const ISSUER_NAMESPACE: &str = "tcs.intel.com/issuer-namespace";
    /// Name of the issuer that an object belongs to.
    pub const ISSUER_NAME: &str = "tcs.intel.com/issuer-name";
    /// Set to `true` on every `QuoteAttestation` whose quote comes from a simulated platform.
    pub const SIMULATED: &str = "tcs.intel.com/simulated";
}

/// Annotations by which users request something from the service.
pub mod annotations {
    /// On an issuer: requests the next CA before it is due. Any value is allowed; each new value requests one
    /// renewal.
    pub const RENEW: &str = "tcs.intel.com/renew";
    /// On a self-signed issuer whose key was lost: allows the service to make a new CA. The value is the
    /// SHA-256 fingerprint of the old CA certificate in lower-case hex.
    pub const NEW_CA: &str = "tcs.intel.com/new-ca";
    /// On a `CertificateSigningRequest`: the requested lifetime, for example `2160h`. The shorter of this
    /// value and `spec.expirationSeconds` is used. The annotation is defined by cert-manager.
    pub const REQUEST_DURATION: &str = "experimental.cert-manager.io/request-duration";
    /// On a `CertificateSigningRequest`: `true` requests a CA certificate, if `cert sign` is among the
    /// usages. The annotation is defined by cert-manager.
    pub const REQUEST_IS_CA: &str = "experimental.cert-manager.io/request-is-ca";
}
