//! Requests for certificates, and what every request API has in common.
//!
//! A request API is a file with an implementation of [`RequestKind`] and one line in the task list of the
//! controller.

pub mod csr;
pub mod go_duration;
mod read_again;
pub mod reconcile;
pub mod table;
pub mod workers;
mod write_status;

use crate::access::requester::Requester;
use crate::access::shared_reviews::Deciding;
use crate::runtime::guarded::Guarded;
use crate::runtime::guarded::kept::Kept;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt::Debug;
use std::time::Duration;
use tcs_api::reasons;
use tcs_api::signer::SignerName;
use tcs_enclave_rpc::{RefusalCode, RequestApi};

/// A request API by which certificates are requested.
pub trait RequestKind:
    Resource<DynamicType = ()> + Kept + Clone + Debug + DeserializeOwned + Serialize + Send + Sync + 'static
{
    /// The request API, as the enclave knows it.
    const API: RequestApi;

    /// Access to the requests that are watched and written.
    fn api(client: Client) -> Api<Guarded<Self>>;

    /// The issuer of the service that the request names; `None` if it is another signer's.
    fn signer(&self) -> Option<SignerName>;

    /// Who made the request, as the API server recorded it.
    fn requester(&self) -> Requester<'_>;

    /// How much memory the request takes, in bytes, rather too much than too little.
    fn memory(&self) -> usize;

    /// Whether the request is to be signed now.
    fn triage(&self) -> Triage;

    /// Reads what the enclave needs, once.
    ///
    /// # Errors
    ///
    /// A failure that only a new request can correct.
    fn parse(&self) -> Result<ParsedRequest, Failure>;

    /// The object with its certificate and the intermediates: PEM, leaf first. Everything else stays as it
    /// was read, in particular the resourceVersion: a PUT of the object can only change the very object that
    /// was checked.
    #[must_use]
    fn with_certificate(&self, pem: String) -> Self;

    /// The object marked as failed, with a stable reason (`docs/conformance.md`, B03).
    #[must_use]
    fn with_failure(&self, reason: &str, message: &str, now: Timestamp) -> Self;
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Triage {
    /// Nothing: it is another signer's, not approved, denied, failed or already signed.
    Ignore,
    /// Sign it with the issuer of this signer name.
    Sign(SignerName),
}

/// A request as the enclave needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedRequest {
    /// The PKCS#10 request, DER (RFC 2986).
    pub csr: Vec<u8>,
    /// Usages by their Kubernetes names.
    pub usages: Vec<String>,
    /// Requested lifetime in seconds; `None` if the request does not say.
    pub lifetime: Option<u64>,
    /// Whether a CA certificate is requested.
    pub is_ca: bool,
}

/// Why a request fails for good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Stable code.
    pub reason: &'static str,
    /// What is wrong, for people.
    pub message: String,
    /// What to do about it. It is in the condition only: the text of an Event may be shortened, and half a
    /// command does something else.
    pub remedy: Option<String>,
}

impl Failure {
    /// A failure with the code of a refusal.
    #[must_use]
    pub fn new(code: RefusalCode, message: String) -> Self {
        Self { reason: code.as_str(), message, remedy: None }
    }

    /// The message of the condition.
    #[must_use]
    pub fn in_full(&self) -> String {
        let Self { message, remedy, .. } = self;
        remedy.as_ref().map_or_else(|| message.clone(), |remedy| format!("{message}. {remedy}"))
    }
}

/// The result of an attempt to issue a certificate.
pub enum Outcome {
    /// It was signed.
    Issued {
        /// The certificate and the intermediates: PEM, leaf first.
        pem: String,
        /// Whether it is a CA certificate.
        is_ca: bool,
    },
    /// It fails for good: only a new request can help.
    Permanent(Failure),
    /// It waits for a change of the issuer or of the service. The change enqueues it.
    WaitForIssuer(Wait),
    /// It waits until it is decided whether its requester may use the issuer.
    Undecided(Deciding),
    /// It is tried again.
    Retry {
        /// After this time.
        after: Duration,
        /// Why it waits, if that is announced.
        wait: Option<Wait>,
    },
}

/// Why a request waits.
#[derive(Clone, Debug)]
pub struct Wait {
    /// Reason of the Event.
    pub reason: &'static str,
    /// Message of the Event.
    pub message: String,
    /// The issuer, if it must be changed: then the Event is a warning, and is published for the issuer, too.
    pub blamed_issuer: Option<Box<ObjectReference>>,
}

impl Wait {
    /// The request waits without anybody having to change the issuer's spec.
    #[must_use]
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), blamed_issuer: None }
    }

    /// The request waits until the issuer is ready.
    #[must_use]
    pub fn for_ready_issuer(message: impl Into<String>) -> Self {
        Self::new(reasons::WAITING_FOR_ISSUER_READY, message)
    }
}

/// Whether a refusal of the enclave is due to the request itself, so that only a new request can help.
#[must_use]
pub fn is_permanent(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::RequestMalformed
            | RefusalCode::RequestSignatureInvalid
            | RefusalCode::RequestKeyUnsupported
            | RefusalCode::RequestForCa
            | RefusalCode::UsageUnknown
            | RefusalCode::UsageForbidden
            | RefusalCode::ExtensionMismatch
            | RefusalCode::IdentityForbidden
            | RefusalCode::LifetimeInvalid
            | RefusalCode::PolicyRefused
    )
}
