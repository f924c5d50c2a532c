//! The parameters of a requested certificate, and whether they agree.

use crate::extension::extended_key_usage;
use crate::{CertificateProfile, CertificateRequest, Error, Policy, Usage, usage};
use std::borrow::Cow;

/// The usages of a certificate for which none is requested (docs/conformance.md, B06).
const DEFAULT_USAGES: [Usage; 2] = [Usage::DigitalSignature, Usage::KeyEncipherment];

/// The parameters of an issuance.
pub struct IssuanceRequest<'a> {
    /// The profile of the request API.
    pub profile: CertificateProfile,
    /// The verified request.
    pub request: &'a CertificateRequest,
    /// The requested usages; none means digital signature and key encipherment (docs/conformance.md, B06).
    pub usages: &'a [Usage],
    /// The requested lifetime in seconds; `None` for the default of the profile.
    pub lifetime: Option<u64>,
    /// The caller's time, Unix seconds.
    pub now: i64,
    /// The serial number, big-endian: 16 random bytes, not all zero.
    pub serial: [u8; 16],
    /// No certificate begins before this time, Unix seconds.
    pub earliest: i64,
    /// The policy that was fixed when the CA was made. It narrows the baseline policy, except for
    /// [`Policy::ca_depth`]: without it no CA certificate is issued.
    pub fixed: Option<&'a Policy>,
    /// A further policy for this certificate. It only narrows.
    pub narrowing: Option<&'a Policy>,
    /// Whether a CA certificate is requested outside the PKCS#10 request. It gets the path length that the
    /// PKCS#10 request names, or the longest that is allowed.
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
    /// When a pod should request its next certificate, Unix seconds. `None` for the other request APIs.
    pub begin_refresh_at: Option<i64>,
}

impl IssuanceRequest<'_> {
    pub(super) fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.fixed.into_iter().chain(self.narrowing)
    }

    /// The usages, or their default. A CA also signs certificates (docs/conformance.md, A16).
    pub(super) fn usages(&self) -> Cow<'_, [Usage]> {
        let usages = if self.usages.is_empty() { &DEFAULT_USAGES } else { self.usages };
        if self.is_ca { [usages, &[Usage::CertSign]].concat().into() } else { usages.into() }
    }

    /// The subject key identifier, which only CAs have.
    pub(super) fn key_id(&self) -> Option<Vec<u8>> {
        self.is_ca.then(|| self.request.key().key_id())
    }

    /// Refuses a PKCS#10 request that contradicts the other parameters.
    ///
    /// Fails with `RequestForCa`, `UsageForbidden` or `ExtensionMismatch`.
    pub(super) fn check_consistent(&self) -> Result<(), Error> {
        self.check_ca_bit()?;
        let (request, is_ca) = (self.request, self.is_ca);
        if !is_ca && (request.requests_signing_usage() || self.usages.iter().any(|usage| usage.is_signing()))
        {
            return Err(Error::UsageForbidden);
        }
        if self.profile == CertificateProfile::CertManager { self.check_usages() } else { Ok(()) }
    }

    fn check_ca_bit(&self) -> Result<(), Error> {
        let (request, is_ca) = (self.request, self.is_ca);
        if is_ca && self.profile == CertificateProfile::PodCertificate {
            return Err(Error::RequestForCa("a pod cannot have one"));
        }
        if request.requests_ca() && !is_ca {
            return Err(Error::RequestForCa(
                "by basicConstraints CA:TRUE in the PKCS#10 request only, which policies do not see",
            ));
        }
        // A CA that is to be restricted must not become one that is not.
        if is_ca && request.has_name_constraints() {
            return Err(Error::RequestForCa(
                "with name constraints, which this service puts into no certificate",
            ));
        }
        // Annotations can change after an approval. Usages cannot, and approvers see them.
        if is_ca
            && self.profile == CertificateProfile::KubernetesCsr
            && !self.usages.contains(&Usage::CertSign)
        {
            return Err(Error::RequestForCa("'cert sign' is not among the approved usages"));
        }
        if is_ca && request.denies_ca() { Err(Error::ExtensionMismatch) } else { Ok(()) }
    }

    /// cert-manager compares both kinds of usage if the request has either (docs/conformance.md, A16). The
    /// order of extended usages counts there, and does not count here.
    fn check_usages(&self) -> Result<(), Error> {
        let (bits, extended) = (self.request.key_usage(), self.request.extended_key_usage());
        if bits.is_none() && extended.is_none() {
            return Ok(());
        }
        let usages = self.usages();
        let mut wanted_bits: Vec<u8> = usages.iter().filter_map(|usage| usage.key_usage_bit()).collect();
        wanted_bits.sort_unstable();
        wanted_bits.dedup();
        let same_bits = bits.unwrap_or_default() == wanted_bits;
        let read =
            |value: Option<&[u8]>| value.map_or(Some(Vec::new()), |value| extended_key_usage(value).ok());
        let wanted = usage::extended_key_usage(&usages)?;
        let same_extended = read(extended).is_some_and(|found| read(wanted.as_deref()) == Some(found));
        if same_bits && same_extended { Ok(()) } else { Err(Error::ExtensionMismatch) }
    }
}
