use crate::Error;

/// Signs with a CA key.
pub trait Signer {
    /// Signs with the algorithm that the key determines: RSASSA-PKCS1-v1_5 with SHA-256, ECDSA with the hash
    /// that fits the curve (a DER `SEQUENCE { r, s }`), or Ed25519.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error>;
}
