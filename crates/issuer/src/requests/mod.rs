//! Requests for certificates, and what every request API has in common.
//!
//! A request API is a file with an implementation of [`RequestKind`] and one line in the task list of the
//! controller.

pub mod certificaterequest;
pub mod csr;
pub mod go_duration;
pub mod options;
pub mod reconcile;
pub mod status_write;
pub mod table;
pub mod workers;

mod attempt;
mod read_again;
mod write_status;

use crate::access::requester::Requester;
use crate::access::shared_reviews::Deciding;
use crate::runtime::guarded::Guarded;
use crate::runtime::guarded::kept::Kept;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ObjectReference;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;
use status_write::StatusWrite;
use std::fmt::Debug;
use std::time::Duration;
use tcs_api::reasons;
use tcs_api::signer::SignerName;
use tcs_enclave_rpc::{RefusalCode, RequestApi};

/// A request API by which certificates are requested.
pub trait RequestKind:
    Resource<DynamicType = ()> + Kept + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// The request API, as the enclave knows it.
    const API: RequestApi;

    /// Whether a request shows in its status that it waits, and is no longer tried again when it has failed
    /// for too long. Then each certificate also has an Event.
    const SHOWS_PROGRESS: bool = false;

    /// Access to the requests that are watched and written.
    fn api(client: Client) -> Api<Guarded<Self>>;

    /// The issuer of the service that the request names; `None` if it is another signer's.
    fn signer(&self) -> Option<SignerName>;

    /// Who made the request, as the API server recorded it. `None` if nobody needs a right on the issuer:
    /// the request can name only issuers that are for everybody who may create it.
    fn requester(&self) -> Option<Requester<'_>>;

    /// How much memory the request takes, in bytes, rather too much than too little.
    fn memory(&self) -> usize;

    /// What is to be done with the request.
    fn triage(&self) -> Triage;

    /// Reads what the enclave needs, once.
    ///
    /// # Errors
    ///
    /// A failure that only a new request can correct.
    fn parse(&self) -> Result<ParsedRequest, Failure>;

    /// What is written if a certificate was issued.
    ///
    /// # Errors
    ///
    /// If it cannot be encoded.
    fn issued(&self, certificate: Certificate, now: Timestamp) -> serde_json::Result<StatusWrite>;

    /// What is written if the request fails for good, with a stable reason (`docs/conformance.md`, A10 and
    /// B03).
    ///
    /// # Errors
    ///
    /// If it cannot be encoded.
    fn failed(&self, failure: &Failure, now: Timestamp) -> serde_json::Result<StatusWrite>;

    /// What is written about a request that has no result yet; `None` if nothing is, or if its status says
    /// so already.
    ///
    /// # Errors
    ///
    /// If it cannot be encoded.
    fn in_progress(&self, _: Progress<'_>, _: Timestamp) -> serde_json::Result<Option<StatusWrite>> {
        Ok(None)
    }

    /// Stands for what the service itself wrote into the status of a request that has no result yet. A new
    /// version of the request in which this differs is the service's own write, after which there is nothing
    /// to do. `None` if every change counts.
    fn own_status(&self) -> Option<u64> {
        None
    }

    /// Reason and message of the Event about a failure.
    #[must_use]
    fn failure_event(failure: &Failure) -> (&'static str, String) {
        (failure.reason, failure.message.clone())
    }
}

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Triage {
    /// Nothing: it is another signer's, not approved, denied, failed or already signed.
    Ignore,
    /// It fails for good, whatever its issuer is.
    Refuse(Failure),
    /// Sign it with the issuer of this signer name.
    Sign(SignerName),
}

/// Why a request has no result yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// The answer takes its time.
    Started,
    /// It waits for something else, for this reason.
    Waiting(&'a str),
    /// It could not be signed, for this reason, and is tried again.
    Retrying(&'a str),
}

/// A certificate that was issued, as it is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The certificate and the intermediates: PEM, leaf first.
    pub pem: String,
    /// The trust anchor of the CA, PEM, if that is known and published in requests.
    pub ca: Option<String>,
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
    /// Whether the request itself is wrong, so that making the same one again is of no use.
    pub is_invalid: bool,
}

impl Failure {
    /// A failure with the code of a refusal.
    #[must_use]
    pub fn new(code: RefusalCode, message: String) -> Self {
        Self { reason: code.as_str(), message, remedy: None, is_invalid: true }
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
        /// The certificate.
        certificate: Certificate,
        /// Whether it is a CA certificate.
        is_ca: bool,
    },
    /// It fails for good: only a new request can help.
    Permanent(Failure),
    /// It waits for a change of the issuer or of the service. The change enqueues it.
    WaitForIssuer(Wait),
    /// It waits until it is decided whether its requester may use the issuer.
    Undecided(Deciding),
    /// An error that is neither due to the request nor to its issuer. It is tried again.
    Error(Wait),
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
    /// Whether the Event is a warning.
    pub is_warning: bool,
    /// The issuer, if it must be changed: then the Event is published for the issuer, too.
    pub blamed_issuer: Option<Box<ObjectReference>>,
}

impl Wait {
    /// The request waits without anybody having to change the issuer's spec.
    #[must_use]
    pub fn new(reason: &'static str, message: impl Into<String>) -> Self {
        Self { reason, message: message.into(), is_warning: false, blamed_issuer: None }
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

/// Whether a refusal of the enclave says nothing about the request or its issuer, so that the same request
/// may be answered at another time.
#[must_use]
pub fn is_retryable(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::Busy | RefusalCode::Internal | RefusalCode::TimedOut | RefusalCode::MalformedMessage
    )
}
