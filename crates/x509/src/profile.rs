//! The profiles of the doors: what differs between the Kubernetes APIs that ask for certificates.

use crate::extension::extended_key_usage;
use crate::{Error, IssuanceRequest, Usage, usage};

/// Which Kubernetes API asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateProfile {
    /// `certificates.k8s.io` `CertificateSigningRequest` (conformance B5 to B8): key usages of the request itself are ignored.
    KubernetesCsr,
    /// `cert-manager.io` `CertificateRequest` (A15 to A18): key usages of the request itself must be those of the spec.
    CertManager,
    /// `certificates.k8s.io` `PodCertificateRequest` (D2): what is asked for is the most, and at least an hour must come of it.
    PodCertificate,
}

/// How long certificates live, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// Less is refused.
    pub shortest: u64,
    /// When none is asked for.
    pub default: u64,
    /// More is cut to it.
    pub longest: u64,
    /// For clocks that lag: certificates begin so much before now.
    pub backdate: i64,
    /// How the end follows from the lifetime.
    pub end: End,
    /// What the CA's end cuts to less than this is not issued.
    pub least: i64,
}

/// How the end of a certificate follows from its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// So long after the start, back-dated or not.
    FromStart,
    /// So long after now; from this lifetime on, in seconds, earlier by what the start is back-dated.
    FromNow {
        /// Seconds.
        long: i64,
    },
}

const DAY: u64 = 86_400;

impl CertificateProfile {
    /// The lifetimes of the door.
    #[must_use]
    pub fn lifetimes(self) -> Lifetimes {
        let csr = Lifetimes {
            shortest: 600,
            default: 90 * DAY,
            longest: crate::LONGEST_LIFETIME,
            backdate: crate::BACKDATE,
            end: End::FromNow { long: 8 * 3600 },
            least: 1,
        };
        match self {
            Self::KubernetesCsr => csr,
            // cert-manager's conformance suite measures notAfter - notBefore against the duration asked for.
            Self::CertManager => Lifetimes { backdate: 0, end: End::FromStart, ..csr },
            // The API server wants notBefore within five minutes of its own clock, and compares the whole window with
            // maxExpirationSeconds.
            Self::PodCertificate => Lifetimes {
                shortest: 3600,
                default: DAY,
                longest: 91 * DAY,
                backdate: 60,
                end: End::FromStart,
                least: 3600,
            },
        }
    }

    /// When the next certificate should be asked for: after two thirds of a pod's. The API server wants it ten minutes or more from
    /// both ends (D2), which an hour, the shortest life, gives.
    pub(crate) fn begin_refresh(self, not_before: i64, not_after: i64) -> Option<i64> {
        let third = not_after.saturating_sub(not_before) / 3;
        (self == Self::PodCertificate).then(|| not_after.saturating_sub(third))
    }

    /// Refuses a request that contradicts what is asked for beside it.
    ///
    /// Fails with `RequestForCa`, `UsageForbidden` or `ExtensionMismatch`. cert-manager compares both kinds of usage if the request
    /// has either (A16); the order of extended usages counts there and not here.
    pub(crate) fn compare(self, ask: &IssuanceRequest<'_>) -> Result<(), Error> {
        let (request, is_ca) = (ask.request, ask.is_ca);
        if is_ca && self == Self::PodCertificate {
            return Err(Error::RequestForCa("pods get none"));
        }
        if request.asks_ca() && !is_ca {
            return Err(Error::RequestForCa(
                "by the request (basicConstraints CA:TRUE) and not beside it, where policies look",
            ));
        }
        // Annotations can change after an approval; usages cannot, and approvers see them.
        if is_ca && self == Self::KubernetesCsr && !ask.usages.contains(&Usage::CertSign) {
            return Err(Error::RequestForCa(
                "beside the request, and 'cert sign' is not among its usages, which are what was approved",
            ));
        }
        if is_ca && request.denies_ca() {
            return Err(Error::ExtensionMismatch);
        }
        if !is_ca && (request.asks_signing_usage() || ask.usages.iter().any(|usage| usage.is_signing())) {
            return Err(Error::UsageForbidden);
        }
        let (bits, extended) = (request.key_usage(), request.extended_key_usage());
        if self != Self::CertManager || (bits.is_none() && extended.is_none()) {
            return Ok(());
        }
        let usages = ask.usages();
        let mut asked: Vec<u8> = usages.iter().filter_map(|usage| usage.key_usage_bit()).collect();
        asked.sort_unstable();
        asked.dedup();
        let same_bits = bits.unwrap_or_default() == asked;
        let read =
            |value: Option<&[u8]>| value.map_or(Some(Vec::new()), |value| extended_key_usage(value).ok());
        let wanted = usage::extended_key_usage(&usages)?;
        let same_extended = read(extended).is_some_and(|found| read(wanted.as_deref()) == Some(found));
        if same_bits && same_extended { Ok(()) } else { Err(Error::ExtensionMismatch) }
    }
}
