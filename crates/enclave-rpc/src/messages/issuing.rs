//! Requests for certificates, and issued certificates.

use super::lists::decode_list;
use super::policy::Policy;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Fields of [`Request::Issue`](super::Request::Issue).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Issue {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// The PKCS#10 request, DER.
    #[n(1)]
    pub request: ByteVec,
    /// The Kubernetes API through which the certificate was requested.
    #[n(2)]
    pub request_api: RequestApi,
    /// Usages by their Kubernetes names (`digital signature`, `server auth`, …).
    #[n(3)]
    #[cbor(decode_with = "decode_list")]
    pub usages: Vec<String>,
    /// Requested lifetime in seconds; `None` for the default.
    #[n(4)]
    pub lifetime: Option<u64>,
    /// Caller's time, Unix seconds.
    #[n(5)]
    pub now: i64,
    /// Narrows the policy that was fixed for the CA. Applies to this certificate only.
    #[n(6)]
    pub policy: Option<Policy>,
    /// Whether a CA certificate is requested.
    #[n(7)]
    pub is_ca: bool,
}

/// The Kubernetes API through which a certificate is requested. It determines the certificate profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum RequestApi {
    /// `certificates.k8s.io/v1` `CertificateSigningRequest`.
    #[n(0)]
    KubernetesCsr,
    /// `cert-manager.io/v1` `CertificateRequest`.
    #[n(1)]
    CertManager,
    /// `certificates.k8s.io` `PodCertificateRequest`.
    #[n(2)]
    PodCertificate,
}

/// Answer to [`Request::Issue`](super::Request::Issue).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Issued {
    /// The certificate first, then its intermediates, DER. Never a self-signed root (docs/conformance.md,
    /// A18).
    #[n(0)]
    #[cbor(decode_with = "decode_list")]
    pub chain: Vec<ByteVec>,
    /// Start of the certificate's validity, Unix seconds.
    #[n(1)]
    pub not_before: i64,
    /// End of the certificate's validity, Unix seconds.
    #[n(2)]
    pub not_after: i64,
    /// The CA that issued it: [`CaInfo::fingerprint`](super::CaInfo::fingerprint).
    #[n(3)]
    pub ca_fingerprint: ByteVec,
    /// When a pod should request its next certificate, Unix seconds; only for [`RequestApi::PodCertificate`].
    #[n(4)]
    pub begin_refresh_at: Option<i64>,
}
