//! Errors of calls to the enclave.

use crate::runtime::lease::leadership::NotLeading;
use tcs_enclave_rpc::{ClientError, Refusal};

/// Why an enclave call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum EnclaveError {
    /// No enclave is connected.
    #[error("no enclave answers")]
    Unavailable,
    /// The call would have the enclave change or sign something, and this controller does not lead.
    #[error(transparent)]
    NotLeading(#[from] NotLeading),
    /// The connection failed during the call.
    #[error("the connection to the enclave failed: {0}")]
    Connection(#[from] ClientError),
    /// The enclave refused the request.
    #[error(transparent)]
    Refused(Refusal),
    /// The response does not fit the request.
    #[error("the enclave's response does not fit the request")]
    Unexpected,
}
