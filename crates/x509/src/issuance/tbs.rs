//! Builds the to-be-signed certificate (RFC 5280, section 4.1).

use super::request::IssuanceRequest;
use crate::extension::{
    self, AUTHORITY_KEY_ID, BASIC_CONSTRAINTS, BasicConstraints, EXTENDED_KEY_USAGE, KEY_USAGE,
    SUBJECT_ALT_NAME, SUBJECT_KEY_ID,
};
use crate::profile::End;
use crate::validity::Validity;
use crate::{CaChain, Error, Policy, encode, name, usage};
use der::Tag;

/// Maximum length of a to-be-signed certificate, in bytes. With the longest signature the certificate stays
/// below the length that this crate reads.
pub const MAX_TBS: usize = 62 << 10;

/// A to-be-signed certificate.
pub struct Tbs {
    pub(super) der: Vec<u8>,
    validity: Validity,
}

impl Tbs {
    /// Builds the to-be-signed certificate. Whatever may not be requested is refused, never removed silently.
    pub fn build(params: &IssuanceRequest<'_>, ca: &CaChain) -> Result<Self, Error> {
        params.check_consistent()?;
        // RFC 5280, section 4.1.2.2: the serial number is positive.
        if params.serial == [0; 16] {
            return Err(Error::Encoding);
        }
        let tbs = Self::encode(params, ca, validity(params, ca)?, &extensions(params, ca)?)?;
        // Nothing reads a longer one, not even this crate.
        if tbs.der.len() > MAX_TBS {
            return Err(Error::IdentityForbidden("the certificate would be longer than 62 KiB".into()));
        }
        Ok(tbs)
    }

    /// The fields in the order of RFC 5280, section 4.1.
    pub(super) fn encode(
        params: &IssuanceRequest<'_>,
        ca: &CaChain,
        validity: Validity,
        extensions: &[u8],
    ) -> Result<Self, Error> {
        let version = encode::explicit(0, &encode::unsigned(&[2])?)?;
        let serial = encode::unsigned(&params.serial)?;
        let algorithm = ca.issuing().key().algorithm().signature_algorithm()?;
        let extensions = encode::explicit(3, extensions)?;
        let parts: [&[u8]; 8] = [
            &version,
            &serial,
            &algorithm,
            ca.issuing().subject_raw(),
            &encode::validity(validity)?,
            params.request.subject_raw(),
            params.request.spki_raw(),
            &extensions,
        ];
        Ok(Self { der: encode::sequence(&parts)?, validity })
    }

    /// The DER to sign.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    pub(super) fn validity(&self) -> Validity {
        self.validity
    }
}

/// Assembles certificate and signature, DER.
pub fn assemble(tbs: &Tbs, ca: &CaChain, signature: &[u8]) -> Result<Vec<u8>, Error> {
    let algorithm = ca.issuing().key().algorithm().signature_algorithm()?;
    encode::sequence(&[&tbs.der, &algorithm, &encode::bits(signature)?])
}

/// The validity that the profile gives, never outside that of the CA, and never before the earliest time.
pub(super) fn validity(params: &IssuanceRequest<'_>, ca: &CaChain) -> Result<Validity, Error> {
    if params.now < params.earliest || params.now < ca.not_before() {
        return Err(Error::ClockTooEarly);
    }
    let limits = params.profile.lifetimes();
    let longest = params.policies().map(Policy::max_lifetime).fold(limits.longest, u64::min);
    let lifetime = params.lifetime.unwrap_or(limits.default).min(longest);
    if lifetime < limits.shortest {
        return Err(Error::LifetimeInvalid);
    }
    if params.now >= ca.not_after() {
        return Err(Error::CaExpired);
    }
    let lifetime = i64::try_from(lifetime).map_err(|_| Error::LifetimeInvalid)?;
    let start = params.now.saturating_sub(limits.backdate).max(ca.not_before()).max(params.earliest);
    let from = match limits.end {
        End::FromStart => start,
        End::FromNow { long } if lifetime >= long => params.now.saturating_sub(limits.backdate),
        End::FromNow { .. } => params.now,
    };
    let end = from.checked_add(lifetime).ok_or(Error::LifetimeInvalid)?.min(ca.not_after());
    if end.saturating_sub(start) < limits.least {
        return Err(Error::CaEndsSoon);
    }
    Ok(Validity { not_before: start, not_after: end })
}

/// keyUsage, extKeyUsage, basicConstraints, subjectKeyIdentifier, authorityKeyIdentifier, subjectAltName, in
/// this order.
fn extensions(params: &IssuanceRequest<'_>, ca: &CaChain) -> Result<Vec<u8>, Error> {
    let (mut all, usages) = (Vec::new(), params.usages());
    if let Some(value) = usage::key_usage(&usages)? {
        all.push(extension::encode(KEY_USAGE, true, &value)?);
    }
    if let Some(value) = usage::extended_key_usage(&usages)? {
        all.push(extension::encode(EXTENDED_KEY_USAGE, false, &value)?);
    }
    all.push(extension::encode(BASIC_CONSTRAINTS, true, &constraints(params, ca)?.to_der()?)?);
    if let Some(id) = params.key_id() {
        all.push(extension::encode(SUBJECT_KEY_ID, false, &encode::tlv(Tag::OctetString, &id)?)?);
    }
    if let Some(value) = authority_key_id(ca)? {
        all.push(extension::encode(AUTHORITY_KEY_ID, false, &value)?);
    }
    if let Some(names) = params.request.san_raw() {
        all.push(extension::encode(SUBJECT_ALT_NAME, params.request.is_subject_empty(), names)?);
    }
    let parts: Vec<&[u8]> = all.iter().map(Vec::as_slice).collect();
    encode::sequence(&parts)
}

/// The basicConstraints of the certificate.
///
/// Fails with `RequestForCa` if a CA certificate is requested and may not be issued, by what was fixed, by a
/// policy, or by the path lengths of the CA and those above it.
fn constraints(params: &IssuanceRequest<'_>, ca: &CaChain) -> Result<BasicConstraints, Error> {
    if !params.is_ca {
        return Ok(BasicConstraints::default());
    }
    let fixed = params.fixed.and_then(Policy::ca_depth).unwrap_or(0);
    let depth = params.narrowing.and_then(Policy::ca_depth).map_or(fixed, |narrowed| narrowed.min(fixed));
    let Some(below) = depth.checked_sub(1) else {
        return Err(Error::RequestForCa(
            "no caDepth was fixed when the issuer's CA was made, or spec.policy lowers it to 0",
        ));
    };
    let below = params.request.path_length().map_or(below, |requested| requested.min(below));
    let Some(room) = ca.room_below().unwrap_or(u8::MAX).checked_sub(1) else {
        return Err(Error::RequestForCa("the path length of the issuer's CA allows none below it"));
    };
    // RFC 5280, section 4.1.2.6: a CA needs a subject, because it is the issuer of the certificates below it.
    if name::is_blank(params.request.subject_raw()) {
        return Err(Error::IdentityForbidden("a CA certificate needs a subject".into()));
    }
    Ok(BasicConstraints { ca: true, path_length: Some(below.min(room)) })
}

/// The value of authorityKeyIdentifier. It is copied, never computed, so that it equals the identifier in the
/// CA certificate.
pub(super) fn authority_key_id(ca: &CaChain) -> Result<Option<Vec<u8>>, Error> {
    let number = der::TagNumber(0);
    let id =
        ca.issuing().key_id().map(|id| encode::tlv(Tag::ContextSpecific { constructed: false, number }, id));
    id.transpose()?.map(|id| encode::sequence(&[&id])).transpose()
}
