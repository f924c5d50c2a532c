//! CAs: their generation, their renewal and their description.

use super::lists::decode_list;
use super::policy::Policy;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Fields of [`Request::GenerateCa`](super::Request::GenerateCa).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct GenerateCa {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// The CA's name.
    #[n(1)]
    pub subject: CaSubject,
    /// `ECDSA-P256`, `ECDSA-P384`, `RSA-3072` or `Ed25519`.
    #[n(2)]
    pub key_algorithm: String,
    /// Lifetime in seconds, from an hour to 20 years.
    #[n(3)]
    pub lifetime: u64,
    /// The path length constraint (RFC 5280, section 4.2.1.9): how many CAs may exist between this one and a
    /// leaf. `None` allows any number.
    #[n(4)]
    pub path_length: Option<u8>,
    /// Caller's time, Unix seconds.
    #[n(5)]
    pub now: i64,
    /// Policy for every certificate of this CA and of those that follow it. It is sealed with the key.
    #[n(6)]
    pub policy: Option<Policy>,
}

/// Fields of [`Request::RenewCa`](super::Request::RenewCa). Only a generated CA can be renewed. Its subject,
/// path length and policy stay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RenewCa {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// Algorithm of a new key, as in [`GenerateCa::key_algorithm`]. `None` keeps the key.
    #[n(1)]
    pub new_key: Option<String>,
    /// Lifetime in seconds, from an hour to 20 years.
    #[n(2)]
    pub lifetime: u64,
    /// Caller's time, Unix seconds.
    #[n(3)]
    pub now: i64,
}

/// Name of a self-signed CA. Every value has 1 to 64 characters, localities and provinces up to 128,
/// countries two letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct CaSubject {
    /// CN.
    #[n(0)]
    pub common_name: String,
    /// O.
    #[n(1)]
    #[cbor(decode_with = "decode_list")]
    pub organizations: Vec<String>,
    /// OU.
    #[n(2)]
    #[cbor(decode_with = "decode_list")]
    pub organizational_units: Vec<String>,
    /// C.
    #[n(3)]
    #[cbor(decode_with = "decode_list")]
    pub countries: Vec<String>,
    /// L.
    #[n(4)]
    #[cbor(decode_with = "decode_list")]
    pub localities: Vec<String>,
    /// ST.
    #[n(5)]
    #[cbor(decode_with = "decode_list")]
    pub provinces: Vec<String>,
}

/// A CA whose key the enclave holds.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CaInfo {
    /// SHA-256 over the DER of the issuing CA certificate, 32 bytes.
    #[n(0)]
    pub fingerprint: ByteVec,
    /// Start of its validity, Unix seconds.
    #[n(1)]
    pub not_before: i64,
    /// End of its validity, Unix seconds.
    #[n(2)]
    pub not_after: i64,
    /// Key algorithm by name: `RSA-3072`, `ECDSA-P256`, …
    #[n(3)]
    pub key_algorithm: String,
    /// Issuing CA first, then its intermediates, DER. A self-signed certificate is included only if it is the
    /// issuing CA itself.
    #[n(4)]
    pub chain: Vec<ByteVec>,
    /// Trust anchors, DER: the delivered self-signed certificate or, if none was delivered, the last of the
    /// chain.
    #[n(5)]
    pub anchors: Vec<ByteVec>,
    /// Where the key comes from: the format in which it was wrapped (`kmra-v1-sha256`, `kmra-v1`), or
    /// `generated`.
    #[n(6)]
    pub key_format: String,
    /// Number of the key among those of the issuer, as in [`Sealed::generation`](super::Sealed::generation).
    #[n(7)]
    pub generation: u64,
}
