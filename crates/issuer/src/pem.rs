//! Certificates as PEM.

use tcs_enclave_rpc::ByteVec;

/// A chain of DER certificates as PEM blocks (RFC 7468), in the same order.
pub fn certificates(chain: &[ByteVec]) -> String {
    chain.iter().map(|der| tcs_pem::encode("CERTIFICATE", der.as_slice())).collect()
}
