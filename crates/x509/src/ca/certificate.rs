//! CA certificates.

use super::authority_key_id::AuthorityKeyId;
use crate::certificate::{Certificate, TbsCertificate};
use crate::constraints::NameConstraints;
use crate::extension::{
    AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, CERTIFICATE_POLICIES, CRL_DISTRIBUTION_POINTS, EXTENDED_KEY_USAGE,
    KEY_CERT_SIGN, KEY_USAGE, NAME_CONSTRAINTS, SUBJECT_ALT_NAME, SUBJECT_KEY_ID, basic_constraints,
    extended_key_usage, key_usage, octets,
};
use crate::public_key::{KeyError, PublicKey};
use crate::validity::Validity;
use crate::{Error, KeyAlgorithm, Usage, encode, name, san};
use aws_lc_rs::digest::{SHA256, digest};
use der::asn1::ObjectIdentifier;
use der::{DateTime, Decode};
use std::time::Duration;

/// Extensions that may be critical, because this crate honours them or because they bind verifiers only, and
/// openssl and Go understand them. A certificate with other critical ones is refused (RFC 5280, section 4.2).
const UNDERSTOOD: [ObjectIdentifier; 7] = [
    BASIC_CONSTRAINTS,
    KEY_USAGE,
    CERTIFICATE_POLICIES,
    SUBJECT_ALT_NAME,
    NAME_CONSTRAINTS,
    EXTENDED_KEY_USAGE,
    CRL_DISTRIBUTION_POINTS,
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
    serial: Vec<u8>,
    /// The subject, prepared for comparison.
    pub(super) rdns: name::Rdns,
    pub(super) key: PublicKey,
    pub(super) key_id: Option<Vec<u8>>,
    /// What it says of its issuer's certificate.
    authority: Option<AuthorityKeyId>,
    is_self_signed: bool,
    pub(super) path_length: Option<u8>,
    pub(super) constraints: Option<NameConstraints>,
    /// The value of subjectAltName.
    names: Option<Vec<u8>>,
    /// The extended key usages of the certificates below; `None` for all.
    extended_key_usages: Option<Vec<ObjectIdentifier>>,
    pub(super) validity: Validity,
}

impl CaCertificate {
    /// Parses a DER certificate and checks that it is a CA certificate: version 3, CA:TRUE, keyCertSign if
    /// key usage is present, a readable subject, a supported key (`docs/ca-certificates.md`). Validity and
    /// signature are checked by the chain.
    pub fn from_der(bytes: &[u8]) -> Result<Self, Error> {
        let certificate = Certificate::parse(bytes).map_err(|why| Error::CertificateMalformed(why.into()))?;
        let tbs = &certificate.tbs;
        let path_length = check_is_ca(tbs)?;
        if name::is_empty(tbs.subject) {
            return Err(Error::CertificateMalformed("its subject is empty".into()));
        }
        // The subject becomes the issuer of every certificate.
        let rdns = name::rdns(tbs.subject).map_err(|_| {
            Error::CertificateMalformed("its subject holds something that is not a valid string".into())
        })?;
        let name_constraints = tbs.extension(NAME_CONSTRAINTS).map(|e| NameConstraints::parse(e.value));
        let name_constraints =
            name_constraints.transpose().map_err(|why| Error::CertificateUnsupported(why.into()))?;
        check_critical(tbs)?;
        check_names(tbs)?;
        let key = PublicKey::from_spki(tbs.spki).map_err(key_error)?;
        let key_id = tbs.extension(SUBJECT_KEY_ID).map(|e| octets(e.value)).transpose();
        let key_id = key_id.map_err(|_| unreadable("subject key identifier"))?;
        let authority = tbs.extension(AUTHORITY_KEY_ID).map(|e| AuthorityKeyId::parse(e.value)).transpose();
        let authority = authority.map_err(|_| unreadable("authority key identifier"))?;
        let is_self_signed = name::are_equal(tbs.issuer, tbs.subject)
            && authority.as_ref().is_none_or(|id| id.fits(key_id.as_deref(), tbs.issuer, tbs.serial))
            && key.algorithm().family().makes(certificate.algorithm.oid);
        let usages = tbs.extension(EXTENDED_KEY_USAGE).map(|e| extended_key_usage(e.value)).transpose();
        let usages = usages.map_err(|_| unreadable("extended key usage"))?;
        Ok(Self {
            der: bytes.to_vec(),
            tbs: certificate.tbs_raw.to_vec(),
            signature: certificate.signature.to_vec(),
            algorithm: encode::der(&certificate.algorithm)?,
            issuer: tbs.issuer.to_vec(),
            subject: tbs.subject.to_vec(),
            serial: tbs.serial.to_vec(),
            rdns,
            key,
            key_id,
            authority,
            is_self_signed,
            path_length,
            constraints: name_constraints,
            names: tbs.extension(SUBJECT_ALT_NAME).map(|e| e.value.to_vec()),
            extended_key_usages: usages,
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

    /// Whether issuer and subject are the same. Its key may be new, signed with an older key of the CA.
    pub(super) fn is_self_issued(&self) -> bool {
        name::are_equal(&self.issuer, &self.subject)
    }

    /// Whether verifiers take it for a self-signed certificate, as openssl decides that: it is self-issued,
    /// its authority key identifier does not contradict it, and its signature has an algorithm of its own
    /// key. The signature itself is not verified.
    #[must_use]
    pub fn is_self_signed(&self) -> bool {
        self.is_self_signed
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

    /// The subject for messages, in quotation marks.
    pub(super) fn subject_shown(&self) -> String {
        name::quoted_name(&self.subject)
    }

    /// The alternative names.
    pub(super) fn names(&self) -> Result<Vec<san::Name<'_>>, Error> {
        read_names(self.names.as_deref())
    }

    /// Whether its authority key identifier, if it has one, does not contradict that this is the certificate
    /// of its issuer.
    pub(super) fn may_name(&self, issuer: &Self) -> bool {
        let fits = |id: &AuthorityKeyId| id.fits(issuer.key_id(), &issuer.issuer, &issuer.serial);
        self.authority.as_ref().is_none_or(fits)
    }

    /// Whether both are certificates of the same CA: one subject and one key.
    pub(super) fn is_of_same_ca(&self, other: &Self) -> bool {
        self.subject == other.subject && self.key == other.key
    }

    /// Whether both have one name and keys of one kind.
    pub(super) fn has_name_and_kind_of(&self, other: &Self) -> bool {
        self.rdns == other.rdns && self.key.algorithm().family() == other.key.algorithm().family()
    }

    /// Whether the authority key identifier of a leaf below this CA does not contradict that the other
    /// certificate is the one of its issuer. It is a copy of the subject key identifier of this one.
    pub(super) fn leaves_may_name(&self, other: &Self) -> bool {
        self.key_id().zip(other.key_id()).is_none_or(|(own, other)| own == other)
    }

    /// The first of these usages that the extended key usages of the certificate do not contain. Verifiers
    /// such as openssl and Go accept no certificate below with that usage. `anyExtendedKeyUsage` contains no
    /// other usage: openssl does not take it for one.
    pub(super) fn forbidden_usage(&self, usages: &[Usage]) -> Option<Usage> {
        let allowed = self.extended_key_usages.as_ref()?;
        let mut all = usages.iter().copied();
        all.find(|usage| usage.extended().is_some_and(|id| !allowed.contains(&id)))
    }

    pub(super) fn check_validity(&self, now: i64) -> Result<(), Error> {
        let Validity { not_before, not_after } = self.validity;
        let (start, end, shown_now) = (shown_time(not_before), shown_time(not_after), shown_time(now));
        if now < not_before {
            let why = format!("it is valid from {start}, and it is {shown_now} now");
            return Err(Error::CertificateNotYetValid(why.into()));
        }
        if now > not_after {
            let why = format!("it was valid until {end}, and it is {shown_now} now");
            return Err(Error::CertificateExpired(why.into()));
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

/// A certificate without CA:TRUE says of itself that its key signs no certificates (RFC 5280, section 6.1.4
/// (k)). Returns the path length.
fn check_is_ca(tbs: &TbsCertificate<'_>) -> Result<Option<u8>, Error> {
    let Some(constraints) = tbs.extension(BASIC_CONSTRAINTS) else {
        return Err(Error::CertificateNotCa("it has no basicConstraints".into()));
    };
    let constraints = basic_constraints(constraints.value).map_err(|_| unreadable("basicConstraints"))?;
    if !constraints.ca {
        return Err(Error::CertificateNotCa("its basicConstraints say CA:FALSE".into()));
    }
    let usage = tbs.extension(KEY_USAGE).map(|e| key_usage(e.value)).transpose();
    if usage.map_err(|_| unreadable("key usage"))?.is_some_and(|bits| !bits.contains(&KEY_CERT_SIGN)) {
        let why = "its key usage does not allow signing certificates (keyCertSign)";
        return Err(Error::CertificateNotCa(why.into()));
    }
    Ok(constraints.path_length)
}

fn check_critical(tbs: &TbsCertificate<'_>) -> Result<(), Error> {
    let mut unknown = tbs.extensions.iter().filter(|e| e.critical && !UNDERSTOOD.contains(&e.id));
    unknown.next().map_or(Ok(()), |extension| {
        let why = format!("its critical extension {} is not supported", extension.id);
        Err(Error::CertificateUnsupported(why.into()))
    })
}

/// The names must be such as every verifier reads, because name constraints above apply to them.
fn check_names(tbs: &TbsCertificate<'_>) -> Result<(), Error> {
    let Some(extension) = tbs.extension(SUBJECT_ALT_NAME) else { return Ok(()) };
    let names = read_names(Some(extension.value))?;
    let is_known = |name: &san::Name<'_>| !matches!(name, san::Name::Directory(_) | san::Name::Other(_));
    if extension.critical && !names.iter().any(is_known) {
        let why = "its critical alternative names are all of kinds that Go does not read; issue it without them, \
                   or not critical";
        return Err(Error::CertificateUnsupported(why.into()));
    }
    Ok(())
}

fn read_names(value: Option<&[u8]>) -> Result<Vec<san::Name<'_>>, Error> {
    let names = value.map(san::names).transpose().map_err(|error| {
        let why = match error {
            Error::IdentityForbidden(why) => why,
            _ => "they cannot be read".into(),
        };
        Error::CertificateUnsupported(format!("its alternative names: {why}").into())
    })?;
    Ok(names.unwrap_or_default())
}

fn unreadable(extension: &str) -> Error {
    Error::CertificateMalformed(format!("its {extension} extension cannot be read").into())
}

/// RFC 3339.
fn shown_time(seconds: i64) -> String {
    let since_1970 = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    DateTime::from_unix_duration(since_1970).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

/// The error for a key of a CA certificate.
pub fn key_error(error: KeyError) -> Error {
    match error {
        KeyError::Malformed(why) => Error::CertificateMalformed(why.into()),
        KeyError::Unsupported(why) => Error::CertificateUnsupported(why.into()),
        KeyError::Signature => Error::ChainBroken("a signature does not verify".into()),
    }
}
