//! Reasons of conditions and Events. They are stable: users' scripts may compare them.

/// Issuer: it waits for its CA key from the key owner.
pub const AWAITING_KEY: &str = "AwaitingKey";
/// Issuer: the delivered CA key was refused.
pub const KEY_REJECTED: &str = "KeyRejected";
/// Event: an object that belongs to the issuer exists and cannot be decoded.
pub const OBJECT_UNREADABLE: &str = "ObjectUnreadable";
/// Event: the delivered CA key was accepted.
pub const KEY_ACCEPTED: &str = "KeyAccepted";
/// Event: the enclave made the CA key of a self-signed issuer.
pub const CA_GENERATED: &str = "CAGenerated";
/// Issuer: it signs.
pub const READY: &str = "Ready";
/// Issuer: it signs, and the next CA is requested from the key owner.
pub const RENEWING: &str = "Renewing";
/// Event: another CA replaced the current one.
pub const CA_REPLACED: &str = "CAReplaced";
/// Event: the next CA could not be made or requested. The issuer still signs.
pub const RENEWAL_FAILED: &str = "RenewalFailed";
/// Issuer: the enclave no longer holds the CA key of an issuer that was ready.
pub const KEY_LOST: &str = "KeyLost";
/// Issuer: the CA certificate has expired.
pub const CA_EXPIRED: &str = "CAExpired";
/// Issuer: the CA certificate is not valid yet.
pub const CA_NOT_YET_VALID: &str = "CANotYetValid";
/// Issuer: a CA is to be made, and the service's clock does not agree with the API server's.
pub const CLOCK_UNVERIFIED: &str = "ClockUnverified";
/// Issuer: this version does not serve such an issuer.
pub const UNSUPPORTED: &str = "Unsupported";
/// Issuer: the platform cannot seal a CA key, and the issuer does not allow a key that is lost when the
/// enclave restarts.
pub const NO_SEALING: &str = "NoSealing";
/// Issuer: the enclave refuses to make the CA that the spec describes.
pub const CA_REFUSED: &str = "CARefused";
/// Issuer and request: the admission policies that limit the service are missing, changed or not in force, so
/// nothing is served.
pub const ADMISSION_POLICY_NOT_ENFORCED: &str = "AdmissionPolicyNotEnforced";
/// Issuer: no enclave answers.
pub const ENCLAVE_UNAVAILABLE: &str = "EnclaveUnavailable";
/// Issuer: the platform makes no evidence.
pub const NO_EVIDENCE: &str = "NoEvidence";
/// Issuer: the API server refused the Secret with the sealed CA key.
pub const SEALED_KEY_NOT_KEPT: &str = "SealedKeyNotKept";
/// Issuer and Event: the rules of `spec.policy` cannot be read.
pub const POLICY_MALFORMED: &str = "PolicyMalformed";
/// Issuer: the Secret named by `spec.secretName` does not belong to this issuer.
pub const SECRET_CONFLICT: &str = "SecretConflict";
/// Reason of the conditions that the service sets on a `QuoteAttestation`.
pub const TCS_RECONCILE: &str = "TCSReconcile";

/// Event on a request: it waits for its issuer to become ready.
pub const WAITING_FOR_ISSUER_READY: &str = "WaitingForIssuerReady";
/// Event on a request: its issuer does not exist.
pub const WAITING_FOR_ISSUER_EXIST: &str = "WaitingForIssuerExist";
/// Event on a request: its issuer exists and cannot be decoded.
pub const WAITING_FOR_ISSUER_READABLE: &str = "WaitingForIssuerReadable";
/// Event on a request: the API server has not decided whether its requester may use its issuer.
pub const WAITING_FOR_ACCESS_REVIEW: &str = "WaitingForAccessReview";
/// The API server refuses the request with its result, and would refuse it again.
pub const RESULT_NOT_WRITTEN: &str = "ResultNotWritten";
/// Event on a request: it could not be signed, and is tried again.
pub const RETRYABLE_ERROR: &str = "RetryableError";
/// Event on a `CertificateRequest` of cert-manager: it failed for good.
pub const PERMANENT_ERROR: &str = "PermanentError";
/// A `CertificateRequest` of cert-manager, and Event on it: an approver denied it.
pub const DENIED: &str = "Denied";
/// A `CertificateRequest` of cert-manager could not be signed for too long.
pub const RETRIES_EXHAUSTED: &str = "RetriesExhausted";
/// Request and Event on it: its requester may not use its issuer.
pub const REFERENCE_NOT_ALLOWED: &str = "ReferenceNotAllowed";
/// Event on a request: a certificate was issued. On a `CertificateSigningRequest` it is a CA certificate,
/// because an Event for each certificate would lower the rate by about a third.
pub const ISSUED: &str = "Issued";

/// Delivery: `secretType` names a type of delivery that is not served.
pub const SECRET_TYPE_UNSUPPORTED: &str = "SecretTypeUnsupported";
/// Delivery: the Secret that the key owner named does not exist.
pub const SECRET_NOT_FOUND: &str = "SecretNotFound";
/// Delivery: the Secret has no `tls.key`.
pub const MISSING_KEY: &str = "MissingKey";
/// Delivery: `tls.key` is not base64 text.
pub const CORRUPT_KEY: &str = "CorruptKey";
/// Delivery: the Secret has no `tls.crt`.
pub const MISSING_CERTIFICATE: &str = "MissingCertificate";
/// Delivery: `tls.crt` is not base64 text of PEM certificates.
pub const CORRUPT_CERTIFICATE: &str = "CorruptCertificate";
/// Delivery: `tls.crt` contains more certificates than a chain can have.
pub const TOO_MANY_CERTIFICATES: &str = "TooManyCertificates";

/// The reasons of an issuer's condition `Ready`.
pub const OF_ISSUERS: &[&str] = &[
    AWAITING_KEY,
    KEY_REJECTED,
    READY,
    RENEWING,
    KEY_LOST,
    CA_EXPIRED,
    CA_NOT_YET_VALID,
    CLOCK_UNVERIFIED,
    UNSUPPORTED,
    NO_SEALING,
    CA_REFUSED,
    ADMISSION_POLICY_NOT_ENFORCED,
    ENCLAVE_UNAVAILABLE,
    NO_EVIDENCE,
    SEALED_KEY_NOT_KEPT,
    POLICY_MALFORMED,
    SECRET_CONFLICT,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_the_reasons_of_issuers_is_complete() {
        let source = include_str!("reasons.rs").lines().skip_while(|line| !line.starts_with("/// "));
        let (mut documented, mut of_issuer) = (Vec::new(), false);
        for line in source.take_while(|line| !line.contains("OF_ISSUERS")) {
            let value = line.split_once(" = \"").map(|(_, value)| value.trim_end_matches("\";"));
            if line.starts_with("/// Issuer") {
                of_issuer = true;
            } else if let Some(value) = value
                && std::mem::take(&mut of_issuer)
            {
                documented.push(value);
            }
        }
        assert_eq!(OF_ISSUERS, documented);
    }
}
