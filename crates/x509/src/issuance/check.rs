//! Checks of the final bytes, before and after they are signed (docs/conformance.md, X02).

use super::request::IssuanceRequest;
use super::tbs::{Tbs, authority_key_id};
use crate::certificate::{Certificate, TbsCertificate};
use crate::error::ensure;
use crate::extension::{
    AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, CRL_SIGN, EXTENDED_KEY_USAGE, KEY_CERT_SIGN, KEY_USAGE,
    SUBJECT_ALT_NAME, SUBJECT_KEY_ID, basic_constraints, key_usage, octets,
};
use crate::{CaChain, Error, Policy, encode, name, san, usage};
use der::asn1::ObjectIdentifier;

/// The extensions of a certificate, in their order.
const EXTENSIONS: [ObjectIdentifier; 6] =
    [KEY_USAGE, EXTENDED_KEY_USAGE, BASIC_CONSTRAINTS, SUBJECT_KEY_ID, AUTHORITY_KEY_ID, SUBJECT_ALT_NAME];
/// The extensions that are never critical.
const NOT_CRITICAL: [ObjectIdentifier; 3] = [EXTENDED_KEY_USAGE, SUBJECT_KEY_ID, AUTHORITY_KEY_ID];

/// Checks the final bytes, which are parsed again and may come from any builder: the CA bit and signing
/// usages only if requested and allowed; subject, names and key exactly those of the request; the requested
/// usages; no extension outside the profile; a validity within the limits and that of the CA; and what the
/// policies allow.
pub fn check_tbs(tbs: &Tbs, params: &IssuanceRequest<'_>, ca: &CaChain) -> Result<(), Error> {
    let parsed = TbsCertificate::parse(&tbs.der).map_err(Error::CheckFailed)?;
    check_basic_constraints(&parsed, params, ca)?;
    check_usages(&parsed, params, ca)?;
    check_extensions(&parsed, params, ca)?;
    check_fields(&parsed, params, ca)?;
    check_validity(&parsed, tbs, params, ca)?;
    check_names(&parsed, params, ca)
}

/// Checks that a certificate covers exactly the bytes that were checked, and that its signature verifies. So
/// a certificate with a wrong key or a miscalculated signature is never published.
pub fn verify_issued(der: &[u8], tbs: &Tbs, ca: &CaChain) -> Result<(), Error> {
    let certificate = Certificate::parse(der).map_err(Error::CheckFailed)?;
    if certificate.tbs_raw != tbs.der {
        return Err(Error::Signing);
    }
    ca.verify(certificate.tbs_raw, certificate.signature)
}

fn check_basic_constraints(
    tbs: &TbsCertificate<'_>,
    params: &IssuanceRequest<'_>,
    ca: &CaChain,
) -> Result<(), Error> {
    let constraints = tbs.extension(BASIC_CONSTRAINTS).ok_or(Error::CheckFailed("no basicConstraints"))?;
    ensure(constraints.critical, "basicConstraints is not critical")?;
    let constraints = basic_constraints(constraints.value).map_err(unreadable)?;
    ensure(params.is_ca || !constraints.ca, "it is a CA certificate")?;
    ensure(constraints.ca == params.is_ca, "it is not a CA certificate")?;
    ensure(constraints.path_length.is_some() == params.is_ca, "only a CA certificate has a path length")?;
    let Some(below) = constraints.path_length else { return Ok(()) };
    let fixed = params.fixed.and_then(Policy::ca_depth).is_some_and(|depth| below < depth);
    let narrowed = params.narrowing.and_then(Policy::ca_depth).is_none_or(|depth| below < depth);
    let room = ca.room_below().is_none_or(|room| below < room);
    ensure(fixed && narrowed && room, "it would allow more levels of CAs below it than are permitted")
}

fn check_usages(tbs: &TbsCertificate<'_>, params: &IssuanceRequest<'_>, ca: &CaChain) -> Result<(), Error> {
    if let Some(usage) = tbs.extension(KEY_USAGE) {
        let bits = key_usage(usage.value).map_err(unreadable)?;
        let signs = bits.contains(&KEY_CERT_SIGN) || bits.contains(&CRL_SIGN);
        ensure(
            usage.critical && signs == params.is_ca,
            "the key usage must be critical, and only a CA may sign certificates",
        )?;
    }
    let usages = params.usages();
    ensure(value(tbs, KEY_USAGE) == usage::key_usage(&usages)?.as_deref(), "the key usage differs")?;
    let extended = usage::extended_key_usage(&usages)?;
    ensure(value(tbs, EXTENDED_KEY_USAGE) == extended.as_deref(), "the extended key usages differ")?;
    ca.check_usages(&usages)
}

fn check_extensions(
    tbs: &TbsCertificate<'_>,
    params: &IssuanceRequest<'_>,
    ca: &CaChain,
) -> Result<(), Error> {
    let known = tbs.extensions.iter().all(|extension| EXTENSIONS.contains(&extension.id));
    ensure(known, "an extension is not in the profile")?;
    let places = tbs.extensions.iter().map(|found| EXTENSIONS.iter().position(|id| *id == found.id));
    ensure(places.is_sorted(), "the extensions are in another order")?;
    let mut critical = tbs.extensions.iter().filter(|extension| extension.critical);
    let allowed = critical.all(|extension| !NOT_CRITICAL.contains(&extension.id));
    ensure(allowed, "the criticality of an extension is wrong")?;
    let key_id = value(tbs, SUBJECT_KEY_ID).map(octets).transpose().map_err(unreadable)?;
    ensure(key_id == params.key_id(), "the subject key identifier differs")?;
    let authority = authority_key_id(ca)?;
    ensure(value(tbs, AUTHORITY_KEY_ID) == authority.as_deref(), "the authority key identifier differs")
}

fn check_fields(tbs: &TbsCertificate<'_>, params: &IssuanceRequest<'_>, ca: &CaChain) -> Result<(), Error> {
    let algorithm = ca.issuing().key().algorithm().signature_algorithm()?;
    ensure(encode::der(&tbs.algorithm)? == algorithm, "the signature algorithm differs")?;
    ensure(tbs.issuer == ca.issuing().subject_raw(), "the issuer differs")?;
    ensure(tbs.subject == params.request.subject_raw(), "the subject differs")?;
    ensure(tbs.spki == params.request.spki_raw(), "the key differs")?;
    ensure(value(tbs, SUBJECT_ALT_NAME) == params.request.san_raw(), "the alternative names differ")?;
    ensure(tbs.has_serial(&params.serial), "the serial number differs")
}

fn check_validity(
    parsed: &TbsCertificate<'_>,
    tbs: &Tbs,
    params: &IssuanceRequest<'_>,
    ca: &CaChain,
) -> Result<(), Error> {
    let validity = parsed.validity;
    ensure(validity == tbs.validity(), "the validity is not the reported one")?;
    ensure(validity.not_before < validity.not_after, "its validity is empty")?;
    let longest = i64::try_from(params.profile.lifetimes().longest).unwrap_or(i64::MAX);
    let lifetime = validity.not_after.saturating_sub(validity.not_before);
    ensure(lifetime <= longest, "its lifetime would be too long")?;
    ensure(validity.not_before >= params.earliest, "it would begin before the earliest time")?;
    let inside = validity.not_before >= ca.not_before() && validity.not_after <= ca.not_after();
    ensure(inside, "it would outlive the CA")
}

/// The baseline policy, applied again to the final certificate; the name constraints of the CA; and the
/// policies.
fn check_names(tbs: &TbsCertificate<'_>, params: &IssuanceRequest<'_>, ca: &CaChain) -> Result<(), Error> {
    name::check_subject(tbs.subject)?;
    let names = value(tbs, SUBJECT_ALT_NAME).map(san::names).transpose()?.unwrap_or_default();
    let critical = tbs.extension(SUBJECT_ALT_NAME).map(|names| names.critical);
    let expected = params.request.is_subject_empty();
    ensure(
        critical.is_none_or(|critical| critical == expected),
        "the criticality of the alternative names is wrong",
    )?;
    if ca.has_name(tbs.subject) {
        return Err(Error::IdentityForbidden("the subject is the CA's own".into()));
    }
    if !ca.allows_names(tbs.subject, &names) {
        return Err(Error::IdentityForbidden("a name is outside the name constraints of the CA".into()));
    }
    let (algorithm, usages) = (params.request.key().algorithm(), params.usages());
    params.policies().try_for_each(|policy| policy.check(tbs, &names, algorithm, &usages, params.now))
}

fn value<'a>(tbs: &TbsCertificate<'a>, id: ObjectIdentifier) -> Option<&'a [u8]> {
    tbs.extension(id).map(|extension| extension.value)
}

fn unreadable(_: der::Error) -> Error {
    Error::CheckFailed("an extension cannot be read")
}
