//! Errors of a reconcile.

use crate::access::review::ReviewError;
use crate::enclave_client::EnclaveError;
use crate::runtime::api_text::{is_missing_right, text_of};
use crate::runtime::guarded::Unreadable;
use std::sync::Arc;

/// Why a reconcile ended early. It is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ReconcileError {
    /// The API server refused a call or could not be reached.
    #[error("the API server: {}", text_of(.0))]
    Api(#[from] kube::Error),
    /// A call to the enclave failed.
    #[error("the enclave: {0}")]
    Enclave(#[from] EnclaveError),
    /// The API server has not decided whether a requester may use an issuer.
    #[error("who may use the issuer is not known: {0}")]
    Access(#[from] Arc<ReviewError>),
    /// A CA could not be recorded in the status of its issuer, so nothing of it may be published.
    #[error("the CA could not be recorded in the status: the issuer was changed or deleted meanwhile")]
    CaNotRecorded,
    /// Something was not written, because others changed the issuer or its sealed key meanwhile.
    #[error("the issuer or its sealed key was changed or deleted while the issuer was reconciled")]
    Outdated,
    /// The controller ends, so that it does not wait for the enclave.
    #[error("no enclave answers, and the controller ends")]
    Ending,
    /// An object that the reconcile needs cannot be decoded.
    #[error(transparent)]
    Unreadable(#[from] Box<Unreadable>),
}

impl ReconcileError {
    /// Whether one line of the log tells this for all objects.
    pub fn is_told_once(&self) -> bool {
        match self {
            Self::Api(error) => is_missing_right(error),
            Self::Access(error) => matches!(**error, ReviewError::Forbidden),
            _ => false,
        }
    }
}
