//! The kinds of loads.

/// What strangers make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Issuers with the largest annotations that the API takes, half as many bytes of labels, and policies of
    /// 1 KiB.
    AnnotatedIssuers,
    /// Issuers with the largest policies that the CRD takes, both in `spec.policy` and in `spec.ca.policy`.
    LargestPolicies,
    /// Requests of 1 MiB for another signer.
    ForeignRequests,
    /// Requests of 1 MiB for the service that nobody approved.
    UnapprovedRequests,
    /// Requests of 1 MiB for the service that are approved and wait for their issuer.
    ApprovedRequests,
}

impl Load {
    /// All loads.
    pub const ALL: [Self; 5] = [
        Self::AnnotatedIssuers,
        Self::LargestPolicies,
        Self::ForeignRequests,
        Self::UnapprovedRequests,
        Self::ApprovedRequests,
    ];

    /// How much memory the controller may need for 2,000 such objects, in MiB.
    #[must_use]
    pub fn limit(self) -> u64 {
        if self == Self::LargestPolicies { 128 } else { 64 }
    }

    /// Whether the objects are issuers; otherwise they are requests.
    pub(super) fn is_of_issuers(self) -> bool {
        matches!(self, Self::AnnotatedIssuers | Self::LargestPolicies)
    }
}
