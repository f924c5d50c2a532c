//! Policies of CAs and of requests.

use super::lists::Texts;
use minicbor::{Decode, Encode};

/// Rules that narrow the baseline policy. A list that is `None` is no rule. The texts are those of
/// `tcs_x509::PolicyRules`. The enclave refuses a request or a sealed key that contains an unknown rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Policy {
    /// Patterns of DNS names.
    #[n(0)]
    pub dns_names: Option<Texts>,
    /// Patterns of URIs.
    #[n(1)]
    pub uris: Option<Texts>,
    /// Ranges of IP addresses.
    #[n(2)]
    pub ip_ranges: Option<Texts>,
    /// Patterns of e-mail addresses.
    #[n(3)]
    pub email_addresses: Option<Texts>,
    /// Common names.
    #[n(4)]
    pub common_names: Option<Texts>,
    /// Usages by their Kubernetes names.
    #[n(5)]
    pub usages: Option<Texts>,
    /// Longest lifetime, seconds.
    #[n(6)]
    pub max_lifetime: Option<u64>,
    /// Key algorithms by name.
    #[n(7)]
    pub key_algorithms: Option<Texts>,
    /// How many levels of CAs may exist below the CA. The baseline policy allows none. In
    /// [`GenerateCa::policy`](super::GenerateCa::policy) this is the only rule that widens it; in
    /// [`Issue::policy`](super::Issue::policy) it only lowers what was fixed.
    #[n(8)]
    pub ca_depth: Option<u8>,
    /// Organizations of the subject.
    #[n(9)]
    pub organizations: Option<Texts>,
    /// Organizational units of the subject.
    #[n(10)]
    pub organizational_units: Option<Texts>,
}
