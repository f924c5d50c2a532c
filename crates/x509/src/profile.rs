//! Certificate profiles: the differences between the Kubernetes APIs through which certificates are
//! requested.

use crate::validity::{BACKDATE, LONGEST_LIFETIME, SHORTEST_LIFETIME};

/// The profile of a certificate. It follows from the Kubernetes API through which the certificate was
/// requested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CertificateProfile {
    /// `certificates.k8s.io` `CertificateSigningRequest` (docs/conformance.md, B05 to B08). Key usages in the
    /// request itself are ignored.
    KubernetesCsr,
    /// `cert-manager.io` `CertificateRequest` (docs/conformance.md, A15 to A18). Key usages in the request
    /// itself must be those of the spec.
    CertManager,
    /// `certificates.k8s.io` `PodCertificateRequest` (docs/conformance.md, D02). The requested lifetime is
    /// the longest allowed, and the certificate must live at least an hour.
    PodCertificate,
}

/// How long the certificates of a profile live, in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    /// A shorter lifetime is refused.
    pub shortest: u64,
    /// The lifetime if none is requested.
    pub default: u64,
    /// A longer lifetime is shortened to this one.
    pub longest: u64,
    /// Certificates begin this long before now, for the sake of clocks that are behind.
    pub backdate: i64,
    /// How the end is computed from the lifetime.
    pub end: End,
    /// If the end of the CA shortens the validity to less than this, no certificate is issued.
    pub least: i64,
}

/// How the end of a certificate is computed from its lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The start, which may be backdated, plus the lifetime.
    FromStart,
    /// Now plus the lifetime. For lifetimes of `long` or more, it is earlier by the time by which the start
    /// is backdated.
    FromNow {
        /// Seconds.
        long: i64,
    },
}

const DAY: u64 = 86_400;

impl CertificateProfile {
    /// The lifetimes of the profile.
    #[must_use]
    pub fn lifetimes(self) -> Lifetimes {
        let csr = Lifetimes {
            shortest: SHORTEST_LIFETIME,
            default: 90 * DAY,
            longest: LONGEST_LIFETIME,
            backdate: BACKDATE,
            end: End::FromNow { long: 8 * 3600 },
            least: 1,
        };
        match self {
            Self::KubernetesCsr => csr,
            // cert-manager's conformance suite compares notAfter - notBefore with the requested duration.
            Self::CertManager => Lifetimes { backdate: 0, end: End::FromStart, ..csr },
            // The API server requires notBefore within five minutes of its own clock, and compares the whole
            // validity with maxExpirationSeconds.
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

    /// When the next certificate should be requested: for pods after two thirds of the validity. The API
    /// server requires it ten minutes or more from both ends (docs/conformance.md, D02), which an hour, the
    /// shortest lifetime, ensures.
    pub(crate) fn begin_refresh(self, not_before: i64, not_after: i64) -> Option<i64> {
        let third = not_after.saturating_sub(not_before) / 3;
        (self == Self::PodCertificate).then(|| not_after.saturating_sub(third))
    }
}
