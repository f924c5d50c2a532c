//! What can go wrong, with stable codes and what to do about it.

use crate::exit::Exit;
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// Why a command did not succeed. Every error has a stable code ([`Error::code`]).
#[derive(Debug, Error)]
pub enum Error {
    /// Options that do not go together, or a value that cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig cannot be used: {0}")]
    Kubeconfig(String),
    /// The API server did not answer.
    #[error("{action}: the API server cannot be reached: {cause}")]
    Unreachable {
        /// What was to be done.
        action: String,
        /// Why it failed.
        cause: String,
    },
    /// The API server did not answer in time.
    #[error("{action}: no answer within --request-timeout")]
    RequestTimeout {
        /// What was to be done.
        action: String,
    },
    /// A right is missing.
    #[error("{action}: {message}")]
    Forbidden {
        /// What was to be done.
        action: String,
        /// What the API server says.
        message: String,
    },
    /// A kind of resource is not installed.
    #[error("{action}: the API server does not know this kind of object")]
    KindMissing {
        /// What was to be done.
        action: String,
    },
    /// An object does not exist.
    #[error("there is no {0}")]
    NotFound(String),
    /// A `CertificateSigningRequest` does not exist.
    #[error("there is no CertificateSigningRequest {0}")]
    RequestNotFound(String),
    /// An object of cert-manager does not exist.
    #[error("there is no {kind} {namespace}/{name}")]
    CertManagerNotFound {
        /// Its kind.
        kind: &'static str,
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// cert-manager is not installed.
    #[error(
        "{action}: cert-manager is not installed in this cluster: the API server does not know its kinds"
    )]
    CertManagerMissing {
        /// What was to be done.
        action: String,
    },
    /// The API server refused a change.
    #[error("{action}: the API server refused it ({reason}): {message}")]
    Rejected {
        /// What was to be done.
        action: String,
        /// The reason of the API server.
        reason: String,
        /// Its message.
        message: String,
    },
    /// The API server cannot answer now.
    #[error("{action}: the API server cannot do it now (HTTP status {status}): {message}")]
    Unavailable {
        /// What was to be done.
        action: String,
        /// The HTTP status of its answer.
        status: u16,
        /// Its message.
        message: String,
    },
    /// An object does not have the fields that it must have.
    #[error("{object} cannot be read: {cause}")]
    ObjectUnreadable {
        /// The object.
        object: String,
        /// What is wrong.
        cause: String,
    },
    /// Two objects have the name.
    #[error("there are both a TCSIssuer and a TCSClusterIssuer named {0}")]
    Ambiguous(String),
    /// A renewal makes no sense.
    #[error("{issuer} cannot be renewed: {why}")]
    RenewalRefused {
        /// The issuer.
        issuer: String,
        /// The stable reason.
        reason: &'static str,
        /// Why.
        why: String,
        /// What to do instead.
        advice: String,
    },
    /// A file exists.
    #[error("{} exists", .0.display())]
    FileExists(PathBuf),
    /// The key of an earlier request exists.
    #[error("{} exists: it is the key of an earlier request, whose certificate may still come", .0.display())]
    KeyPending(PathBuf),
    /// A file cannot be read.
    #[error("{} cannot be read: {cause}", .path.display())]
    FileUnreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A file cannot be written.
    #[error("{} cannot be written: {cause}", .path.display())]
    FileUnwritable {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: String,
    },
    /// A certificate cannot be read.
    #[error("{source_name}: {cause}")]
    CertificateUnreadable {
        /// Where it comes from.
        source_name: String,
        /// What is wrong.
        cause: String,
    },
    /// The key or the request cannot be made.
    #[error("the certificate request cannot be made: {0}")]
    RequestNotMade(String),
    /// A request was denied, or has failed.
    #[error("CertificateSigningRequest {name} was refused with {condition} ({reason}): {message}")]
    RequestRefused {
        /// Its name.
        name: String,
        /// `Denied` or `Failed`.
        condition: &'static str,
        /// The reason of the condition.
        reason: String,
        /// The message of the condition.
        message: String,
        /// Commands or sentences that help.
        next: Vec<String>,
    },
    /// A request was deleted while its certificate was awaited.
    #[error("CertificateSigningRequest {0} was deleted before its certificate was there")]
    RequestDeleted(String),
    /// The certificate was not there in time.
    #[error("CertificateSigningRequest {name} has no certificate after {waited}: {why}")]
    Deadline {
        /// Its name.
        name: String,
        /// The time that passed.
        waited: String,
        /// What it waits for.
        why: String,
        /// Commands or sentences that help.
        next: Vec<String>,
    },
    /// A request is not what was sent.
    #[error("CertificateSigningRequest {name} is not what was sent: {field} was changed")]
    RequestAltered {
        /// Its name.
        name: String,
        /// The first field that differs.
        field: &'static str,
    },
    /// Something failed while a request may still get its certificate.
    #[error("CertificateSigningRequest {name} is unfinished: {error}")]
    Unfinished {
        /// Its name.
        name: String,
        /// What failed. It decides about code and exit status.
        error: Box<Self>,
        /// Commands or sentences that help.
        next: Vec<String>,
    },
    /// The certificate is not what was requested.
    #[error("the certificate of CertificateSigningRequest {name} cannot be used: {why}")]
    CertificateForeign {
        /// The request.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// `doctor` found something wrong.
    #[error("{0} of the checks failed")]
    Faults(usize),
    /// `doctor` could not check everything.
    #[error("{0} of the checks could not be made")]
    Unchecked(usize),
    /// Standard output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

impl Error {
    /// The error, if the kind that is missing is one of cert-manager.
    #[must_use]
    pub fn of_cert_manager(self) -> Self {
        match self {
            Self::KindMissing { action } => Self::CertManagerMissing { action },
            other => other,
        }
    }

    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Usage(_) => "Usage",
            Self::Kubeconfig(_) => "KubeconfigUnusable",
            Self::Unreachable { .. } => "Unreachable",
            Self::RequestTimeout { .. } => "RequestTimeout",
            Self::Forbidden { .. } => "Forbidden",
            Self::KindMissing { .. } => "KindMissing",
            Self::CertManagerMissing { .. } => "CertManagerMissing",
            Self::NotFound(_) | Self::RequestNotFound(_) | Self::CertManagerNotFound { .. } => "NotFound",
            Self::Rejected { .. } => "Rejected",
            Self::Unavailable { .. } => "Unavailable",
            Self::ObjectUnreadable { .. } => "ObjectUnreadable",
            Self::Ambiguous(_) => "Ambiguous",
            Self::RenewalRefused { reason, .. } => reason,
            Self::FileExists(_) => "FileExists",
            Self::KeyPending(_) => "KeyPending",
            Self::FileUnreadable { .. } => "FileUnreadable",
            Self::FileUnwritable { .. } => "FileUnwritable",
            Self::CertificateUnreadable { .. } => "CertificateUnreadable",
            Self::RequestNotMade(_) => "RequestNotMade",
            Self::RequestRefused { .. } => "RequestRefused",
            Self::RequestDeleted(_) => "RequestDeleted",
            Self::RequestAltered { .. } => "RequestAltered",
            Self::Unfinished { error, .. } => error.code(),
            Self::Deadline { .. } => "Deadline",
            Self::CertificateForeign { .. } => "CertificateForeign",
            Self::Faults(_) => "Faults",
            Self::Unchecked(_) => "Unchecked",
            Self::Output(_) => "OutputUnwritable",
        }
    }

    /// The class of the error.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Ambiguous(_) => Exit::Usage,
            Self::Kubeconfig(_)
            | Self::Unreachable { .. }
            | Self::RequestTimeout { .. }
            | Self::Unavailable { .. }
            | Self::Forbidden { .. }
            | Self::KindMissing { .. }
            | Self::CertManagerMissing { .. } => Exit::Cluster,
            Self::NotFound(_)
            | Self::RequestNotFound(_)
            | Self::CertManagerNotFound { .. }
            | Self::RequestDeleted(_) => Exit::NotFound,
            Self::Rejected { .. } | Self::RenewalRefused { .. } | Self::RequestRefused { .. } => {
                Exit::Refused
            }
            Self::Unfinished { error, .. } => error.exit(),
            Self::Deadline { .. } => Exit::Waiting,
            Self::Faults(_) => Exit::Faults,
            Self::Unchecked(_) => Exit::Unchecked,
            Self::ObjectUnreadable { .. }
            | Self::FileExists(_)
            | Self::KeyPending(_)
            | Self::FileUnreadable { .. }
            | Self::FileUnwritable { .. }
            | Self::CertificateUnreadable { .. }
            | Self::RequestNotMade(_)
            | Self::RequestAltered { .. }
            | Self::CertificateForeign { .. }
            | Self::Output(_) => Exit::Other,
        }
    }

    /// Whether the API server refused a change for this reason, which is a stable word of Kubernetes.
    #[must_use]
    pub fn has_reason(&self, wanted: &str) -> bool {
        matches!(self, Self::Rejected { reason, .. } if reason == wanted)
    }

    /// What to do about it, if it takes several steps. Each is shown on a line of its own, because some are
    /// commands.
    #[must_use]
    pub fn next(&self) -> &[String] {
        match self {
            Self::RequestRefused { next, .. }
            | Self::Deadline { next, .. }
            | Self::Unfinished { next, .. } => next,
            _ => &[],
        }
    }

    /// What to do about it, in one sentence; empty if it takes several steps.
    #[must_use]
    pub fn advice(&self) -> String {
        match self {
            Self::Usage(_) => "see kubectl tcs --help",
            Self::Kubeconfig(_) => "check --kubeconfig, --context and the environment variable KUBECONFIG",
            Self::Unreachable { .. } => "check the server of the context: kubectl cluster-info",
            Self::Unavailable { .. } => "try again",
            Self::RequestTimeout { .. } => "try again, or give a longer --request-timeout",
            Self::Forbidden { .. } => {
                "ask an administrator for this right; the ClusterRoles tcs-issuer-view, tcs-issuer-edit and \
                 tcs-issuer-approver contain the rights of users of the service"
            }
            Self::KindMissing { .. } => {
                "if it is a kind of tcs.intel.com, install its definition in the repository of the service: kubectl apply -f \
                 deployment/crds/"
            }
            Self::RequestNotFound(_) => {
                "check its name: kubectl get csr; Kubernetes deletes requests some time after they have ended or expired"
            }
            Self::CertManagerNotFound { .. } => {
                "check name and namespace: kubectl get certificates.cert-manager.io,certificaterequests.cert-manager.io \
                 --all-namespaces"
            }
            Self::CertManagerMissing { .. } => {
                "install cert-manager (https://cert-manager.io/docs/installation/), or check --context"
            }
            Self::NotFound(_) => "check name and namespace: kubectl tcs status --all-namespaces",
            Self::Rejected { .. } => "correct what the message names",
            Self::ObjectUnreadable { .. } => "correct the object; kubectl get -o yaml shows it",
            Self::Ambiguous(_) => "write tcsissuer/NAME or tcsclusterissuer/NAME",
            Self::RenewalRefused { advice, .. } => advice,
            Self::RequestRefused { .. } | Self::Deadline { .. } | Self::Unfinished { .. } => "",
            Self::KeyPending(_) => {
                "see what became of that request (kubectl get csr, kubectl tcs why csr NAME), or choose another --name; \
                 --force does not replace this key"
            }
            Self::FileExists(_) => "choose another file, or replace it with --force",
            Self::FileUnreadable { .. } => "check the path and the permissions of the file",
            Self::FileUnwritable { .. } => "check the directory and its permissions",
            Self::CertificateUnreadable { .. } => {
                "give PEM blocks CERTIFICATE, the certificate first, for example the output of kubectl get csr NAME -o \
                 jsonpath='{.status.certificate}' | base64 -d"
            }
            Self::RequestNotMade(_) => "correct the names that the message mentions",
            Self::RequestDeleted(_) => "request the certificate again",
            Self::RequestAltered { .. } => {
                "delete it, find out which admission webhook changes requests (kubectl get \
                 mutatingwebhookconfigurations,mutatingadmissionpolicies), and request what it accepts"
            }
            Self::CertificateForeign { .. } => {
                "do not use it; find out who wrote it: kubectl get csr NAME --show-managed-fields -o yaml"
            }
            Self::Faults(_) => "follow the advice of each failed check",
            Self::Unchecked(_) => "repeat it as a user who may read these objects",
            Self::Output(_) => "check where standard output goes",
        }
        .to_owned()
    }
}
