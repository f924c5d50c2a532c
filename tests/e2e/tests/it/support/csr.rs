//! `CertificateSigningRequest`s: making and approving them, and waiting for what becomes of them.

use crate::support::issuer::Issuer;
use crate::support::openssl;
use crate::support::test_cluster::TestCluster;
use crate::support::wait::unique;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestSpec,
    CertificateSigningRequestStatus,
};
use k8s_openapi::api::core::v1::Event;
use std::path::PathBuf;
use std::process::Command;
use tcs_testkit::process::run;

/// A request in a cluster.
pub struct Csr<'a> {
    pub cluster: &'a TestCluster,
    pub name: String,
}

/// A request that is not created yet.
pub struct NewCsr(CertificateSigningRequest);

impl NewCsr {
    /// A request for server authentication with a name that no other test uses.
    pub fn new(signer: &str, pem: &[u8]) -> Self {
        let mut request = CertificateSigningRequest {
            spec: CertificateSigningRequestSpec {
                request: ByteString(pem.to_vec()),
                signer_name: signer.to_owned(),
                ..CertificateSigningRequestSpec::default()
            },
            ..CertificateSigningRequest::default()
        };
        request.metadata.name = Some(unique("csr"));
        Self(request).usages(&["digital signature", "server auth"])
    }

    pub fn named(mut self, name: &str) -> Self {
        self.0.metadata.name = Some(name.to_owned());
        self
    }

    pub fn annotated(mut self, name: &str, value: &str) -> Self {
        self.0.metadata.annotations.get_or_insert_default().insert(name.to_owned(), value.to_owned());
        self
    }

    pub fn usages(mut self, usages: &[&str]) -> Self {
        self.0.spec.usages = Some(usages.iter().copied().map(str::to_owned).collect());
        self
    }

    pub fn seconds(mut self, lifetime: i32) -> Self {
        self.0.spec.expiration_seconds = Some(lifetime);
        self
    }

    pub fn create(self, cluster: &TestCluster) -> Csr<'_> {
        cluster.apply(&self.0);
        Csr { cluster, name: self.0.metadata.name.unwrap() }
    }

    /// Creates it by a call of kubectl, to which the object is added.
    pub fn create_by(self, cluster: &TestCluster, mut kubectl: Command) -> Csr<'_> {
        let file = cluster.new_file("csr", serde_json::to_string(&self.0).unwrap());
        run(kubectl.arg("--filename").arg(file)).unwrap();
        Csr { cluster, name: self.0.metadata.name.unwrap() }
    }

    /// The object.
    pub fn object(self) -> CertificateSigningRequest {
        self.0
    }
}

/// Has a certificate issued; a file with the certificate, PEM.
pub fn issue(issuer: &Issuer<'_>) -> PathBuf {
    Csr::approved(issuer).certificate_file()
}

impl<'a> Csr<'a> {
    /// A plain request, already approved.
    pub fn approved(issuer: &Issuer<'a>) -> Self {
        Self::create(issuer.cluster, &issuer.signer()).approve()
    }

    /// A plain request.
    pub fn create(cluster: &'a TestCluster, signer: &str) -> Self {
        NewCsr::new(signer, &openssl::request(cluster, &[])).create(cluster)
    }

    pub fn approve(self) -> Self {
        self.cluster.kubectl(&["certificate", "approve", &self.name]);
        self
    }

    pub fn status(&self) -> CertificateSigningRequestStatus {
        let request = self.cluster.get::<CertificateSigningRequest>("", &self.name);
        request.and_then(|request| request.status).unwrap_or_default()
    }

    pub fn condition(&self, type_: &str) -> Option<CertificateSigningRequestCondition> {
        self.status().conditions?.into_iter().find(|condition| condition.type_ == type_)
    }

    /// Waits for the certificate with its intermediates, PEM.
    pub fn certificate(&self) -> String {
        let what = format!("the certificate of {}", self.name);
        let ByteString(pem) = self.cluster.wait_for(&what, || self.status().certificate);
        String::from_utf8(pem).unwrap()
    }

    /// As [`Csr::certificate`], as a file.
    pub fn certificate_file(&self) -> PathBuf {
        self.cluster.new_file("leaf", self.certificate())
    }

    /// Waits for the condition Failed; its message.
    pub fn failure_message(&self) -> String {
        self.failure();
        self.condition("Failed").unwrap().message.expect("a failure has a message")
    }

    /// Waits for the condition Failed; its reason.
    pub fn failure(&self) -> String {
        let what = format!("{} to fail", self.name);
        let failed = self.cluster.wait_for(&what, || self.condition("Failed"));
        assert_eq!(failed.status, "True");
        failed.reason.expect("a failure has a reason")
    }

    /// Waits for an Event about it with this reason.
    pub fn await_event(&self, reason: &str) {
        self.await_event_with(reason, "");
    }

    /// Waits for an Event about it with this reason, whose message contains a text.
    pub fn await_event_with(&self, reason: &str, text: &str) {
        let what = format!("Event {reason} about {}", self.name);
        let is_it = |event: &Event| {
            event.involved_object.name.as_ref() == Some(&self.name)
                && event.reason.as_deref() == Some(reason)
                && event.message.as_deref().unwrap_or_default().contains(text)
        };
        self.cluster.wait_until(&what, || self.cluster.list("default").iter().any(is_it));
    }

    /// Neither is it signed, nor did it fail.
    pub fn assert_untouched(&self) {
        let status = self.status();
        assert!(status.certificate.is_none(), "{status:?}");
        assert!(self.condition("Failed").is_none(), "{status:?}");
    }
}
