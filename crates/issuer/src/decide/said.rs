//! What is said of a CA that the enclave holds.

/// What Ready says of the CA that is held.
pub struct Said {
    pub status: &'static str,
    pub reason: &'static str,
    pub message: String,
}

impl Said {
    /// It does not sign.
    pub fn not_signing(reason: &'static str, message: String) -> Self {
        Self { status: "False", reason, message }
    }
}
