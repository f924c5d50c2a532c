//! Self-signed CA certificates: the subject, the profile, its judgement, and the signature by the certificate's own key
//! (crypto-and-x509 reference, 4.3 and 4.4; RFC 5280, 4.1 and appendix A.1).

use crate::certificate::{Certificate, TbsCertificate};
use crate::extension::{
    self, BASIC_CONSTRAINTS, BasicConstraints, CRL_SIGN, KEY_CERT_SIGN, KEY_USAGE, SUBJECT_KEY_ID,
    basic_constraints, key_usage,
};
use crate::leaf::{BACKDATE, number};
use crate::public_key::PublicKey;
use crate::{CaChain, Error, Signer, Usage, ca, encode, name, usage};
use der::Tag;
use der::asn1::ObjectIdentifier;

/// The shortest life of a self-signed CA: an hour, in seconds.
pub const SHORTEST_CA_LIFETIME: u64 = 3600;
/// The longest life of a self-signed CA: 20 years of 365.25 days, in seconds.
pub const LONGEST_CA_LIFETIME: u64 = 20 * 31_557_600;

/// The last second that X.509 can name: the end of the year 9999.
const LAST_TIME: i64 = 253_402_300_799;
/// Most values of one attribute.
const MAX_VALUES: usize = 16;

/// The extensions of the profile, in their order.
const PROFILE: [ObjectIdentifier; 3] = [KEY_USAGE, BASIC_CONSTRAINTS, SUBJECT_KEY_ID];

/// An attribute of a subject, and how many characters its values may have (X.520's upper bounds).
struct Attribute {
    id: ObjectIdentifier,
    longest: usize,
}

const fn attribute(id: &str, longest: usize) -> Attribute {
    Attribute { id: ObjectIdentifier::new_unwrap(id), longest }
}

const COMMON_NAME: Attribute = attribute("2.5.4.3", 64);
const COUNTRY: Attribute = attribute("2.5.4.6", 2);
const LOCALITY: Attribute = attribute("2.5.4.7", 128);
const PROVINCE: Attribute = attribute("2.5.4.8", 128);
const ORGANIZATION: Attribute = attribute("2.5.4.10", 64);
const ORGANIZATIONAL_UNIT: Attribute = attribute("2.5.4.11", 64);

/// The name of a self-signed CA.
///
/// It is encoded in the order country, organization, unit, locality, province, common name, each value on its own (X.501
/// has one value of a type in an RDN), as `UTF8String`; countries as `PrintableString`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CaSubject<'a> {
    /// CN, 1 to 64 characters.
    pub common_name: &'a str,
    /// O, each 1 to 64 characters.
    pub organizations: &'a [String],
    /// OU, each 1 to 64 characters.
    pub organizational_units: &'a [String],
    /// C, each two ASCII letters.
    pub countries: &'a [String],
    /// L, each 1 to 128 characters.
    pub localities: &'a [String],
    /// ST, each 1 to 128 characters.
    pub provinces: &'a [String],
}

impl CaSubject<'_> {
    /// The name, DER `Name`.
    ///
    /// Fails with `IdentityForbidden` if a value is empty, too long, reserved, or holds control characters.
    pub fn to_der(&self) -> Result<Vec<u8>, Error> {
        let mut names = Vec::new();
        for (attribute, values) in [
            (COUNTRY, self.countries),
            (ORGANIZATION, self.organizations),
            (ORGANIZATIONAL_UNIT, self.organizational_units),
            (LOCALITY, self.localities),
            (PROVINCE, self.provinces),
        ] {
            if values.len() > MAX_VALUES {
                return Err(Error::IdentityForbidden("an attribute of the subject has more than 16 values"));
            }
            for value in values {
                names.extend(one_name(&attribute, value)?);
            }
        }
        names.extend(one_name(&COMMON_NAME, self.common_name)?);
        encode::tlv(Tag::Sequence, &names)
    }
}

/// A `RelativeDistinguishedName` with one value.
fn one_name(attribute: &Attribute, value: &str) -> Result<Vec<u8>, Error> {
    if value.trim().is_empty() {
        return Err(Error::IdentityForbidden("a name of the subject is empty"));
    }
    if value.chars().count() > attribute.longest {
        return Err(Error::IdentityForbidden(
            "a name of the subject is too long: CN, O and OU have at most 64 characters, L and ST 128, C two letters",
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(Error::IdentityForbidden("a name of the subject holds a control character"));
    }
    if name::is_reserved(value) {
        return Err(Error::IdentityForbidden(name::RESERVED));
    }
    let tag = if attribute.id == COUNTRY.id {
        if value.len() != 2 || !value.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return Err(Error::IdentityForbidden("a country is two letters (ISO 3166)"));
        }
        Tag::PrintableString
    } else {
        Tag::Utf8String
    };
    let pair = encode::sequence(&[&encode::der(&attribute.id)?, &encode::tlv(tag, value.as_bytes())?])?;
    encode::tlv(Tag::Set, &pair)
}

/// What a self-signed CA certificate is asked for.
pub struct SelfSignedCa<'a> {
    /// Subject and issuer, DER `Name`: [`CaSubject::to_der`], or that of the certificate which this one follows.
    pub subject: &'a [u8],
    /// The public key, DER `SubjectPublicKeyInfo`.
    pub spki: &'a [u8],
    /// Seconds, [`SHORTEST_CA_LIFETIME`] to [`LONGEST_CA_LIFETIME`].
    pub lifetime: u64,
    /// How many CAs may stand between this one and a leaf; `None`: any number.
    pub path_length: Option<u8>,
    /// The caller's time, Unix seconds.
    pub now: i64,
    /// The serial number, big-endian: 16 random bytes, not all zero.
    pub serial: [u8; 16],
    /// No certificate is made before this time, Unix seconds.
    pub earliest: i64,
}

impl SelfSignedCa<'_> {
    /// Builds the certificate, judges the final bytes (parsed anew), has them signed, and checks what came of it: with its own
    /// key, and as a delivered chain is checked.
    pub fn sign(&self, signer: &dyn Signer) -> Result<CaChain, Error> {
        let key = PublicKey::from_spki(self.spki).map_err(ca::key_error)?;
        let tbs = self.encode(&key, self.validity()?, &self.extensions(&key)?)?;
        self.judge(&tbs, &key)?;
        let signature = signer.sign(&tbs)?;
        let algorithm = key.algorithm().signature_algorithm()?;
        let der = encode::sequence(&[&tbs, &algorithm, &encode::bits(&signature)?])?;
        let certificate = Certificate::parse(&der).map_err(Error::CheckFailed)?;
        if certificate.tbs_raw != tbs || key.verify(&tbs, certificate.signature).is_err() {
            return Err(Error::Signing);
        }
        CaChain::from_delivered(&[&der], self.now)
    }

    /// From a little before now, for clocks that lag.
    fn validity(&self) -> Result<(i64, i64), Error> {
        if self.now < self.earliest {
            return Err(Error::ClockTooEarly);
        }
        if !(SHORTEST_CA_LIFETIME..=LONGEST_CA_LIFETIME).contains(&self.lifetime) {
            return Err(Error::CaLifetimeInvalid);
        }
        let lifetime = i64::try_from(self.lifetime).map_err(|_| Error::CaLifetimeInvalid)?;
        let end = self.now.checked_add(lifetime).filter(|end| *end <= LAST_TIME);
        let start = self.now.saturating_sub(BACKDATE).max(self.earliest);
        Ok((start, end.ok_or(Error::CaLifetimeInvalid)?))
    }

    /// keyUsage, basicConstraints, subjectKeyIdentifier: in this order.
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

    /// RFC 5280, 4.1: the fields in their order.
    fn encode(
        &self,
        key: &PublicKey,
        (not_before, not_after): (i64, i64),
        extensions: &[u8],
    ) -> Result<Vec<u8>, Error> {
        // RFC 5280, 4.1.2.2: positive.
        if self.serial == [0; 16] {
            return Err(Error::Encoding);
        }
        encode::sequence(&[
            &encode::explicit(0, &encode::unsigned(&[2])?)?,
            &encode::unsigned(&self.serial)?,
            &key.algorithm().signature_algorithm()?,
            self.subject,
            &encode::sequence(&[&encode::time(not_before)?, &encode::time(not_after)?])?,
            self.subject,
            self.spki,
            &encode::explicit(3, extensions)?,
        ])
    }

    /// Judges the final bytes, whatever built them: the name asked for and allowed, the key that signs, exactly the extensions
    /// of the profile, validity inside the limits.
    fn judge(&self, tbs: &[u8], key: &PublicKey) -> Result<(), Error> {
        let tbs = TbsCertificate::parse(tbs).map_err(Error::CheckFailed)?;
        let judge = |good: bool, why: &'static str| if good { Ok(()) } else { Err(Error::CheckFailed(why)) };
        let unreadable = |_| Error::CheckFailed("an extension cannot be read");
        judge(tbs.subject == self.subject && !name::is_empty(tbs.subject), "the subject is another")?;
        judge(tbs.issuer == tbs.subject, "the issuer is not the subject")?;
        name::check_subject(tbs.subject).map_err(|error| match error {
            Error::IdentityForbidden(_) => error,
            _ => Error::CheckFailed("the subject cannot be read"),
        })?;
        judge(PublicKey::from_spki(tbs.spki).as_ref() == Ok(key), "the key is another")?;
        judge(tbs.extensions.iter().map(|e| e.id).eq(PROFILE), "the extensions are not the profile's")?;
        let critical = tbs.extensions.iter().map(|e| e.critical);
        judge(critical.eq([true, true, false]), "criticality of the extensions")?;
        for extension in &tbs.extensions {
            let value = extension.value;
            let good = match extension.id {
                KEY_USAGE => key_usage(value).map_err(unreadable)? == [KEY_CERT_SIGN, CRL_SIGN],
                BASIC_CONSTRAINTS => {
                    let constraints = basic_constraints(value).map_err(unreadable)?;
                    constraints.ca && constraints.path_length == self.path_length
                }
                _ => ca::octets(value).map_err(unreadable)? == key.key_id(),
            };
            judge(good, "an extension says something else than was asked")?;
        }
        judge(tbs.serial.len() <= 16 && number(tbs.serial) == number(&self.serial), "the serial is another")?;
        let life = tbs.not_after.checked_sub(self.now).and_then(|life| u64::try_from(life).ok());
        judge(life == Some(self.lifetime), "it would not live as long as asked")?;
        judge(life.is_some_and(|life| life <= LONGEST_CA_LIFETIME), "it would live too long")?;
        judge(tbs.not_before >= self.earliest, "it would begin before the clock's floor")?;
        judge((self.now.saturating_sub(BACKDATE)..=self.now).contains(&tbs.not_before), "its start")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::PublicKeyData as _;

    const NOW: i64 = 1_795_000_000;

    /// Whatever builds the bytes: what is outside the profile is not signed.
    #[test]
    fn x02_final_bytes_outside_the_ca_profile_are_refused_whatever_built_them() {
        let spki = rcgen::KeyPair::generate().unwrap().subject_public_key_info();
        let key = PublicKey::from_spki(&spki).unwrap();
        let subject = CaSubject { common_name: "CA", ..CaSubject::default() }.to_der().unwrap();
        let ask = SelfSignedCa {
            subject: &subject,
            spki: &spki,
            lifetime: 86_400,
            path_length: Some(0),
            now: NOW,
            serial: [7; 16],
            earliest: NOW - 200,
        };
        let times = ask.validity().unwrap();
        assert_eq!(times, (NOW - 200, NOW + 86_400));
        let verdict = |times, extensions: &[Vec<u8>]| {
            let extensions = encode::sequence(&extensions.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let tbs = ask.encode(&key, times, &extensions.unwrap()).unwrap();
            ask.judge(&tbs, &key).err()
        };
        let make = |id, critical, value: &[u8]| extension::encode(id, critical, value).unwrap();
        let id = encode::tlv(Tag::OctetString, &key.key_id()).unwrap();
        let good = [
            make(KEY_USAGE, true, b"\x03\x02\x01\x06"),
            make(BASIC_CONSTRAINTS, true, b"\x30\x06\x01\x01\xff\x02\x01\x00"),
            make(SUBJECT_KEY_ID, false, &id),
        ];
        assert_eq!(verdict(times, &good), None);
        assert_eq!(
            encode::sequence(&good.each_ref().map(Vec::as_slice)).unwrap(),
            ask.extensions(&key).unwrap()
        );

        let because = |why| Some(Error::CheckFailed(why));
        let with = |at: usize, other: Vec<u8>| {
            let mut changed = good.clone();
            changed[at] = other;
            verdict(times, &changed)
        };
        let critical = because("criticality of the extensions");
        assert_eq!(with(0, make(KEY_USAGE, false, b"\x03\x02\x01\x06")), critical);
        assert_eq!(with(2, make(SUBJECT_KEY_ID, true, &id)), critical);
        let says = because("an extension says something else than was asked");
        assert_eq!(with(0, make(KEY_USAGE, true, b"\x03\x02\x02\x04")), says, "no cRLSign");
        assert_eq!(with(0, make(KEY_USAGE, true, b"\x03\x02\x01\x86")), says, "digitalSignature too");
        assert_eq!(with(1, make(BASIC_CONSTRAINTS, true, b"\x30\x03\x01\x01\xff")), says, "no path length");
        assert_eq!(with(1, make(BASIC_CONSTRAINTS, true, b"\x30\x00")), says, "no CA");
        assert_eq!(with(2, make(SUBJECT_KEY_ID, false, b"\x04\x01\x00")), says);
        let profile = because("the extensions are not the profile's");
        assert_eq!(verdict(times, &good[..2]), profile);
        assert_eq!(verdict(times, &[&good[1..], &good[..1]].concat()), profile, "another order");
        let eku = make(extension::EXTENDED_KEY_USAGE, false, b"\x30\x06\x06\x04\x55\x1d\x25\x00");
        assert_eq!(verdict(times, &[good.as_slice(), &[eku]].concat()), profile);

        let longer = because("it would not live as long as asked");
        assert_eq!(verdict((times.0, times.1 + 1), &good), longer);
        assert_eq!(
            verdict((times.0 - 1, times.1), &good),
            because("it would begin before the clock's floor")
        );
        assert_eq!(verdict((NOW + 1, times.1), &good), because("its start"));
        let tbs = ask.encode(&key, times, &ask.extensions(&key).unwrap()).unwrap();
        let other = CaSubject { common_name: "other", ..CaSubject::default() }.to_der().unwrap();
        let other = SelfSignedCa { subject: &other, ..ask };
        assert_eq!(other.judge(&tbs, &key).err(), because("the subject is another"));
        let stranger = rcgen::KeyPair::generate().unwrap().subject_public_key_info();
        let stranger = PublicKey::from_spki(&stranger).unwrap();
        assert_eq!(ask.judge(&tbs, &stranger).err(), because("the key is another"));
        let serial = SelfSignedCa { serial: [8; 16], ..ask };
        assert_eq!(serial.judge(&tbs, &key).err(), because("the serial is another"));
    }
}
