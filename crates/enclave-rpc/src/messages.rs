//! The messages of the RPC (CBOR by `minicbor`, numbered fields; for those that a peer does not know see [`crate::codec`]).
//!
//! Times are Unix seconds (`i64`) as the *caller* claims them: the enclave trusts no clock and clamps.
//! Identifiers of issuers are Kubernetes object UIDs as text, at most [`MAX_ISSUER_UID`] bytes.

use crate::RefusalCode;
use minicbor::{Decode, Decoder, Encode, bytes::ByteVec, decode};

/// Longest issuer UID accepted, in bytes (a Kubernetes UID has 36).
pub const MAX_ISSUER_UID: usize = 64;

/// Most entries of a list in a request; a longer one is refused as it is read.
pub const MAX_LIST: usize = 64;

/// Longest sealed CA key, in bytes: room for the longest chain (8 certificates of 64 KiB) and policy (64 KiB), and less than a Secret
/// can hold.
pub const MAX_SEALED_BLOB: usize = 640 << 10;

/// What the controller may ask. There is no request that signs bytes chosen by the caller.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Request {
    /// Who is there: answered by [`Response::Identity`].
    #[n(0)]
    Identity,
    /// Makes or repeats the offer of an issuer: answered by [`Response::Offer`].
    #[n(1)]
    BeginProvisioning(#[n(0)] BeginProvisioning),
    /// Delivers a wrapped CA key: answered by [`Response::Provisioned`].
    #[n(2)]
    CompleteProvisioning(#[n(0)] CompleteProvisioning),
    /// Asks for a certificate: answered by [`Response::Issued`].
    #[n(3)]
    Issue(#[n(0)] Issue),
    /// Forgets an issuer's offer and CA key: answered by [`Response::Destroyed`], also when there was none.
    #[n(4)]
    Destroy(#[n(0)] Destroy),
    /// What is held for which issuer: answered by [`Response::Health`].
    #[n(5)]
    Health(#[n(0)] Health),
    /// Makes a self-signed CA whose key never leaves: answered by [`Response::Provisioned`].
    #[n(6)]
    GenerateCa(#[n(0)] GenerateCa),
    /// Asks for the issuer's CA key, sealed: answered by [`Response::Sealed`].
    #[n(7)]
    Seal(#[n(0)] Seal),
    /// Takes a sealed CA key back: answered by [`Response::Provisioned`].
    #[n(8)]
    Restore(#[n(0)] Restore),
    /// Lets the next certificate of a self-signed CA follow the present one: answered by [`Response::Provisioned`].
    #[n(9)]
    RenewCa(#[n(0)] RenewCa),
}

/// The answers. Every request is answered exactly once; answers may come out of order.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
#[non_exhaustive]
pub enum Response {
    /// Answer to [`Request::Identity`].
    #[n(0)]
    Identity(#[n(0)] Identity),
    /// Answer to [`Request::BeginProvisioning`].
    #[n(1)]
    Offer(#[n(0)] Offer),
    /// Answer to [`Request::CompleteProvisioning`].
    #[n(2)]
    Provisioned(#[n(0)] CaInfo),
    /// Answer to [`Request::Issue`].
    #[n(3)]
    Issued(#[n(0)] Issued),
    /// Answer to [`Request::Destroy`].
    #[n(4)]
    Destroyed,
    /// Answer to [`Request::Health`].
    #[n(5)]
    Health(#[n(0)] HealthReport),
    /// The request was refused; nothing was changed by it unless the code's documentation says so.
    #[n(6)]
    Refused(#[n(0)] Refusal),
    /// Answer to [`Request::Seal`].
    #[n(7)]
    Sealed(#[n(0)] Sealed),
}

/// A refusal: a stable code and one sentence for people. Never carries secrets or request bytes.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    /// Stable code.
    #[n(0)]
    pub code: RefusalCode,
    /// What happened and what to do, in one sentence.
    #[n(1)]
    pub message: String,
    /// Whether the offer has ended, so that the key must be wrapped for a new one. False if the field is absent.
    #[n(2)]
    #[cbor(default)]
    pub offer_ended: bool,
}

impl Refusal {
    /// A refusal that does not end an offer.
    #[must_use]
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), offer_ended: false }
    }
}

/// Fields of [`Request::BeginProvisioning`]. Idempotent per issuer UID: while an offer is open the same offer is
/// answered again, with the same key and the same quote.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BeginProvisioning {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// The 32-byte nonce hashed into `report_data` (profile `ctk-v1`).
    #[n(1)]
    pub nonce: ByteVec,
    /// Asks for the next CA of an issuer that holds one, which goes on signing until the next is accepted. Without it such an issuer
    /// gets no offer.
    #[n(2)]
    pub renewal: bool,
}

/// Fields of [`Request::CompleteProvisioning`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CompleteProvisioning {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// The offer answered to, 16 bytes.
    #[n(1)]
    pub offer_id: ByteVec,
    /// The wrapped key: decoded `tls.key`, 384 bytes OAEP then AES-KWP of the PKCS#8.
    #[n(2)]
    pub wrapped_key: ByteVec,
    /// The delivered certificates, DER, in the order of `tls.crt`.
    #[n(3)]
    #[cbor(decode_with = "decode_list")]
    pub chain: Vec<ByteVec>,
    /// Wrap formats that are acceptable, by name (`kmra-v1-sha256`, `kmra-v1`); empty means all known.
    #[n(4)]
    #[cbor(decode_with = "decode_list")]
    pub formats: Vec<String>,
    /// Caller's time, Unix seconds.
    #[n(5)]
    pub now: i64,
}

/// Fields of [`Request::Issue`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Issue {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// The PKCS#10 request, DER.
    #[n(1)]
    pub request: ByteVec,
    /// The door through which the request came.
    #[n(2)]
    pub door: Door,
    /// Usages by their Kubernetes names (`digital signature`, `server auth`, …).
    #[n(3)]
    #[cbor(decode_with = "decode_list")]
    pub usages: Vec<String>,
    /// Lifetime asked for, seconds; `None`: the default.
    #[n(4)]
    pub lifetime: Option<u64>,
    /// Caller's time, Unix seconds.
    #[n(5)]
    pub now: i64,
    /// Narrows what the CA's own policy allows, for this certificate.
    #[n(6)]
    pub policy: Option<Policy>,
    /// Whether a CA certificate is asked for.
    #[n(7)]
    pub is_ca: bool,
}

/// Which Kubernetes API asked; chooses the certificate profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
#[cbor(index_only)]
#[non_exhaustive]
pub enum Door {
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

/// Fields of [`Request::GenerateCa`].
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
    /// Seconds, an hour to 20 years.
    #[n(3)]
    pub lifetime: u64,
    /// How many CAs may stand between this one and a leaf; `None`: any number.
    #[n(4)]
    pub path_length: Option<u8>,
    /// Caller's time, Unix seconds.
    #[n(5)]
    pub now: i64,
    /// Holds for every certificate of this CA, as long as its key lives; sealed with it.
    #[n(6)]
    pub policy: Option<Policy>,
}

/// Fields of [`Request::RenewCa`]. Only for a CA that was made here; its subject, path length and policy stay.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RenewCa {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// Makes a new key of this algorithm, as in [`GenerateCa::key_algorithm`]; `None`: the key stays.
    #[n(1)]
    pub new_key: Option<String>,
    /// Seconds, an hour to 20 years.
    #[n(2)]
    pub lifetime: u64,
    /// Caller's time, Unix seconds.
    #[n(3)]
    pub now: i64,
}

/// Rules beside the built-in floor, which they only narrow. A list that is `None` is no rule; their texts are those of
/// `tcs_x509::PolicyRules`. With a rule that the enclave does not know, a request and a sealed key are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Policy {
    /// Patterns of DNS names.
    #[n(0)]
    pub dns_names: Option<Texts>,
    /// Patterns of URIs.
    #[n(1)]
    pub uris: Option<Texts>,
    /// Ranges of IP addresses.
    #[n(2)]
    pub ip_ranges: Option<Texts>,
    /// Patterns of e-mail addresses.
    #[n(3)]
    pub email_addresses: Option<Texts>,
    /// Common names.
    #[n(4)]
    pub common_names: Option<Texts>,
    /// Usages by their Kubernetes names.
    #[n(5)]
    pub usages: Option<Texts>,
    /// Longest lifetime, seconds.
    #[n(6)]
    pub max_lifetime: Option<u64>,
    /// Key algorithms by name.
    #[n(7)]
    pub key_algorithms: Option<Texts>,
    /// How many levels of CAs may stand below the CA. Fixed in [`GenerateCa::policy`] it is the one rule that widens the floor, which
    /// is none; in [`Issue::policy`] it only lowers what was fixed.
    #[n(8)]
    pub ca_depth: Option<u8>,
    /// Organizations of the subject.
    #[n(9)]
    pub organizations: Option<Texts>,
    /// Organizational units of the subject.
    #[n(10)]
    pub organizational_units: Option<Texts>,
}

/// At most [`MAX_LIST`] texts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts(pub Vec<String>);

impl<C> Encode<C> for Texts {
    fn encode<W: minicbor::encode::Write>(
        &self,
        encoder: &mut minicbor::Encoder<W>,
        context: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        self.0.encode(encoder, context)
    }
}

impl<'b, C> Decode<'b, C> for Texts {
    fn decode(decoder: &mut Decoder<'b>, context: &mut C) -> Result<Self, decode::Error> {
        decode_list(decoder, context).map(Self)
    }
}

/// Name of a self-signed CA. Every value has 1 to 64 characters, localities and provinces up to 128, countries two letters.
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

/// Fields of [`Request::Seal`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Seal {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
}

/// Fields of [`Request::Restore`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Restore {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// What [`Response::Sealed`] carried, at most [`MAX_SEALED_BLOB`] bytes.
    #[n(1)]
    pub blob: ByteVec,
    /// Caller's time, Unix seconds. It decides nothing: a CA that has ended is restored, too. Earlier enclaves refused it.
    #[n(2)]
    pub now: i64,
}

/// Fields of [`Request::Destroy`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Destroy {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
}

/// Fields of [`Request::Health`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Health {
    /// Report this issuer only; `None`: all.
    #[n(0)]
    pub issuer_uid: Option<String>,
}

/// Answer to [`Request::Identity`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Identity {
    /// Random value chosen at process start, 16 bytes: a new one means that everything in memory is gone.
    #[n(0)]
    pub boot_id: ByteVec,
    /// Version of the program, from its manifest.
    #[n(1)]
    pub version: String,
    /// Platform by name, for example `simulation`.
    #[n(2)]
    pub platform: String,
    /// True if the platform protects nothing.
    #[n(3)]
    pub simulated: bool,
    /// Kind of evidence it makes, as `tcs_evidence::Evidence::kind`.
    #[n(4)]
    pub evidence_kind: String,
    /// How far the key is protected and policy enforced: `enclave`, `token` or `simulated`.
    #[n(5)]
    pub assurance: String,
    /// Whether the platform can seal: else every CA key ends with the process.
    #[n(6)]
    pub sealing: bool,
}

/// Answer to [`Request::BeginProvisioning`].
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
    /// Refused deliveries that this offer still survives.
    #[n(4)]
    pub attempts_left: u32,
}

/// What is known of a CA whose key the enclave holds.
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
    /// Issuing CA first, then its intermediates, DER. A self-signed certificate stands here only if it is the
    /// issuing CA itself.
    #[n(4)]
    pub chain: Vec<ByteVec>,
    /// Trust anchors, DER: the delivered self-signed certificate or, if none was delivered, the last of the chain.
    #[n(5)]
    pub anchors: Vec<ByteVec>,
    /// How the key came: the wrap format (`kmra-v1-sha256`, `kmra-v1`), or `generated`.
    #[n(6)]
    pub key_format: String,
    /// Number of the key among the issuer's, as in [`Sealed::generation`].
    #[n(7)]
    pub generation: u64,
}

/// Answer to [`Request::Issue`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Issued {
    /// Leaf first, then intermediates; never a self-signed root (conformance B4). DER.
    #[n(0)]
    pub chain: Vec<ByteVec>,
    /// Start of the leaf's validity, Unix seconds.
    #[n(1)]
    pub not_before: i64,
    /// End of the leaf's validity, Unix seconds.
    #[n(2)]
    pub not_after: i64,
    /// Whose certificate it is: [`CaInfo::fingerprint`] of the CA.
    #[n(3)]
    pub ca_fingerprint: ByteVec,
    /// When a pod should ask for the next certificate, Unix seconds; only of [`Door::PodCertificate`].
    #[n(4)]
    pub begin_refresh_at: Option<i64>,
}

/// Answer to [`Request::Seal`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Sealed {
    /// What only this enclave on this machine can open, for this issuer.
    #[n(0)]
    pub blob: ByteVec,
    /// Number of the key among the issuer's; it grows with every new one.
    #[n(1)]
    pub generation: u64,
}

/// Answer to [`Request::Health`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct HealthReport {
    /// As in [`Identity::boot_id`].
    #[n(0)]
    pub boot_id: ByteVec,
    /// One entry for each issuer of which anything is held (and asked about).
    #[n(1)]
    pub issuers: Vec<IssuerState>,
}

/// What the enclave holds for one issuer.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct IssuerState {
    /// UID of the issuer.
    #[n(0)]
    pub issuer_uid: String,
    /// The open offer's id, if there is one.
    #[n(1)]
    pub offer_id: Option<ByteVec>,
    /// SHA-256 of the issuing CA certificate, if its key is held; in full by asking for this issuer alone.
    #[n(2)]
    pub ca_fingerprint: Option<ByteVec>,
    /// The CA; only if [`Health::issuer_uid`] named this issuer.
    #[n(3)]
    pub ca: Option<CaInfo>,
}

/// One byte on the wire can become an entry of 24 in memory: without a cap a small frame grows large here.
fn decode_list<'b, C, T: Decode<'b, C>>(
    decoder: &mut Decoder<'b>,
    context: &mut C,
) -> Result<Vec<T>, decode::Error> {
    let mut list = Vec::new();
    for entry in decoder.array_iter_with(context)? {
        if list.len() == MAX_LIST {
            return Err(decode::Error::message("list too long"));
        }
        list.push(entry?);
    }
    Ok(list)
}
