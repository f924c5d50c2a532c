//! Lifetimes and the validity of certificates.

/// The longest lifetime that the baseline policy allows: 365 days, in seconds. A longer one is shortened to
/// it.
pub const LONGEST_LIFETIME: u64 = 365 * 86_400;
/// The shortest lifetime that Kubernetes allows, in seconds. A shorter one is refused.
pub const SHORTEST_LIFETIME: u64 = 600;

/// Certificates of the Kubernetes request API (docs/conformance.md, B05) and of CAs begin this many seconds
/// before now, for the sake of clocks that are behind.
pub const BACKDATE: i64 = 300;

/// The validity of a certificate (RFC 5280, section 4.1.2.5), in Unix seconds, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    pub not_before: i64,
    pub not_after: i64,
}
