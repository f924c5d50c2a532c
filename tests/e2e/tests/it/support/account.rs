//! Requesters that are no administrators.

use crate::support::csr::{Csr, NewCsr};
use crate::support::issuer::Issuer;
use crate::support::openssl::request;
use crate::support::test_cluster::TestCluster;
use crate::support::wait::unique;
use std::path::PathBuf;
use std::process::Stdio;

/// A ServiceAccount that may create requests and nothing else.
pub struct Account<'a> {
    pub cluster: &'a TestCluster,
    pub namespace: String,
    pub kubeconfig: PathBuf,
}

impl<'a> Account<'a> {
    /// An account `web` in a namespace of its own.
    pub fn new(cluster: &'a TestCluster) -> Self {
        let namespace = cluster.new_namespace();
        cluster.kubectl(&["create", "serviceaccount", "web", "-n", &namespace]);
        may_create_requests(cluster, &format!("--serviceaccount={namespace}:web"));
        let kubeconfig = cluster.stack.cluster.service_account_kubeconfig(&namespace, "web").unwrap();
        Self { cluster, namespace, kubeconfig }
    }

    /// A plain request of this account, approved by the administrator.
    pub fn approved(&self, signer: &str) -> Csr<'a> {
        self.approved_as_given(NewCsr::new(signer, &request(self.cluster, &[])))
    }

    /// A request of this account, approved by the administrator.
    pub fn approved_as_given(&self, new: NewCsr) -> Csr<'a> {
        let mut kubectl = self.cluster.stack.cluster.kubectl_as(&self.kubeconfig);
        kubectl.args(["create"]);
        new.create_by(self.cluster, kubectl).approve()
    }
}

/// A plain request of any user, approved by the administrator. The user is impersonated.
pub fn approved_as<'a>(cluster: &'a TestCluster, user: &str, signer: &str) -> Csr<'a> {
    let group = unique("requesters");
    may_create_requests(cluster, &format!("--group={group}"));
    let mut kubectl = cluster.stack.cluster.kubectl();
    kubectl.args(["create", "--as", user, "--as-group", &group]);
    NewCsr::new(signer, &request(cluster, &[])).create_by(cluster, kubectl).approve()
}

/// Gives a group the rights to create requests and to use an issuer; its name.
pub fn group_for(issuer: &Issuer<'_>) -> String {
    let (cluster, group) = (issuer.cluster, unique("requesters"));
    let subject = format!("--group={group}");
    may_create_requests(cluster, &subject);
    let (namespace, resource) = (["-n", &issuer.namespace], "--resource=tcsissuers.tcs.intel.com");
    let role = ["create", "role", &group, "--verb=reference", resource];
    cluster.kubectl(&[&role[..], &namespace].concat());
    let binding = ["create", "rolebinding", &group, &format!("--role={group}"), &subject];
    cluster.kubectl(&[&binding[..], &namespace].concat());
    group
}

fn may_create_requests(cluster: &TestCluster, subject: &str) {
    let name = unique("requester");
    let resource = "--resource=certificatesigningrequests.certificates.k8s.io";
    cluster.kubectl(&["create", "clusterrole", &name, "--verb=create", resource]);
    let role = format!("--clusterrole={name}");
    cluster.kubectl(&["create", "clusterrolebinding", &name, &role, subject]);
}

/// Runs a text as a POSIX shell reads it, with kubectl as the administrator.
pub fn run_as_printed(cluster: &TestCluster, command: &str) {
    let bin = cluster.stack.layout.bin();
    let mut sh = std::process::Command::new("sh");
    sh.args(["-euc", command]).env("KUBECONFIG", cluster.stack.cluster.admin_kubeconfig());
    let path = std::env::var("PATH").unwrap_or_default();
    sh.env("PATH", format!("{}:{path}", bin.display())).stdin(Stdio::null());
    tcs_testkit::process::run(&mut sh).unwrap();
}
