//! The profile of what a CA issues: building, judging, signing and checking a certificate (crypto-and-x509 reference, 4.3;
//! conformance B5 to B8). It is a leaf, or, where that was fixed when the CA was made, another CA's.

use crate::certificate::{Certificate, TbsCertificate};
use crate::extension::{
    self, AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, BasicConstraints, CRL_SIGN, EXTENDED_KEY_USAGE, KEY_CERT_SIGN,
    KEY_USAGE, SUBJECT_ALT_NAME, SUBJECT_KEY_ID, basic_constraints, key_usage,
};
use crate::profile::End;
use crate::{
    CaChain, CertificateProfile, CertificateRequest, Error, Policy, Usage, ca, encode, name, san, usage,
};
use der::Tag;
use der::asn1::ObjectIdentifier;
use std::borrow::Cow;

/// The floor's longest lifetime: 365 days, in seconds. More is asked in vain: it is cut.
pub const LONGEST_LIFETIME: u64 = 365 * 86_400;
/// The shortest lifetime that Kubernetes knows, in seconds; less is refused.
pub const SHORTEST_LIFETIME: u64 = 600;

/// For clocks that lag: certificates of the Kubernetes door (B5) and CAs begin this many seconds early.
pub const BACKDATE: i64 = 300;

/// Longest to-be-signed certificate, in bytes: with the longest signature it stays below what is read here.
pub const MAX_TBS: usize = 62 << 10;

/// When no usage is asked for (conformance B6).
const DEFAULT_USAGES: [Usage; 2] = [Usage::DigitalSignature, Usage::KeyEncipherment];

/// Signs with a CA key.
pub trait Signer {
    /// Signs with the algorithm that follows the key: RSA PKCS#1 v1.5 with SHA-256, ECDSA with the curve's hash as DER
    /// `SEQUENCE { r, s }`, Ed25519.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error>;
}

/// What a certificate is asked for.
pub struct IssuanceRequest<'a> {
    /// The door through which it is asked for.
    pub profile: CertificateProfile,
    /// The verified request.
    pub request: &'a CertificateRequest,
    /// The usages; none means digital signature and key encipherment (B6).
    pub usages: &'a [Usage],
    /// Lifetime in seconds; `None`: the door's default.
    pub lifetime: Option<u64>,
    /// The caller's time, Unix seconds.
    pub now: i64,
    /// The serial number, big-endian: 16 random bytes, not all zero.
    pub serial: [u8; 16],
    /// No certificate is made before this time, Unix seconds.
    pub earliest: i64,
    /// What was fixed when the CA was made. It narrows the floor, except for [`Policy::ca_depth`]: without it no CA certificate is issued.
    pub fixed: Option<&'a Policy>,
    /// What is to hold for this certificate besides. It only narrows.
    pub narrowing: Option<&'a Policy>,
    /// Whether a CA certificate is asked for beside the request. It gets the path length that the request asks for, or the longest that is
    /// allowed.
    pub is_ca: bool,
}

/// A certificate and its validity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuedCertificate {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
    /// When a pod should ask for the next one, Unix seconds; the other doors do not say.
    pub begin_refresh_at: Option<i64>,
}

/// A to-be-signed certificate, DER.
pub struct Tbs {
    der: Vec<u8>,
    not_before: i64,
    not_after: i64,
}

/// Builds, judges, signs, assembles and verifies.
pub fn issue(
    ask: &IssuanceRequest<'_>,
    ca: &CaChain,
    signer: &dyn Signer,
) -> Result<IssuedCertificate, Error> {
    let tbs = Tbs::build(ask, ca)?;
    tbs.judge(ask, ca)?;
    let signature = signer.sign(tbs.der())?;
    let der = assemble(&tbs, ca, &signature)?;
    verify_issued(&der, &tbs, ca)?;
    let Tbs { not_before, not_after, .. } = tbs;
    let begin_refresh_at = ask.profile.begin_refresh(not_before, not_after);
    Ok(IssuedCertificate { der, not_before, not_after, begin_refresh_at })
}

impl Tbs {
    /// Builds the to-be-signed certificate. What may not be asked for is refused here, never trimmed.
    pub fn build(ask: &IssuanceRequest<'_>, ca: &CaChain) -> Result<Self, Error> {
        ask.profile.compare(ask)?;
        // RFC 5280, 4.1.2.2: positive.
        if ask.serial == [0; 16] {
            return Err(Error::Encoding);
        }
        let tbs = Self::encode(ask, ca, validity(ask, ca)?, &extensions(ask, ca)?)?;
        // Nobody reads a longer one, this crate neither.
        if tbs.der.len() > MAX_TBS {
            return Err(Error::IdentityForbidden("the certificate would be longer than 62 KiB"));
        }
        Ok(tbs)
    }

    /// RFC 5280, 4.1: the fields in their order.
    fn encode(
        ask: &IssuanceRequest<'_>,
        ca: &CaChain,
        (not_before, not_after): (i64, i64),
        extensions: &[u8],
    ) -> Result<Self, Error> {
        let version = encode::explicit(0, &encode::unsigned(&[2])?)?;
        let serial = encode::unsigned(&ask.serial)?;
        let algorithm = ca.issuing().key().algorithm().signature_algorithm()?;
        let times = encode::sequence(&[&encode::time(not_before)?, &encode::time(not_after)?])?;
        let extensions = encode::explicit(3, extensions)?;
        let parts: [&[u8]; 8] = [
            &version,
            &serial,
            &algorithm,
            ca.issuing().subject_raw(),
            &times,
            ask.request.subject_raw(),
            ask.request.spki_raw(),
            &extensions,
        ];
        Ok(Self { der: encode::sequence(&parts)?, not_before, not_after })
    }

    /// The DER to sign.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Judges the final bytes, parsed anew, whatever built them (conformance x02): a CA and signing usages only where asked for and
    /// allowed, subject, names and key exactly the request's, the usages asked for, nothing but the extensions of the profile, validity
    /// inside the floor and the CA's.
    pub fn judge(&self, ask: &IssuanceRequest<'_>, ca: &CaChain) -> Result<(), Error> {
        const PROFILE: [ObjectIdentifier; 6] = [
            KEY_USAGE,
            EXTENDED_KEY_USAGE,
            BASIC_CONSTRAINTS,
            SUBJECT_KEY_ID,
            AUTHORITY_KEY_ID,
            SUBJECT_ALT_NAME,
        ];
        let tbs = TbsCertificate::parse(&self.der).map_err(Error::CheckFailed)?;
        let judge = |good: bool, why: &'static str| if good { Ok(()) } else { Err(Error::CheckFailed(why)) };
        let unreadable = |_| Error::CheckFailed("an extension cannot be read");
        let value = |id| tbs.extension(id).map(|e| e.value);
        let constraints =
            tbs.extension(BASIC_CONSTRAINTS).ok_or(Error::CheckFailed("no basicConstraints"))?;
        judge(constraints.critical, "basicConstraints is not critical")?;
        let constraints = basic_constraints(constraints.value).map_err(unreadable)?;
        judge(ask.is_ca || !constraints.ca, "it is a CA certificate")?;
        judge(constraints.ca == ask.is_ca, "it is no CA certificate")?;
        judge(constraints.path_length.is_some() == ask.is_ca, "a path length, or none")?;
        if let Some(below) = constraints.path_length {
            let fixed = ask.fixed.and_then(Policy::ca_depth).is_some_and(|depth| below < depth);
            let narrowed = ask.narrowing.and_then(Policy::ca_depth).is_none_or(|depth| below < depth);
            let room = ca.room_below().is_none_or(|room| below < room);
            judge(fixed && narrowed && room, "CAs could stand deeper below it than they may")?;
        }
        if let Some(usage) = tbs.extension(KEY_USAGE) {
            let bits = key_usage(usage.value).map_err(unreadable)?;
            let signs = bits.contains(&KEY_CERT_SIGN) || bits.contains(&CRL_SIGN);
            judge(usage.critical && signs == ask.is_ca, "the key usage would allow signing, or a CA none")?;
        }
        let usages = ask.usages();
        judge(value(KEY_USAGE) == usage::key_usage(&usages)?.as_deref(), "the key usage is another")?;
        let extended = usage::extended_key_usage(&usages)?;
        judge(value(EXTENDED_KEY_USAGE) == extended.as_deref(), "the extended key usages are others")?;
        judge(tbs.extensions.iter().all(|e| PROFILE.contains(&e.id)), "an extension is not of the profile")?;
        let places = tbs.extensions.iter().map(|e| PROFILE.iter().position(|id| *id == e.id));
        judge(places.is_sorted(), "the extensions are in another order")?;
        let mild = [EXTENDED_KEY_USAGE, SUBJECT_KEY_ID, AUTHORITY_KEY_ID];
        judge(
            tbs.extensions.iter().all(|e| !(e.critical && mild.contains(&e.id))),
            "criticality of an extension",
        )?;
        let key_id = value(SUBJECT_KEY_ID).map(ca::octets).transpose().map_err(unreadable)?;
        judge(key_id == ask.key_id(), "the subject key identifier is another")?;
        judge(
            value(AUTHORITY_KEY_ID) == authority(ca)?.as_deref(),
            "the authority key identifier is another",
        )?;
        let algorithm = ca.issuing().key().algorithm().signature_algorithm()?;
        judge(encode::der(&tbs.algorithm)? == algorithm, "the signature algorithm is another")?;
        judge(tbs.issuer == ca.issuing().subject_raw(), "the issuer is another")?;
        judge(tbs.subject == ask.request.subject_raw(), "the subject is another")?;
        judge(tbs.spki == ask.request.spki_raw(), "the key is another")?;
        judge(value(SUBJECT_ALT_NAME) == ask.request.san_raw(), "the alternative names are others")?;
        // The floor once more, on what is signed.
        name::check_subject(tbs.subject)?;
        value(SUBJECT_ALT_NAME).map(san::check).transpose()?;
        let critical =
            tbs.extension(SUBJECT_ALT_NAME).is_none_or(|e| e.critical == ask.request.is_subject_empty());
        judge(critical, "criticality of the names")?;
        judge(tbs.serial.len() <= 16 && number(tbs.serial) == number(&ask.serial), "the serial is another")?;
        let times = (tbs.not_before, tbs.not_after);
        judge(times == (self.not_before, self.not_after), "the validity is another than reported")?;
        judge(tbs.not_before < tbs.not_after, "its validity is empty")?;
        let longest = i64::try_from(ask.profile.lifetimes().longest).unwrap_or(i64::MAX);
        judge(tbs.not_after.saturating_sub(tbs.not_before) <= longest, "it would live too long")?;
        judge(tbs.not_before >= ask.earliest, "it would begin before the clock's floor")?;
        judge(
            tbs.not_before >= ca.not_before() && tbs.not_after <= ca.not_after(),
            "it would outlive the CA",
        )?;
        if ca.has_name(tbs.subject) {
            return Err(Error::IdentityForbidden("the subject is the CA's own"));
        }
        if !ca.allows_names(tbs.subject, value(SUBJECT_ALT_NAME))? {
            return Err(Error::IdentityForbidden("it lies outside the CA's name constraints"));
        }
        ask.policies()
            .try_for_each(|policy| policy.judge(&tbs, ask.request.key().algorithm(), &usages, ask.now))
    }
}

/// Puts certificate and signature together, DER.
pub fn assemble(tbs: &Tbs, ca: &CaChain, signature: &[u8]) -> Result<Vec<u8>, Error> {
    let algorithm = ca.issuing().key().algorithm().signature_algorithm()?;
    encode::sequence(&[&tbs.der, &algorithm, &encode::bits(signature)?])
}

/// Checks that a certificate is over the very bytes that were judged and that its signature verifies: a wrong key or a fault in the
/// signing arithmetic never leaves.
pub fn verify_issued(der: &[u8], tbs: &Tbs, ca: &CaChain) -> Result<(), Error> {
    let certificate = Certificate::parse(der).map_err(Error::CheckFailed)?;
    if certificate.tbs_raw != tbs.der {
        return Err(Error::Signing);
    }
    ca.verify(certificate.tbs_raw, certificate.signature)
}

impl IssuanceRequest<'_> {
    fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.fixed.into_iter().chain(self.narrowing)
    }

    /// The usages, or their default; a CA signs certificates besides (A16).
    pub(crate) fn usages(&self) -> Cow<'_, [Usage]> {
        let usages = if self.usages.is_empty() { &DEFAULT_USAGES } else { self.usages };
        if self.is_ca { [usages, &[Usage::CertSign]].concat().into() } else { usages.into() }
    }

    /// What basicConstraints is to say.
    ///
    /// Fails with `RequestForCa` if a CA certificate is asked for and may not be issued: by what was fixed, by a policy, or by the path
    /// lengths of the CA and those above it.
    fn constraints(&self, ca: &CaChain) -> Result<BasicConstraints, Error> {
        if !self.is_ca {
            return Ok(BasicConstraints::default());
        }
        let fixed = self.fixed.and_then(Policy::ca_depth).unwrap_or(0);
        let depth = self.narrowing.and_then(Policy::ca_depth).map_or(fixed, |narrowed| narrowed.min(fixed));
        let Some(below) = depth.checked_sub(1) else {
            return Err(Error::RequestForCa(
                "no caDepth was fixed when the issuer's CA was made, or its policy lowers it now",
            ));
        };
        let below = self.request.path_length().map_or(below, |asked| asked.min(below));
        let Some(room) = ca.room_below().unwrap_or(u8::MAX).checked_sub(1) else {
            return Err(Error::RequestForCa("the path length of the issuer's CA allows none below it"));
        };
        // RFC 5280, 4.1.2.6. It is the issuer of what stands below.
        if name::says_nothing(self.request.subject_raw()) {
            return Err(Error::IdentityForbidden("a CA certificate needs a subject"));
        }
        Ok(BasicConstraints { ca: true, path_length: Some(below.min(room)) })
    }

    /// The subject key identifier: CAs have one.
    fn key_id(&self) -> Option<Vec<u8>> {
        self.is_ca.then(|| self.request.key().key_id())
    }
}

/// A number of at most 16 bytes, big-endian.
pub fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

/// `NotBefore` and `NotAfter` of the door, never outside the CA's nor before the clock's floor.
fn validity(ask: &IssuanceRequest<'_>, ca: &CaChain) -> Result<(i64, i64), Error> {
    if ask.now < ask.earliest || ask.now < ca.not_before() {
        return Err(Error::ClockTooEarly);
    }
    let door = ask.profile.lifetimes();
    let longest = ask.policies().map(Policy::max_lifetime).fold(door.longest, u64::min);
    let lifetime = ask.lifetime.unwrap_or(door.default).min(longest);
    if lifetime < door.shortest {
        return Err(Error::LifetimeInvalid);
    }
    if ask.now >= ca.not_after() {
        return Err(Error::CaExpired);
    }
    let lifetime = i64::try_from(lifetime).map_err(|_| Error::LifetimeInvalid)?;
    let start = ask.now.saturating_sub(door.backdate).max(ca.not_before()).max(ask.earliest);
    let from = match door.end {
        End::FromStart => start,
        End::FromNow { long } if lifetime >= long => ask.now.saturating_sub(door.backdate),
        End::FromNow { .. } => ask.now,
    };
    let end = from.checked_add(lifetime).ok_or(Error::LifetimeInvalid)?.min(ca.not_after());
    if end.saturating_sub(start) < door.least { Err(Error::CaEndsSoon) } else { Ok((start, end)) }
}

/// keyUsage, extKeyUsage, basicConstraints, subjectKeyIdentifier, authorityKeyIdentifier, subjectAltName: in this order.
fn extensions(ask: &IssuanceRequest<'_>, ca: &CaChain) -> Result<Vec<u8>, Error> {
    let (mut all, usages) = (Vec::new(), ask.usages());
    if let Some(value) = usage::key_usage(&usages)? {
        all.push(extension::encode(KEY_USAGE, true, &value)?);
    }
    if let Some(value) = usage::extended_key_usage(&usages)? {
        all.push(extension::encode(EXTENDED_KEY_USAGE, false, &value)?);
    }
    all.push(extension::encode(BASIC_CONSTRAINTS, true, &ask.constraints(ca)?.to_der()?)?);
    if let Some(id) = ask.key_id() {
        all.push(extension::encode(SUBJECT_KEY_ID, false, &encode::tlv(Tag::OctetString, &id)?)?);
    }
    if let Some(value) = authority(ca)? {
        all.push(extension::encode(AUTHORITY_KEY_ID, false, &value)?);
    }
    if let Some(names) = ask.request.san_raw() {
        all.push(extension::encode(SUBJECT_ALT_NAME, ask.request.is_subject_empty(), names)?);
    }
    let parts: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    encode::sequence(&parts)
}

/// The value of authorityKeyIdentifier: copied, never computed, so that it equals what the CA certificate says.
fn authority(ca: &CaChain) -> Result<Option<Vec<u8>>, Error> {
    let number = der::TagNumber(0);
    let id =
        ca.issuing().key_id().map(|id| encode::tlv(Tag::ContextSpecific { constructed: false, number }, id));
    id.transpose()?.map(|id| encode::sequence(&[&id])).transpose()
}

#[cfg(test)]
mod tests;
