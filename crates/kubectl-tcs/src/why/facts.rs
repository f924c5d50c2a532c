//! What is known about a request, whatever its kind.

use crate::cluster::Cluster;
use crate::command::{with_name, word};
use crate::error::Error;
use crate::issuers::{self, Found};
use crate::why::events::EventFact;
use std::collections::BTreeMap;
use tcs_api::signer::SignerName;

/// A request, its issuer and what was said about it.
#[derive(Debug)]
pub struct Facts {
    /// The kind of the request.
    pub kind: Kind,
    /// Its namespace; `None` if the kind has none.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Who asked.
    pub requester: Requester,
    /// When it was created, RFC 3339.
    pub created: Option<String>,
    /// The signer name, or the issuer that it refers to.
    pub signer: String,
    /// The usages that it asks for.
    pub usages: Vec<String>,
    /// The lifetime that it asks for, in seconds.
    pub lifetime_seconds: Option<i64>,
    /// Why nobody can approve it as it is, and what to do, if that is known.
    pub obstacle_to_approval: Option<&'static str>,
    /// Whether somebody approved or denied it.
    pub approval: Option<Decision>,
    /// Why it failed, if it did.
    pub failure: Option<Decision>,
    /// What the service says while there is no result. Only kinds that show it have this.
    pub progress: Option<Decision>,
    /// The certificate, PEM.
    pub certificate: Option<String>,
    /// The issuer of the signer name.
    pub issuer: IssuerFact,
    /// What was said about it, the oldest first, or why that could not be read.
    pub events: Result<Vec<EventFact>, Error>,
}

/// A kind of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `CertificateSigningRequest` of Kubernetes.
    Csr,
    /// `CertificateRequest` of cert-manager.
    CertificateRequest,
}

impl Kind {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Csr => "CertificateSigningRequest",
            Self::CertificateRequest => "CertificateRequest",
        }
    }
}

impl Facts {
    /// The request as messages name it.
    #[must_use]
    pub fn described(&self) -> String {
        let place = self.namespace.as_ref().map(|namespace| format!("{namespace}/"));
        format!("{} {}{}", self.kind.name(), place.unwrap_or_default(), self.name)
    }

    /// A command of kubectl about the request: `before`, what names the request, `after`.
    #[must_use]
    pub fn kubectl(&self, before: &str, after: &str) -> String {
        let resource = match (self.kind, &self.namespace) {
            (Kind::CertificateRequest, Some(namespace)) => {
                format!("-n {} certificaterequests.cert-manager.io", word(namespace))
            }
            _ => "csr".to_owned(),
        };
        with_name(&self.name, |name| format!("kubectl {before} {resource} {name}{after}"))
    }
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
    /// The type, for example `Approved`.
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

impl IssuerFact {
    /// Looks for an issuer of this service.
    pub async fn of(cluster: &Cluster, id: SignerName) -> Self {
        match issuers::get(cluster, &id).await {
            Ok(Some(found)) => Self::Found(Box::new(found)),
            Ok(None) => Self::Missing(id),
            Err(why) => Self::Unknown { id, why },
        }
    }
}
