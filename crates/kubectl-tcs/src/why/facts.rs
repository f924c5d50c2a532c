//! What is known about a request, whatever its kind.

use crate::error::Error;
use crate::issuers::Found;
use crate::why::events::EventFact;
use std::collections::BTreeMap;
use tcs_api::signer::SignerName;

/// A request, its issuer and what was said about it.
#[derive(Debug)]
pub struct Facts {
    /// The kind of the request.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// Who asked.
    pub requester: Requester,
    /// When it was created, RFC 3339.
    pub created: Option<String>,
    /// The signer that it names.
    pub signer_name: String,
    /// The usages that it asks for.
    pub usages: Vec<String>,
    /// The lifetime that it asks for, in seconds.
    pub lifetime_seconds: Option<i64>,
    /// Whether somebody approved or denied it.
    pub approval: Option<Decision>,
    /// Why it failed, if it did.
    pub failure: Option<Decision>,
    /// The certificate, PEM.
    pub certificate: Option<String>,
    /// The issuer of the signer name.
    pub issuer: IssuerFact,
    /// What was said about it, the oldest first, or why that could not be read.
    pub events: Result<Vec<EventFact>, Error>,
}

/// Who asked, as the API server recorded it.
#[derive(Clone, Debug, Default)]
pub struct Requester {
    /// User name.
    pub username: String,
    /// UID.
    pub uid: String,
    /// Groups.
    pub groups: Vec<String>,
    /// Further attributes.
    pub extra: BTreeMap<String, Vec<String>>,
}

/// A condition that somebody set.
#[derive(Clone, Debug)]
pub struct Decision {
    /// `Approved`, `Denied` or `Failed`.
    pub type_: String,
    /// The reason.
    pub reason: String,
    /// The message.
    pub message: String,
    /// When it was set, RFC 3339.
    pub time: Option<String>,
    /// The program that set it, as it named itself. The API server does not record which user it was.
    pub manager: Option<String>,
}

/// The issuer that a signer name refers to.
#[derive(Debug)]
pub enum IssuerFact {
    /// The name is that of another signer.
    OtherSigner,
    /// The name looks like one of this service and is none.
    Misspelled,
    /// No issuer has this name.
    Missing(SignerName),
    /// The issuer.
    Found(Box<Found>),
    /// It could not be read.
    Unknown {
        /// Its kind, namespace and name.
        id: SignerName,
        /// Why.
        why: Error,
    },
}
