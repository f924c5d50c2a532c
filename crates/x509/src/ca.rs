//! CA certificates as delivered, and their chain (crypto-and-x509 reference, 4.4; RFC 5280, 6.1).

use crate::certificate::Certificate;
use crate::constraints::NameConstraints;
use crate::extension::{
    AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, CERTIFICATE_POLICIES, KEY_CERT_SIGN, KEY_USAGE, NAME_CONSTRAINTS,
    SUBJECT_ALT_NAME, SUBJECT_KEY_ID, basic_constraints, key_usage,
};
use crate::public_key::{KeyError, PublicKey};
use crate::{Error, KeyAlgorithm, name, san};
use aws_lc_rs::digest::{SHA256, digest};
use der::asn1::ObjectIdentifier;

/// More than any chain in the field.
const MAX_CHAIN: usize = 8;
/// Critical extensions that are understood here. Others refuse the certificate: what is not honoured must not be ignored.
const UNDERSTOOD: [ObjectIdentifier; 7] = [
    BASIC_CONSTRAINTS,
    KEY_USAGE,
    CERTIFICATE_POLICIES,
    SUBJECT_ALT_NAME,
    SUBJECT_KEY_ID,
    AUTHORITY_KEY_ID,
    NAME_CONSTRAINTS,
];

/// A certificate that is allowed to sign certificates.
#[derive(Clone, Debug)]
pub struct CaCertificate {
    der: Vec<u8>,
    tbs: Vec<u8>,
    signature: Vec<u8>,
    algorithm: Vec<u8>,
    issuer: Vec<u8>,
    subject: Vec<u8>,
    /// The subject to be compared.
    rdns: name::Rdns,
    key: PublicKey,
    key_id: Option<Vec<u8>>,
    path_length: Option<u8>,
    constraints: Option<NameConstraints>,
    not_before: i64,
    not_after: i64,
}

impl CaCertificate {
    /// Parses a DER certificate and checks that it is a CA's: version 3, basicConstraints critical and CA:TRUE, keyCertSign
    /// where key usage is present, a readable subject, a supported key. Validity and signature are the chain's matter.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let certificate = Certificate::parse(bytes).map_err(Error::CertificateMalformed)?;
        let tbs = &certificate.tbs;
        let malformed = |_| Error::CertificateMalformed("an extension cannot be read");
        let no_ca = Error::CertificateNotCa("it has no critical basicConstraints CA:TRUE");
        let constraints = tbs.extension(BASIC_CONSTRAINTS).filter(|e| e.critical).ok_or(no_ca)?;
        let constraints = basic_constraints(constraints.value).map_err(malformed)?;
        if !constraints.ca {
            return Err(no_ca);
        }
        let usage = tbs.extension(KEY_USAGE).map(|e| key_usage(e.value)).transpose().map_err(malformed)?;
        if usage.is_some_and(|bits| !bits.contains(&KEY_CERT_SIGN)) {
            return Err(Error::CertificateNotCa("its key usage does not allow signing certificates"));
        }
        if name::is_empty(tbs.subject) {
            return Err(Error::CertificateMalformed("its subject is empty"));
        }
        // It becomes the issuer of every leaf.
        let rdns =
            name::rdns(tbs.subject).map_err(|_| Error::CertificateMalformed("its subject cannot be read"))?;
        let constraints_of_names = tbs.extension(NAME_CONSTRAINTS).map(|e| NameConstraints::parse(e.value));
        let constraints_of_names = constraints_of_names.transpose().map_err(Error::CertificateUnsupported)?;
        if tbs.extensions.iter().any(|extension| extension.critical && !UNDERSTOOD.contains(&extension.id)) {
            return Err(Error::CertificateUnsupported("a critical extension is not known"));
        }
        let key = PublicKey::from_spki(tbs.spki).map_err(key_error)?;
        let key_id = tbs.extension(SUBJECT_KEY_ID).map(|e| octets(e.value)).transpose().map_err(malformed)?;
        Ok(Self {
            der: bytes.to_vec(),
            tbs: certificate.tbs_raw.to_vec(),
            signature: certificate.signature.to_vec(),
            algorithm: crate::encode::der(&certificate.algorithm)?,
            issuer: tbs.issuer.to_vec(),
            subject: tbs.subject.to_vec(),
            rdns,
            key,
            key_id,
            path_length: constraints.path_length,
            constraints: constraints_of_names,
            not_before: tbs.not_before,
            not_after: tbs.not_after,
        })
    }

    /// The certificate, DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// SHA-256 over the DER.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut fingerprint = [0; 32];
        for (to, from) in fingerprint.iter_mut().zip(digest(&SHA256, &self.der).as_ref()) {
            *to = *from;
        }
        fingerprint
    }

    /// The subject, DER `Name`.
    #[must_use]
    pub fn subject_raw(&self) -> &[u8] {
        &self.subject
    }

    /// Whether issuer and subject are the same.
    #[must_use]
    pub fn is_self_issued(&self) -> bool {
        self.issuer == self.subject
    }

    /// How many CAs may stand between this one and a leaf; `None`: any number.
    #[must_use]
    pub fn path_length(&self) -> Option<u8> {
        self.path_length
    }

    /// The algorithm of its key.
    #[must_use]
    pub fn key_algorithm(&self) -> KeyAlgorithm {
        self.key.algorithm()
    }

    /// Whether this is the certificate's public key, given as DER `SubjectPublicKeyInfo`.
    #[must_use]
    pub fn matches_public_key(&self, spki: &[u8]) -> bool {
        PublicKey::from_spki(spki).is_ok_and(|key| key == self.key)
    }

    pub(crate) fn key(&self) -> &PublicKey {
        &self.key
    }

    /// The contents of the subject key identifier.
    pub(crate) fn key_id(&self) -> Option<&[u8]> {
        self.key_id.as_deref()
    }

    fn check_validity(&self, now: i64) -> Result<(), Error> {
        if now < self.not_before {
            return Err(Error::CertificateNotYetValid);
        }
        if now > self.not_after {
            return Err(Error::CertificateExpired);
        }
        Ok(())
    }

    fn is_signed_by(&self, above: &Self) -> Result<(), Error> {
        let algorithm: spki::AlgorithmIdentifierRef<'_> =
            der::Decode::from_der(&self.algorithm).map_err(|_| Error::Encoding)?;
        above.key.verify_with(&algorithm, &self.tbs, &self.signature).map_err(key_error)
    }
}

/// The issuing CA and what stands above it.
#[derive(Clone, Debug)]
pub struct CaChain {
    issuing: CaCertificate,
    /// From the one that signed the issuing CA upwards.
    above: Vec<CaCertificate>,
    /// The self-signed certificate above the chain, if one was delivered and is not the issuing CA itself.
    root: Option<CaCertificate>,
    not_before: i64,
    not_after: i64,
}

impl CaChain {
    /// Takes the certificates as delivered, DER: the issuing CA first, the rest in any order; at most 8, duplicates dropped.
    /// Each must be a CA's and valid at `now` (Unix seconds), signed by the next, and allowed by the path lengths above it.
    pub fn from_delivered<C: AsRef<[u8]>>(certificates: &[C], now: i64) -> Result<Self, Error> {
        let certificates = Self::parse(certificates)?;
        for certificate in &certificates {
            certificate.check_validity(now)?;
        }
        Self::order(certificates)
    }

    /// Takes the certificates of a chain that was accepted before, DER: every check of [`Self::from_delivered`] but the validity. It was
    /// checked when the chain was accepted, and issuing checks it each time.
    pub fn from_accepted<C: AsRef<[u8]>>(certificates: &[C]) -> Result<Self, Error> {
        Self::order(Self::parse(certificates)?)
    }

    fn parse<C: AsRef<[u8]>>(certificates: &[C]) -> Result<Vec<CaCertificate>, Error> {
        if certificates.len() > MAX_CHAIN {
            return Err(Error::ChainBroken("more than 8 certificates"));
        }
        let mut parsed: Vec<CaCertificate> = Vec::new();
        for certificate in certificates {
            let bytes = certificate.as_ref();
            if parsed.iter().all(|seen| seen.der != bytes) {
                parsed.push(CaCertificate::from_der(bytes)?);
            }
        }
        Ok(parsed)
    }

    fn order(mut rest: Vec<CaCertificate>) -> Result<Self, Error> {
        if rest.is_empty() {
            return Err(Error::CertificateMalformed("there is none"));
        }
        let issuing = rest.remove(0);
        let mut above: Vec<CaCertificate> = Vec::new();
        loop {
            let top = above.last().unwrap_or(&issuing);
            let next = rest.iter().position(|next| next.subject == top.issuer);
            let Some(at) = next.filter(|_| !top.is_self_issued()) else { break };
            let next = rest.remove(at);
            top.is_signed_by(&next)?;
            above.push(next);
        }
        if !rest.is_empty() {
            return Err(Error::ChainBroken(
                "a certificate is not above the issuing CA; deliver the issuing CA first",
            ));
        }
        for (below, certificate) in (1usize..).zip(&above) {
            if certificate.path_length.is_some_and(|allowed| usize::from(allowed) < below) {
                return Err(Error::ChainBroken("a path length does not allow the CAs below it"));
            }
        }
        // RFC 5280, 6.1.3 (b): a self-issued certificate may stand anywhere.
        let below = std::iter::once(&issuing).chain(&above);
        for (depth, certificate) in above.iter().enumerate() {
            let Some(constraints) = &certificate.constraints else { continue };
            let mut lower =
                below.clone().take(depth.saturating_add(1)).filter(|lower| !lower.is_self_issued());
            if !lower.all(|lower| constraints.allow_ca(&lower.subject)) {
                return Err(Error::ChainBroken("a CA's name is outside the name constraints above it"));
            }
        }
        let not_before =
            above.iter().fold(issuing.not_before, |start, certificate| start.max(certificate.not_before));
        let not_after =
            above.iter().fold(issuing.not_after, |end, certificate| end.min(certificate.not_after));
        let top = above.last().unwrap_or(&issuing);
        if top.is_self_issued() {
            top.is_signed_by(top)?;
        }
        let root = above.pop_if(|top| top.is_self_issued());
        Ok(Self { issuing, above, root, not_before, not_after })
    }

    /// The issuing CA.
    #[must_use]
    pub fn issuing(&self) -> &CaCertificate {
        &self.issuing
    }

    /// Issuing CA, then intermediates; a self-signed certificate only if it is the issuing CA itself.
    pub fn chain(&self) -> impl Iterator<Item = &CaCertificate> {
        std::iter::once(&self.issuing).chain(&self.above)
    }

    /// Every certificate, the self-signed root too: what [`Self::from_delivered`] takes.
    pub fn delivered(&self) -> impl Iterator<Item = &CaCertificate> {
        self.chain().chain(&self.root)
    }

    /// Whether the name constraints of every CA allow a certificate with this subject (DER `Name`) and this value of
    /// subjectAltName.
    pub(crate) fn allows_names(&self, subject: &[u8], san: Option<&[u8]>) -> Result<bool, Error> {
        let mut constraints = self.delivered().filter_map(|ca| ca.constraints.as_ref()).peekable();
        if constraints.peek().is_none() {
            return Ok(true);
        }
        let names = san.map(san::names).transpose()?.unwrap_or_default();
        Ok(constraints.all(|constraints| constraints.allow(subject, &names)))
    }

    /// Whether a subject (DER `Name`) is the name of one of these CAs: whoever looks for a CA by its name would find it.
    pub(crate) fn has_name(&self, subject: &[u8]) -> bool {
        // One that cannot be read is not cleared.
        let Ok(subject) = name::rdns(subject) else { return true };
        self.delivered().any(|ca| ca.rdns == subject)
    }

    /// How many CAs may stand below the issuing one, by the path lengths of all; `None`: any number.
    pub(crate) fn room_below(&self) -> Option<u8> {
        let room = |(below, ca): (u8, &CaCertificate)| ca.path_length.map(|most| most.saturating_sub(below));
        (0u8..).zip(self.delivered()).filter_map(room).min()
    }

    /// Whether verifiers that trust both chains can tell whose certificate is whose: by the CA's name or key identifier, or because
    /// the key is the same. The openssl command tries one of several CAs of a name, and no other if the signature does not fit.
    #[must_use]
    pub fn can_be_told_from(&self, other: &Self) -> bool {
        let told = |one: &CaCertificate, two: &CaCertificate| {
            let ids = one.key_id.is_some() && two.key_id.is_some() && one.key_id != two.key_id;
            one.key == two.key || ids || one.rdns != two.rdns
        };
        told(&self.issuing, &other.issuing) && told(self.anchor(), other.anchor())
    }

    /// What verifiers should trust: the delivered self-signed certificate or, if there was none, the last of the chain.
    #[must_use]
    pub fn anchor(&self) -> &CaCertificate {
        self.root.as_ref().or(self.above.last()).unwrap_or(&self.issuing)
    }

    /// The latest start of any certificate of the chain, Unix seconds.
    #[must_use]
    pub fn not_before(&self) -> i64 {
        self.not_before
    }

    /// The earliest end of any certificate of the chain, Unix seconds.
    #[must_use]
    pub fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Verifies a signature made with the issuing CA's key: the one proof that a private key belongs to the certificate that works
    /// for every algorithm.
    /// Fails with `Signing`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), Error> {
        self.issuing.key.verify(message, signature).map_err(|_| Error::Signing)
    }
}

/// The contents of an OCTET STRING.
pub fn octets(value: &[u8]) -> der::Result<Vec<u8>> {
    let octets: &der::asn1::OctetStringRef = der::Decode::from_der(value)?;
    Ok(octets.as_bytes().to_vec())
}

pub fn key_error(error: KeyError) -> Error {
    match error {
        KeyError::Malformed(why) => Error::CertificateMalformed(why),
        KeyError::Unsupported(why) => Error::CertificateUnsupported(why),
        KeyError::Signature => Error::ChainBroken("a signature does not verify"),
    }
}
