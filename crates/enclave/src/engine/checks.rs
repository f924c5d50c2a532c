//! Checks of the fields that every request has, and the serial numbers of certificates.

use super::refusals::{self, refuse};
use crate::{RELEASE_DATE, keys};
use tcs_enclave_rpc::{MAX_ISSUER_UID, Refusal, RefusalCode, Texts};
use tcs_x509::{Policy, PolicyRules};

/// Keeps text that cannot be a Kubernetes UID out of logs and tables. Otherwise any text would work as a key.
pub(super) fn check_uid(uid: &str) -> Result<(), Refusal> {
    let graphic = uid.bytes().all(|byte| byte.is_ascii_graphic());
    if graphic && (1..=MAX_ISSUER_UID).contains(&uid.len()) {
        Ok(())
    } else {
        Err(refuse(
            RefusalCode::MalformedMessage,
            "the issuer's UID must be 1 to 64 printable ASCII characters",
        ))
    }
}

/// Accepts the caller's time, in Unix seconds. It comes from the untrusted side, but this program cannot run
/// before its release.
pub(super) fn check_clock(now: i64) -> Result<u64, Refusal> {
    if now < RELEASE_DATE {
        return Err(refuse(RefusalCode::ClockTooEarly, "the clock is before the release of this program"));
    }
    u64::try_from(now).map_err(refusals::internal)
}

/// Parses the rules of a policy from a message.
pub(super) fn parse_policy(rules: &tcs_enclave_rpc::Policy) -> Result<Policy, Refusal> {
    fn list(texts: Option<&Texts>) -> Option<&[String]> {
        texts.map(|Texts(all)| all.as_slice())
    }
    let rules = PolicyRules {
        dns_names: list(rules.dns_names.as_ref()),
        uris: list(rules.uris.as_ref()),
        ip_ranges: list(rules.ip_ranges.as_ref()),
        email_addresses: list(rules.email_addresses.as_ref()),
        common_names: list(rules.common_names.as_ref()),
        organizations: list(rules.organizations.as_ref()),
        organizational_units: list(rules.organizational_units.as_ref()),
        usages: list(rules.usages.as_ref()),
        key_algorithms: list(rules.key_algorithms.as_ref()),
        max_lifetime: rules.max_lifetime,
        ca_depth: rules.ca_depth,
    };
    Policy::new(&rules).map_err(refusals::x509)
}

/// 128 random bits, never zero (RFC 5280, section 4.1.2.2; docs/conformance.md, B08).
pub(super) fn serial() -> Result<[u8; 16], Refusal> {
    loop {
        let serial = keys::random().map_err(refusals::internal)?;
        if serial != [0; 16] {
            return Ok(serial);
        }
    }
}
