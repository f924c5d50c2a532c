//! The kubectl plugin on a real API server: each command with real objects, and its errors.

mod doctor;
mod inspect;
mod plugin;
mod renew;
mod request;
mod status;
mod why;
mod why_cert_manager;

use crate::support::issuer::Issuer;
use crate::support::test_cluster::TestCluster;
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the program did.
#[derive(Debug)]
pub struct Run {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Run {
    pub fn of(command: &mut Command) -> Self {
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self {
            status: output.status.code().expect("it ended by itself"),
            out: text(output.stdout),
            err: text(output.stderr),
        }
    }

    /// The JSON document of a success.
    #[track_caller]
    pub fn document(&self) -> Value {
        self.done();
        self.json()
    }

    /// The JSON document, whatever the result.
    #[track_caller]
    pub fn json(&self) -> Value {
        let document: Value =
            serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"));
        assert_eq!(document["version"], 1);
        document
    }

    /// Standard output of a success.
    #[track_caller]
    pub fn done(&self) -> &str {
        assert_eq!(self.status, 0, "{self:?}");
        &self.out
    }

    /// The steps that help, which follow an error.
    pub fn steps(&self) -> Vec<String> {
        self.err.lines().filter_map(|line| line.strip_prefix("Next: ")).map(str::to_owned).collect()
    }

    /// It failed with this exit status and this code on standard error.
    #[track_caller]
    pub fn failed(&self, status: i32, code: &str) -> &str {
        assert_eq!(self.status, status, "{self:?}");
        assert!(self.err.contains(&format!("kubectl-tcs: error[{code}]: ")), "{code}: {self:?}");
        &self.err
    }
}

/// The program with the rights of an administrator.
pub fn program(cluster: &TestCluster) -> Command {
    program_as(cluster, &cluster.stack.cluster.admin_kubeconfig())
}

/// The program with the rights of a kubeconfig.
pub fn program_as(cluster: &TestCluster, kubeconfig: &Path) -> Command {
    let mut command = cluster.tool("kubectl-tcs");
    command.env_remove("KUBECONFIG").arg("--kubeconfig").arg(kubeconfig);
    command
}

/// Runs the program as an administrator.
pub fn tcs(cluster: &TestCluster, arguments: &[&str]) -> Run {
    Run::of(program(cluster).args(arguments))
}

/// A self-signed issuer that signs.
pub fn ready<'a>(cluster: &'a TestCluster, name: &str) -> Issuer<'a> {
    let issuer = Issuer::self_signed(cluster, name, None);
    issuer.await_reason("Ready");
    issuer
}
