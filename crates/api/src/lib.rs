//! Kubernetes API types of `tcs.intel.com`: custom resources, conditions and reasons, signer names.
//!
//! Everything here is data and pure functions; there is no client. The custom resource definitions in
//! `deployment/crds/` and `docs/quote-attestation-api.md` are generated from these types.
#![forbid(unsafe_code)]

pub mod conditions;
pub mod signer;
pub mod v1alpha1;

/// The API group of all our resources.
pub const GROUP: &str = "tcs.intel.com";

/// The namespace of the service, of its `QuoteAttestation`s and of the key owner's Secrets.
pub const SERVICE_NAMESPACE: &str = "tcs-issuer";

/// The service's ServiceAccount in [`SERVICE_NAMESPACE`]; also its field manager.
pub const SERVICE_ACCOUNT: &str = "tcs-issuer";

/// Names and values of labels that the service puts on what it makes.
pub mod labels {
    /// Says which program an object belongs to.
    pub const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
    /// The value of [`MANAGED_BY`] on everything of ours; the admission policy looks for it.
    pub const MANAGED_BY_US: &str = "tcs-issuer";
    /// UID of the issuer that an object was made for.
    pub const ISSUER_UID: &str = "tcs.intel.com/issuer-uid";
    /// Namespace of the issuer that an object was made for.
    pub const ISSUER_NAMESPACE: &str = "tcs.intel.com/issuer-namespace";
    /// Name of the issuer that an object was made for.
    pub const ISSUER_NAME: &str = "tcs.intel.com/issuer-name";
    /// Present with the value `true` on everything that a simulated platform made.
    pub const SIMULATED: &str = "tcs.intel.com/simulated";
}

/// Annotations by which a user asks the service for something.
pub mod annotations {
    /// Asks for the next CA before the present one is due: each new value, whatever it is, asks once.
    pub const RENEW: &str = "tcs.intel.com/renew";
    /// Allows a self-signed issuer whose key was lost a new CA; the value is the SHA-256 fingerprint of the old
    /// certificate in lower-case hex.
    pub const NEW_CA: &str = "tcs.intel.com/new-ca";
    /// On a `CertificateSigningRequest`: a lifetime, for example `2160h`; of it and `spec.expirationSeconds` the shorter counts. cert-manager's.
    pub const REQUEST_DURATION: &str = "experimental.cert-manager.io/request-duration";
    /// On a `CertificateSigningRequest`: `true` asks for a CA certificate, if `cert sign` is among the usages. cert-manager's.
    pub const REQUEST_IS_CA: &str = "experimental.cert-manager.io/request-is-ca";
}

/// Sealed CA keys: Secrets in [`SERVICE_NAMESPACE`] that only the enclave which made them can open.
pub mod sealed {
    /// Type of such a Secret; the admission policy lets the service delete no other.
    pub const TYPE: &str = "tcs.intel.com/sealed-ca";
    /// The one field of its data.
    pub const FIELD: &str = "sealed-ca";
    /// Annotation with the SHA-256 fingerprint of the CA certificate, lower-case hex.
    pub const FINGERPRINT: &str = "tcs.intel.com/ca-fingerprint";
    /// Annotation with the number of the key among the issuer's: the same certificate can come with its key anew.
    pub const GENERATION: &str = "tcs.intel.com/key-generation";
    /// Annotation with the end of the CA certificate, RFC 3339.
    pub const NOT_AFTER: &str = "tcs.intel.com/ca-not-after";

    /// What the names of such Secrets begin with.
    const PREFIX: &str = "tcs-sealed-";

    /// Name of the Secret of an issuer: `tcs-sealed-<uid>`.
    #[must_use]
    pub fn name(issuer_uid: &str) -> String {
        format!("{PREFIX}{issuer_uid}")
    }

    /// Name of the Secret that keeps what another CA took the place of: `tcs-sealed-<uid>.<fingerprint>`.
    #[must_use]
    pub fn earlier_name(issuer_uid: &str, fingerprint: &str) -> String {
        format!("{PREFIX}{issuer_uid}.{fingerprint}")
    }

    /// The issuer's UID in a name of either form; a UID has no dot.
    #[must_use]
    pub fn issuer_uid(name: &str) -> Option<&str> {
        name.strip_prefix(PREFIX).map(|rest| rest.split_once('.').map_or(rest, |(uid, _)| uid))
    }

    /// Whether a name is one of [`earlier_name`].
    #[must_use]
    pub fn is_earlier(name: &str) -> bool {
        name.strip_prefix(PREFIX).is_some_and(|rest| rest.contains('.'))
    }
}

/// Reasons of conditions and Events. They are stable: users' scripts may compare them.
pub mod reasons {
    /// The issuer waits for the key owner.
    pub const AWAITING_KEY: &str = "AwaitingKey";
    /// What the key owner delivered was refused.
    pub const KEY_REJECTED: &str = "KeyRejected";
    /// An object that belongs to the issuer exists and cannot be read. Of an Event.
    pub const OBJECT_UNREADABLE: &str = "ObjectUnreadable";
    /// What the key owner delivered was accepted.
    pub const KEY_ACCEPTED: &str = "KeyAccepted";
    /// The issuer signs.
    pub const READY: &str = "Ready";
    /// The issuer signs, and asks its key owner for the next CA.
    pub const RENEWING: &str = "Renewing";
    /// Another CA took the place of the one before. Of an Event.
    pub const CA_REPLACED: &str = "CAReplaced";
    /// The next CA could not be made or asked for; the issuer signs. Of an Event.
    pub const RENEWAL_FAILED: &str = "RenewalFailed";
    /// The enclave no longer holds the key of an issuer that was ready.
    pub const KEY_LOST: &str = "KeyLost";
    /// The CA certificate has ended.
    pub const CA_EXPIRED: &str = "CAExpired";
    /// The CA certificate has not begun.
    pub const CA_NOT_YET_VALID: &str = "CANotYetValid";
    /// A CA is to be made, and the service's clock does not agree with the API server's.
    pub const CLOCK_UNVERIFIED: &str = "ClockUnverified";
    /// An issuer kind or option that this version does not serve.
    pub const UNSUPPORTED: &str = "Unsupported";
    /// The platform cannot seal a key, and the issuer does not accept one that ends with the enclave.
    pub const NO_SEALING: &str = "NoSealing";
    /// A sealed CA key could not be restored.
    pub const RESTORE_REFUSED: &str = "RestoreRefused";
    /// The CA that was asked for cannot be made.
    pub const CA_REFUSED: &str = "CARefused";
    /// The admission policies that limit the service are missing, changed or not in force, so nothing is served.
    pub const ADMISSION_POLICY_NOT_ENFORCED: &str = "AdmissionPolicyNotEnforced";
    /// No enclave answers.
    pub const ENCLAVE_UNAVAILABLE: &str = "EnclaveUnavailable";
    /// The platform gives no evidence.
    pub const NO_EVIDENCE: &str = "NoEvidence";
    /// The API server refused the Secret with the sealed CA key.
    pub const SEALED_KEY_NOT_KEPT: &str = "SealedKeyNotKept";
    /// The rules of `spec.policy` cannot be read. Of an Event.
    pub const POLICY_MALFORMED: &str = "PolicyMalformed";
    /// The Secret of `spec.secretName` is not ours to write.
    pub const SECRET_CONFLICT: &str = "SecretConflict";
    /// Of a `QuoteAttestation` condition that the service wrote.
    pub const TCS_RECONCILE: &str = "TCSReconcile";
}
