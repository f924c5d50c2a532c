//! The profile of what a CA issues: building, judging, signing and checking a certificate (crypto-and-x509 reference, 4.3;
//! conformance B5 to B8). It is a leaf, or, where that was fixed when the CA was made, another CA's.

use crate::algorithm::PublicKey;
use crate::certificate::{Certificate, TbsCertificate};
use crate::extension::{
    self, AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, BasicConstraints, CRL_SIGN, EXTENDED_KEY_USAGE, KEY_CERT_SIGN,
    KEY_USAGE, SUBJECT_ALT_NAME, SUBJECT_KEY_ID, basic_constraints, key_usage,
};
use crate::profile::End;
use crate::{CaChain, CertificateRequest, Error, Policy, Profile, Usage, ca, encode, name, usage};
use der::Tag;
use der::asn1::ObjectIdentifier;
use std::borrow::Cow;

/// The floor's longest lifetime: 365 days, in seconds. More is asked in vain: it is cut.
pub const LONGEST_LIFETIME: u64 = 365 * 86_400;
/// The shortest lifetime that Kubernetes knows, in seconds; less is refused.
pub const SHORTEST_LIFETIME: u64 = 600;

/// For clocks that lag: certificates of the Kubernetes door (B5) and CAs begin this many seconds early.
pub const BACKDATE: i64 = 300;

/// Longest to-be-signed certificate: with the longest signature it stays below what is read here.
const MAX_TBS: usize = 62 << 10;

/// When no usage is asked for (conformance B6).
const DEFAULT_USAGES: [Usage; 2] = [Usage::DigitalSignature, Usage::KeyEncipherment];

/// Signs with a CA key.
pub trait Signer {
    /// Signs with the algorithm that follows the key: RSA PKCS#1 v1.5 with SHA-256, ECDSA with the curve's hash as DER
    /// `SEQUENCE { r, s }`, Ed25519.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error>;
}

/// What a certificate is asked for.
pub struct LeafRequest<'a> {
    /// The door through which it is asked for.
    pub profile: Profile,
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
    pub clock_floor: i64,
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
pub struct IssuedLeaf {
    /// The certificate, DER.
    pub der: Vec<u8>,
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
}

/// A to-be-signed certificate, DER.
pub struct Tbs {
    der: Vec<u8>,
    not_before: i64,
    not_after: i64,
}

/// Builds, judges, signs, assembles and verifies.
pub fn issue(ask: &LeafRequest<'_>, ca: &CaChain, signer: &dyn Signer) -> Result<IssuedLeaf, Error> {
    let tbs = Tbs::build(ask, ca)?;
    tbs.judge(ask, ca)?;
    let signature = signer.sign(tbs.der())?;
    let der = assemble(&tbs, ca, &signature)?;
    verify_issued(&der, &tbs, ca)?;
    Ok(IssuedLeaf { der, not_before: tbs.not_before, not_after: tbs.not_after })
}

impl Tbs {
    /// Builds the to-be-signed certificate. What may not be asked for is refused here, never trimmed.
    pub fn build(ask: &LeafRequest<'_>, ca: &CaChain) -> Result<Self, Error> {
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
        ask: &LeafRequest<'_>,
        ca: &CaChain,
        (not_before, not_after): (i64, i64),
        extensions: &[u8],
    ) -> Result<Self, Error> {
        let version = encode::explicit(0, &encode::unsigned(&[2])?)?;
        let serial = encode::unsigned(&ask.serial)?;
        let algorithm = ca.issuing().key().kind().signature_algorithm()?;
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
    pub fn judge(&self, ask: &LeafRequest<'_>, ca: &CaChain) -> Result<(), Error> {
        const PROFILE: [ObjectIdentifier; 6] = [
            KEY_USAGE,
            EXTENDED_KEY_USAGE,
            BASIC_CONSTRAINTS,
            SUBJECT_KEY_ID,
            AUTHORITY_KEY_ID,
            SUBJECT_ALT_NAME,
        ];
        let tbs = TbsCertificate::parse(&self.der).map_err(Error::Judgement)?;
        let judge = |good: bool, why: &'static str| if good { Ok(()) } else { Err(Error::Judgement(why)) };
        let unreadable = |_| Error::Judgement("an extension cannot be read");
        let value = |id| tbs.extension(id).map(|e| e.value);
        let constraints = tbs.extension(BASIC_CONSTRAINTS).ok_or(Error::Judgement("no basicConstraints"))?;
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
        let mild = [EXTENDED_KEY_USAGE, SUBJECT_KEY_ID, AUTHORITY_KEY_ID];
        judge(
            tbs.extensions.iter().all(|e| !(e.critical && mild.contains(&e.id))),
            "criticality of an extension",
        )?;
        let key_id = value(SUBJECT_KEY_ID).map(ca::octets).transpose().map_err(unreadable)?;
        judge(key_id == ask.key_id()?, "the subject key identifier is another")?;
        judge(tbs.issuer == ca.issuing().subject_raw(), "the issuer is another")?;
        judge(tbs.subject == ask.request.subject_raw(), "the subject is another")?;
        judge(tbs.spki == ask.request.spki_raw(), "the key is another")?;
        judge(value(SUBJECT_ALT_NAME) == ask.request.san_raw(), "the alternative names are others")?;
        let critical =
            tbs.extension(SUBJECT_ALT_NAME).is_none_or(|e| e.critical == ask.request.is_subject_empty());
        judge(critical, "criticality of the names")?;
        judge(tbs.serial.len() <= 16 && number(tbs.serial) == number(&ask.serial), "the serial is another")?;
        let times = (tbs.not_before, tbs.not_after);
        judge(times == (self.not_before, self.not_after), "the validity is another than reported")?;
        judge(tbs.not_before < tbs.not_after, "its validity is empty")?;
        let longest = i64::try_from(ask.profile.lifetimes().longest).unwrap_or(i64::MAX);
        judge(tbs.not_after.saturating_sub(tbs.not_before) <= longest, "it would live too long")?;
        judge(tbs.not_before >= ask.clock_floor, "it would begin before the clock's floor")?;
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
        ask.policies().try_for_each(|policy| policy.judge(&tbs, &usages, ask.now))
    }
}

/// Puts certificate and signature together, DER.
pub fn assemble(tbs: &Tbs, ca: &CaChain, signature: &[u8]) -> Result<Vec<u8>, Error> {
    let algorithm = ca.issuing().key().kind().signature_algorithm()?;
    encode::sequence(&[&tbs.der, &algorithm, &encode::bits(signature)?])
}

/// Checks that a certificate is over the very bytes that were judged and that its signature verifies: a wrong key or a fault in the
/// signing arithmetic never leaves.
pub fn verify_issued(der: &[u8], tbs: &Tbs, ca: &CaChain) -> Result<(), Error> {
    let certificate = Certificate::parse(der).map_err(Error::Judgement)?;
    if certificate.tbs_raw != tbs.der {
        return Err(Error::Signing);
    }
    ca.verify(certificate.tbs_raw, certificate.signature)
}

impl LeafRequest<'_> {
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
    fn key_id(&self) -> Result<Option<Vec<u8>>, Error> {
        let key = self.is_ca.then(|| PublicKey::from_spki(self.request.spki_raw())).transpose();
        Ok(key.map_err(|_| Error::Judgement("the key cannot be read"))?.map(|key| key.key_id()))
    }
}

/// A number of at most 16 bytes, big-endian.
pub fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

/// `NotBefore` and `NotAfter` of the door, never outside the CA's nor before the clock's floor.
fn validity(ask: &LeafRequest<'_>, ca: &CaChain) -> Result<(i64, i64), Error> {
    if ask.now < ask.clock_floor || ask.now < ca.not_before() {
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
    let start = ask.now.saturating_sub(door.backdate).max(ca.not_before()).max(ask.clock_floor);
    let from = match door.end {
        End::FromStart => start,
        End::FromNow { long } if lifetime >= long => ask.now.saturating_sub(door.backdate),
        End::FromNow { .. } => ask.now,
    };
    let end = from.checked_add(lifetime).ok_or(Error::LifetimeInvalid)?.min(ca.not_after());
    if end.saturating_sub(start) < door.least { Err(Error::CaEndsSoon) } else { Ok((start, end)) }
}

/// keyUsage, extKeyUsage, basicConstraints, subjectKeyIdentifier, authorityKeyIdentifier, subjectAltName: in this order.
fn extensions(ask: &LeafRequest<'_>, ca: &CaChain) -> Result<Vec<u8>, Error> {
    let (mut all, usages) = (Vec::new(), ask.usages());
    if let Some(value) = usage::key_usage(&usages)? {
        all.push(extension::encode(KEY_USAGE, true, &value)?);
    }
    if let Some(value) = usage::extended_key_usage(&usages)? {
        all.push(extension::encode(EXTENDED_KEY_USAGE, false, &value)?);
    }
    all.push(extension::encode(BASIC_CONSTRAINTS, true, &ask.constraints(ca)?.to_der()?)?);
    if let Some(id) = ask.key_id()? {
        all.push(extension::encode(SUBJECT_KEY_ID, false, &encode::tlv(Tag::OctetString, &id)?)?);
    }
    // Copied, never computed: it must equal what the CA certificate says.
    if let Some(id) = ca.issuing().key_id() {
        let id = encode::tlv(Tag::ContextSpecific { constructed: false, number: der::TagNumber(0) }, id)?;
        all.push(extension::encode(AUTHORITY_KEY_ID, false, &encode::sequence(&[&id])?)?);
    }
    if let Some(names) = ask.request.san_raw() {
        all.push(extension::encode(SUBJECT_ALT_NAME, ask.request.is_subject_empty(), names)?);
    }
    let parts: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    encode::sequence(&parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PolicyRules;
    use rcgen::{CertificateParams, IsCa, KeyPair};

    const NOW: i64 = 1_795_000_000;

    fn request() -> CertificateRequest {
        let parameters = CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
        let der = parameters.serialize_request(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        CertificateRequest::from_der(&der).unwrap()
    }

    fn chain() -> CaChain {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        parameters.distinguished_name.push(rcgen::DnType::CommonName, "CA");
        parameters.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let der = parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec();
        CaChain::from_delivered(&[der], NOW).unwrap()
    }

    #[test]
    fn x02_w_d8_final_bytes_outside_the_profile_are_refused_whatever_built_them() {
        let (request, ca) = (request(), chain());
        let lifetime = Some(LONGEST_LIFETIME);
        let ask = LeafRequest {
            profile: Profile::KubernetesCsr,
            request: &request,
            usages: &[],
            lifetime,
            now: NOW,
            serial: [7; 16],
            clock_floor: 0,
            fixed: None,
            narrowing: None,
            is_ca: false,
        };
        let times = validity(&ask, &ca).unwrap();
        let verdict = |times, extensions: &[Vec<u8>]| {
            let parts: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
            let tbs = Tbs::encode(&ask, &ca, times, &encode::sequence(&parts).unwrap()).unwrap();
            tbs.judge(&ask, &ca).err()
        };
        let make = |id, critical, value: &[u8]| extension::encode(id, critical, value).unwrap();
        let usage = make(KEY_USAGE, true, b"\x03\x02\x05\xa0");
        let no_ca = make(BASIC_CONSTRAINTS, true, b"\x30\x00");
        let names = make(SUBJECT_ALT_NAME, false, request.san_raw().unwrap());
        let good = [usage.clone(), no_ca.clone(), names.clone()];
        assert_eq!(verdict(times, &good), None);

        let with = |at: usize, other: Vec<u8>| {
            let mut changed = good.clone();
            changed[at] = other;
            verdict(times, &changed)
        };
        let because = |why| Some(Error::Judgement(why));
        let ca_true = make(BASIC_CONSTRAINTS, true, b"\x30\x03\x01\x01\xff");
        assert_eq!(with(1, ca_true), because("it is a CA certificate"));
        let mild = make(BASIC_CONSTRAINTS, false, b"\x30\x00");
        assert_eq!(with(1, mild), because("basicConstraints is not critical"));
        assert_eq!(verdict(times, &[usage, names]), because("no basicConstraints"));
        for signing in [b"\x03\x02\x02\xa4", b"\x03\x02\x01\xa2"] {
            let signing = make(KEY_USAGE, true, signing);
            assert_eq!(with(0, signing), because("the key usage would allow signing, or a CA none"));
        }
        let wider = make(KEY_USAGE, true, b"\x03\x02\x03\xa8");
        assert_eq!(with(0, wider), because("the key usage is another"));
        let any = make(EXTENDED_KEY_USAGE, false, b"\x30\x06\x06\x04\x55\x1d\x25\x00");
        assert_eq!(with(2, any), because("the extended key usages are others"));
        let key_id = make(SUBJECT_KEY_ID, false, b"\x04\x01\x00");
        assert_eq!(with(2, key_id), because("the subject key identifier is another"));
        let policies = make(extension::CERTIFICATE_POLICIES, false, b"\x30\x00");
        assert_eq!(with(2, policies), because("an extension is not of the profile"));
        let critical = make(SUBJECT_ALT_NAME, true, request.san_raw().unwrap());
        assert_eq!(with(2, critical), because("criticality of the names"));
        let other = make(SUBJECT_ALT_NAME, false, b"\x30\x03\x82\x01x");
        assert_eq!(with(2, other), because("the alternative names are others"));
        assert_eq!(with(2, no_ca), because("an extension stands there twice"));

        assert_eq!(verdict((times.0, times.1 + 1), &good), because("it would live too long"));
        assert_eq!(verdict((times.0, times.0), &good), because("its validity is empty"));
        let end = ca.not_after();
        assert_eq!(verdict((end - 600, end + 1), &good), because("it would outlive the CA"));
    }

    #[test]
    fn x02_final_bytes_of_a_ca_below_are_refused_unless_they_are_what_was_fixed() {
        let (request, ca) = (request(), chain());
        let [one, two, three] = [1, 2, 3].map(|depth| {
            Policy::new(&PolicyRules { ca_depth: Some(depth), ..PolicyRules::default() }).unwrap()
        });
        let ask = LeafRequest {
            profile: Profile::CertManager,
            request: &request,
            usages: &[],
            lifetime: None,
            now: NOW,
            serial: [7; 16],
            clock_floor: 0,
            fixed: Some(&two),
            narrowing: None,
            is_ca: true,
        };
        let times = validity(&ask, &ca).unwrap();
        let verdict = |ask: &LeafRequest<'_>, extensions: &[Vec<u8>]| {
            let parts: Vec<&[u8]> = extensions.iter().map(Vec::as_slice).collect();
            let tbs = Tbs::encode(ask, &ca, times, &encode::sequence(&parts).unwrap()).unwrap();
            tbs.judge(ask, &ca).err()
        };
        let make = |id, critical, value: &[u8]| extension::encode(id, critical, value).unwrap();
        let id = encode::tlv(Tag::OctetString, &ask.key_id().unwrap().unwrap()).unwrap();
        let good = [
            make(KEY_USAGE, true, b"\x03\x02\x02\xa4"),
            make(BASIC_CONSTRAINTS, true, b"\x30\x06\x01\x01\xff\x02\x01\x01"),
            make(SUBJECT_KEY_ID, false, &id),
            make(SUBJECT_ALT_NAME, false, request.san_raw().unwrap()),
        ];
        assert_eq!(verdict(&ask, &good), None);
        assert_eq!(
            verdict(&LeafRequest { is_ca: false, ..ask }, &good),
            Some(Error::Judgement("it is a CA certificate"))
        );
        let because = |why| Some(Error::Judgement(why));
        let deep = because("CAs could stand deeper below it than they may");
        for (fixed, narrowing) in
            [(None, None), (None, Some(&three)), (Some(&one), Some(&three)), (Some(&three), Some(&one))]
        {
            assert_eq!(verdict(&LeafRequest { fixed, narrowing, ..ask }, &good), deep);
        }
        let with = |at: usize, other: Vec<u8>| {
            let mut changed = good.clone();
            changed[at] = other;
            verdict(&ask, &changed)
        };
        let any_depth = make(BASIC_CONSTRAINTS, true, b"\x30\x03\x01\x01\xff");
        assert_eq!(with(1, any_depth), because("a path length, or none"));
        let leaf = make(BASIC_CONSTRAINTS, true, b"\x30\x00");
        assert_eq!(with(1, leaf), because("it is no CA certificate"));
        assert_eq!(with(2, make(SUBJECT_KEY_ID, true, &id)), because("criticality of an extension"));
        let usage = because("the key usage would allow signing, or a CA none");
        assert_eq!(with(0, make(KEY_USAGE, true, b"\x03\x02\x05\xa0")), usage, "no signing at all");
        let wider = because("the key usage is another");
        assert_eq!(with(0, make(KEY_USAGE, true, b"\x03\x02\x01\xa6")), wider, "CRLs, unasked");
        let key_id = because("the subject key identifier is another");
        assert_eq!(with(2, make(SUBJECT_KEY_ID, false, b"\x04\x01\x00")), key_id);
        assert_eq!(verdict(&ask, &[&good[..2], &good[3..]].concat()), key_id, "it has none");
    }
}
