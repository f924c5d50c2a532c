//! Provisioning: offers and deliveries.

use super::lists::decode_list;
use minicbor::bytes::ByteVec;
use minicbor::{Decode, Encode};

/// Fields of [`Request::BeginProvisioning`](super::Request::BeginProvisioning). The request is idempotent for
/// each issuer UID: while an offer is open, the same offer is returned, with the same key and the same quote.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BeginProvisioning {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// The 32-byte nonce hashed into `report_data` (profile `ctk-v1`).
    #[n(1)]
    pub nonce: ByteVec,
    /// Requests an offer for the next CA of an issuer that has one. The current CA continues to sign until
    /// the next one is accepted. Without `renewal` such an issuer gets no offer.
    #[n(2)]
    pub renewal: bool,
}

/// Fields of [`Request::CompleteProvisioning`](super::Request::CompleteProvisioning).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CompleteProvisioning {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// Id of the offer, 16 bytes.
    #[n(1)]
    pub offer_id: ByteVec,
    /// The wrapped key (docs/protocol.md, "Wrapped keys"): 384 bytes of RSAES-OAEP, then AES-KWP of the
    /// PKCS#8.
    #[n(2)]
    pub wrapped_key: ByteVec,
    /// The delivered certificates, DER, in the order of `tls.crt`.
    #[n(3)]
    #[cbor(decode_with = "decode_list")]
    pub chain: Vec<ByteVec>,
    /// Wrapped-key formats that are allowed, by name (`kmra-v1-sha256`, `kmra-v1`). An empty list allows all.
    #[n(4)]
    #[cbor(decode_with = "decode_list")]
    pub formats: Vec<String>,
    /// Caller's time, Unix seconds.
    #[n(5)]
    pub now: i64,
}

/// Fields of [`Request::Destroy`](super::Request::Destroy).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Destroy {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
}

/// Answer to [`Request::BeginProvisioning`](super::Request::BeginProvisioning).
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Offer {
    /// Identifies the offer, 16 random bytes.
    #[n(0)]
    pub offer_id: ByteVec,
    /// The attested public key: DER `SubjectPublicKeyInfo`, RSA-3072.
    #[n(1)]
    pub public_key: ByteVec,
    /// Kind of the evidence.
    #[n(2)]
    pub evidence_kind: String,
    /// The evidence bytes (a raw quote).
    #[n(3)]
    pub evidence: ByteVec,
    /// How many deliveries can still be refused before the offer is closed.
    #[n(4)]
    pub attempts_left: u32,
}
