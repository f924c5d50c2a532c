//! CA certificates.

use crate::certificate::Certificate;
use crate::constraints::NameConstraints;
use crate::extension::{
    AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, CERTIFICATE_POLICIES, KEY_CERT_SIGN, KEY_USAGE, NAME_CONSTRAINTS,
    SUBJECT_ALT_NAME, SUBJECT_KEY_ID, basic_constraints, key_usage, octets,
};
use crate::public_key::{KeyError, PublicKey};
use crate::validity::Validity;
use crate::{Error, KeyAlgorithm, encode, name};
use aws_lc_rs::digest::{SHA256, digest};
use der::Decode;
use der::asn1::ObjectIdentifier;

/// Critical extensions that this crate understands. A certificate with others is refused (RFC 5280, section
/// 4.2).
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
    pub(super) der: Vec<u8>,
    pub(super) tbs: Vec<u8>,
    pub(super) signature: Vec<u8>,
    pub(super) algorithm: Vec<u8>,
    pub(super) issuer: Vec<u8>,
    pub(super) subject: Vec<u8>,
    /// The subject, prepared for comparison.
    pub(super) rdns: name::Rdns,
    pub(super) key: PublicKey,
    pub(super) key_id: Option<Vec<u8>>,
    pub(super) path_length: Option<u8>,
    pub(super) constraints: Option<NameConstraints>,
    pub(super) validity: Validity,
}

impl CaCertificate {
    /// Parses a DER certificate and checks that it is a CA certificate: version 3, basicConstraints critical
    /// and CA:TRUE, keyCertSign if key usage is present, a readable subject, a supported key. Validity and
    /// signature are checked by the chain.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let certificate = Certificate::parse(bytes).map_err(Error::CertificateMalformed)?;
        let tbs = &certificate.tbs;
        let malformed = |_| Error::CertificateMalformed("an extension cannot be read");
        let not_ca = Error::CertificateNotCa("it has no critical basicConstraints CA:TRUE");
        let constraints = tbs.extension(BASIC_CONSTRAINTS).filter(|e| e.critical).ok_or(not_ca)?;
        let constraints = basic_constraints(constraints.value).map_err(malformed)?;
        if !constraints.ca {
            return Err(not_ca);
        }
        let usage = tbs.extension(KEY_USAGE).map(|e| key_usage(e.value)).transpose().map_err(malformed)?;
        if usage.is_some_and(|bits| !bits.contains(&KEY_CERT_SIGN)) {
            return Err(Error::CertificateNotCa("its key usage does not allow signing certificates"));
        }
        if name::is_empty(tbs.subject) {
            return Err(Error::CertificateMalformed("its subject is empty"));
        }
        // The subject becomes the issuer of every certificate.
        let rdns =
            name::rdns(tbs.subject).map_err(|_| Error::CertificateMalformed("its subject cannot be read"))?;
        let name_constraints = tbs.extension(NAME_CONSTRAINTS).map(|e| NameConstraints::parse(e.value));
        let name_constraints = name_constraints.transpose().map_err(Error::CertificateUnsupported)?;
        if tbs.extensions.iter().any(|extension| extension.critical && !UNDERSTOOD.contains(&extension.id)) {
            return Err(Error::CertificateUnsupported("it has an unknown critical extension"));
        }
        let key = PublicKey::from_spki(tbs.spki).map_err(key_error)?;
        let key_id = tbs.extension(SUBJECT_KEY_ID).map(|e| octets(e.value)).transpose().map_err(malformed)?;
        Ok(Self {
            der: bytes.to_vec(),
            tbs: certificate.tbs_raw.to_vec(),
            signature: certificate.signature.to_vec(),
            algorithm: encode::der(&certificate.algorithm)?,
            issuer: tbs.issuer.to_vec(),
            subject: tbs.subject.to_vec(),
            rdns,
            key,
            key_id,
            path_length: constraints.path_length,
            constraints: name_constraints,
            validity: tbs.validity,
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

    /// The path length constraint: how many CAs may exist between this one and a leaf. `None` allows any
    /// number.
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

    pub(super) fn check_validity(&self, now: i64) -> Result<(), Error> {
        if now < self.validity.not_before {
            return Err(Error::CertificateNotYetValid);
        }
        if now > self.validity.not_after {
            return Err(Error::CertificateExpired);
        }
        Ok(())
    }

    /// Fails if the key of `above` did not sign this certificate.
    pub(super) fn check_signed_by(&self, above: &Self) -> Result<(), Error> {
        let algorithm: spki::AlgorithmIdentifierRef<'_> =
            Decode::from_der(&self.algorithm).map_err(|_| Error::Encoding)?;
        above.key.verify_with(&algorithm, &self.tbs, &self.signature).map_err(key_error)
    }
}

/// The error for a key of a CA certificate.
pub fn key_error(error: KeyError) -> Error {
    match error {
        KeyError::Malformed(why) => Error::CertificateMalformed(why),
        KeyError::Unsupported(why) => Error::CertificateUnsupported(why),
        KeyError::Signature => Error::ChainBroken("a signature does not verify"),
    }
}
