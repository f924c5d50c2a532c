//! The kinds of loads.

/// What strangers make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Issuers with the largest annotations and labels that the API takes, and policies of 1 KiB.
    AnnotatedIssuers,
    /// Issuers with the largest policies that the CRD takes, both in `spec.policy` and in `spec.ca.policy`.
    LargestPolicies,
    /// Requests of 1 MiB for another signer.
    ForeignRequests,
    /// Requests of 1 MiB for the service that nobody approved.
    UnapprovedRequests,
}

impl Load {
    /// All loads.
    pub const ALL: [Self; 4] =
        [Self::AnnotatedIssuers, Self::LargestPolicies, Self::ForeignRequests, Self::UnapprovedRequests];

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
