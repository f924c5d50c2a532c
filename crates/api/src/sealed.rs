//! Sealed CA keys: Secrets in [`SERVICE_NAMESPACE`](crate::SERVICE_NAMESPACE) that only the enclave that
//! sealed them can open (`docs/protocol.md`, "Sealed CA keys").

/// Type of such a Secret. The admission policy allows the service to delete no Secret of another type.
pub const TYPE: &str = "tcs.intel.com/sealed-ca";
/// The only field of its data.
pub const FIELD: &str = "sealed-ca";
/// Annotation with the SHA-256 fingerprint of the CA certificate, lower-case hex.
pub const FINGERPRINT: &str = "tcs.intel.com/ca-fingerprint";
/// Annotation with the generation of the key: the issuer's keys are numbered, because the key of one
/// certificate can be delivered more than once.
pub const GENERATION: &str = "tcs.intel.com/key-generation";
/// Annotation with the notAfter of the CA certificate, RFC 3339.
pub const NOT_AFTER: &str = "tcs.intel.com/ca-not-after";

/// The prefix of the names of such Secrets.
const PREFIX: &str = "tcs-sealed-";

/// Name of the Secret with the key of an issuer's current CA: `tcs-sealed-<uid>`.
#[must_use]
pub fn name(issuer_uid: &str) -> String {
    format!("{PREFIX}{issuer_uid}")
}

/// Name of the Secret with the key of a CA that was replaced: `tcs-sealed-<uid>.<fingerprint>`.
#[must_use]
pub fn previous_name(issuer_uid: &str, fingerprint: &str) -> String {
    format!("{PREFIX}{issuer_uid}.{fingerprint}")
}

/// The issuer's UID in a name of either form. A UID contains no dot.
#[must_use]
pub fn issuer_uid(name: &str) -> Option<&str> {
    name.strip_prefix(PREFIX).map(|rest| rest.split_once('.').map_or(rest, |(uid, _)| uid))
}

/// Whether a name has the form of [`previous_name`].
#[must_use]
pub fn is_previous(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains('.'))
}
