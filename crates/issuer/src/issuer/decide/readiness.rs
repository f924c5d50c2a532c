//! The Ready condition of an issuer whose CA key the enclave holds.

/// Status, reason and message of the Ready condition.
pub struct Readiness {
    pub status: &'static str,
    pub reason: &'static str,
    pub message: String,
}

impl Readiness {
    /// The issuer signs.
    pub fn signing(reason: &'static str, message: String) -> Self {
        Self { status: "True", reason, message }
    }

    /// The issuer does not sign.
    pub fn not_signing(reason: &'static str, message: String) -> Self {
        Self { status: "False", reason, message }
    }

    /// Whether the issuer signs.
    pub fn signs(&self) -> bool {
        self.status == "True"
    }
}
