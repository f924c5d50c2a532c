//! Self-signed CA certificates: the subject, the profile, the check of the final bytes, and the signature by
//! the certificate's own key (RFC 5280, section 4.1 and appendix A.1).

mod subject;

pub use subject::CaSubject;

use crate::certificate::{Certificate, TbsCertificate};
use crate::error::ensure;
use crate::extension::{
    self, BASIC_CONSTRAINTS, BasicConstraints, CRL_SIGN, Extension, KEY_CERT_SIGN, KEY_USAGE, SUBJECT_KEY_ID,
    basic_constraints, key_usage, octets,
};
use crate::public_key::PublicKey;
use crate::validity::{BACKDATE, Validity};
use crate::{CaChain, Error, Signer, Usage, ca, encode, name, usage};
use der::Tag;
use der::asn1::ObjectIdentifier;

/// The shortest lifetime of a self-signed CA: an hour, in seconds.
pub const SHORTEST_CA_LIFETIME: u64 = 3600;
/// The longest lifetime of a self-signed CA: 20 years of 365.25 days, in seconds.
pub const LONGEST_CA_LIFETIME: u64 = 20 * 31_557_600;

/// The last second that X.509 can represent: the end of the year 9999 (RFC 5280, section 4.1.2.5).
const LAST_TIME: i64 = 253_402_300_799;
/// The extensions of the profile, in their order.
const EXTENSIONS: [ObjectIdentifier; 3] = [KEY_USAGE, BASIC_CONSTRAINTS, SUBJECT_KEY_ID];

/// The parameters of a self-signed CA certificate.
pub struct SelfSignedCa<'a> {
    /// Subject and issuer, DER `Name`: [`CaSubject::to_der`], or that of the certificate that this one
    /// follows.
    pub subject: &'a [u8],
    /// The public key, DER `SubjectPublicKeyInfo`.
    pub spki: &'a [u8],
    /// Seconds, [`SHORTEST_CA_LIFETIME`] to [`LONGEST_CA_LIFETIME`].
    pub lifetime: u64,
    /// The path length constraint: how many CAs may exist between this one and a leaf. `None` allows any
    /// number.
    pub path_length: Option<u8>,
    /// The caller's time, Unix seconds.
    pub now: i64,
    /// The serial number, big-endian: 16 random bytes, not all zero.
    pub serial: [u8; 16],
    /// The certificate does not begin before this time, Unix seconds.
    pub earliest: i64,
}

impl SelfSignedCa<'_> {
    /// Builds the certificate, checks the final bytes (which are parsed again), has them signed, and checks
    /// the result both with its own key and as a delivered chain.
    pub fn sign(&self, signer: &dyn Signer) -> Result<CaChain, Error> {
        let key = PublicKey::from_spki(self.spki).map_err(ca::key_error)?;
        let tbs = self.encode(&key, self.validity()?, &self.extensions(&key)?)?;
        self.check_tbs(&tbs, &key)?;
        let signature = signer.sign(&tbs)?;
        let algorithm = key.algorithm().signature_algorithm()?;
        let der = encode::sequence(&[&tbs, &algorithm, &encode::bits(&signature)?])?;
        let certificate = Certificate::parse(&der).map_err(Error::CheckFailed)?;
        if certificate.tbs_raw != tbs || key.verify(&tbs, certificate.signature).is_err() {
            return Err(Error::Signing);
        }
        CaChain::from_delivered(&[&der], self.now)
    }

    /// The validity begins a little before now, for the sake of clocks that are behind.
    fn validity(&self) -> Result<Validity, Error> {
        if self.now < self.earliest {
            return Err(Error::ClockTooEarly);
        }
        if !(SHORTEST_CA_LIFETIME..=LONGEST_CA_LIFETIME).contains(&self.lifetime) {
            return Err(Error::CaLifetimeInvalid);
        }
        let lifetime = i64::try_from(self.lifetime).map_err(|_| Error::CaLifetimeInvalid)?;
        let end = self.now.checked_add(lifetime).filter(|end| *end <= LAST_TIME);
        let start = self.now.saturating_sub(BACKDATE).max(self.earliest);
        Ok(Validity { not_before: start, not_after: end.ok_or(Error::CaLifetimeInvalid)? })
    }

    /// keyUsage, basicConstraints, subjectKeyIdentifier, in this order.
    fn extensions(&self, key: &PublicKey) -> Result<Vec<u8>, Error> {
        let usage = usage::key_usage(&[Usage::CertSign, Usage::CrlSign])?.ok_or(Error::Encoding)?;
        let constraints = BasicConstraints { ca: true, path_length: self.path_length }.to_der()?;
        let key_id = encode::tlv(Tag::OctetString, &key.key_id())?;
        encode::sequence(&[
            &extension::encode(KEY_USAGE, true, &usage)?,
            &extension::encode(BASIC_CONSTRAINTS, true, &constraints)?,
            &extension::encode(SUBJECT_KEY_ID, false, &key_id)?,
        ])
    }

    /// The fields in the order of RFC 5280, section 4.1.
    fn encode(&self, key: &PublicKey, validity: Validity, extensions: &[u8]) -> Result<Vec<u8>, Error> {
        // RFC 5280, section 4.1.2.2: the serial number is positive.
        if self.serial == [0; 16] {
            return Err(Error::Encoding);
        }
        encode::sequence(&[
            &encode::explicit(0, &encode::unsigned(&[2])?)?,
            &encode::unsigned(&self.serial)?,
            &key.algorithm().signature_algorithm()?,
            self.subject,
            &encode::validity(validity)?,
            self.subject,
            self.spki,
            &encode::explicit(3, extensions)?,
        ])
    }

    /// Checks the final bytes, which may come from any builder: the requested name, which must be allowed;
    /// the key that signs; exactly the extensions of the profile; a validity within the limits
    /// (docs/conformance.md, X02).
    fn check_tbs(&self, tbs: &[u8], key: &PublicKey) -> Result<(), Error> {
        let tbs = TbsCertificate::parse(tbs).map_err(Error::CheckFailed)?;
        ensure(tbs.subject == self.subject && !name::is_empty(tbs.subject), "the subject differs")?;
        ensure(tbs.issuer == tbs.subject, "the issuer is not the subject")?;
        name::check_subject(tbs.subject).map_err(|error| match error {
            Error::IdentityForbidden(_) => error,
            _ => Error::CheckFailed("the subject cannot be read"),
        })?;
        ensure(PublicKey::from_spki(tbs.spki).as_ref() == Ok(key), "the key differs")?;
        ensure(
            tbs.extensions.iter().map(|e| e.id).eq(EXTENSIONS),
            "the extensions are not those of the profile",
        )?;
        let critical = tbs.extensions.iter().map(|e| e.critical);
        ensure(critical.eq([true, true, false]), "the criticality of an extension is wrong")?;
        for extension in &tbs.extensions {
            self.check_extension(extension, key)?;
        }
        ensure(tbs.has_serial(&self.serial), "the serial number differs")?;
        self.check_validity(tbs.validity)
    }

    fn check_extension(&self, extension: &Extension<'_>, key: &PublicKey) -> Result<(), Error> {
        let unreadable = |_| Error::CheckFailed("an extension cannot be read");
        let value = extension.value;
        let good = match extension.id {
            KEY_USAGE => key_usage(value).map_err(unreadable)? == [KEY_CERT_SIGN, CRL_SIGN],
            BASIC_CONSTRAINTS => {
                let constraints = basic_constraints(value).map_err(unreadable)?;
                constraints.ca && constraints.path_length == self.path_length
            }
            _ => octets(value).map_err(unreadable)? == key.key_id(),
        };
        ensure(good, "an extension differs from what was requested")
    }

    fn check_validity(&self, validity: Validity) -> Result<(), Error> {
        let lifetime = validity.not_after.checked_sub(self.now).and_then(|it| u64::try_from(it).ok());
        ensure(lifetime == Some(self.lifetime), "the lifetime differs")?;
        ensure(lifetime.is_some_and(|it| it <= LONGEST_CA_LIFETIME), "its lifetime would be too long")?;
        ensure(validity.not_before >= self.earliest, "it would begin before the earliest time")?;
        let starts = self.now.saturating_sub(BACKDATE)..=self.now;
        ensure(starts.contains(&validity.not_before), "its start")
    }
}

#[cfg(test)]
mod tests;
