//! Controllers that a test starts by itself, so that there can be several.

use crate::support::issuer::Issuer;
use crate::support::test_cluster::{CONTROLLER, ENCLAVE, LEASE, MANIFEST, TestCluster};
use crate::support::wait::DEADLINE;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;
use tcs_api::SERVICE_NAMESPACE;
use tcs_testkit::http;
use tcs_testkit::process::{Program, Signal, Supervised};
use tcs_testkit::repository;

/// How long the controllers of tests hold the Lease.
pub const LEASE_DURATION: Duration = Duration::from_secs(8);
/// Counts certificates that were published.
const ISSUED: &str = "tcs_requests_total{api=\"CertificateSigningRequest\",outcome=\"Issued\",reason=\"\"} ";
/// The timings of the controllers of tests.
const TIMINGS: [&str; 3] = [
    "--leader-elect-lease-duration=8s",
    "--leader-elect-renew-deadline=6s",
    "--leader-elect-retry-period=300ms",
];

/// A cluster with an enclave, on which no controller runs yet.
pub struct Controllers {
    /// It ends before the cluster does.
    pub enclave: Supervised,
    pub cluster: TestCluster,
    /// The manifest of the service without its Deployment.
    manifest: PathBuf,
}

/// A running controller.
pub struct Controller {
    process: Supervised,
    name: String,
    probes: String,
    metrics: String,
}

impl Controllers {
    pub fn new() -> Self {
        let cluster = TestCluster::without_service();
        cluster.kubectl(&["apply", "-f", "deployment/crds/"]);
        let manifest = std::fs::read_to_string(repository().join(MANIFEST)).unwrap();
        let without_deployment: Vec<_> =
            manifest.split("\n---\n").filter(|object| !object.contains("kind: Deployment")).collect();
        let manifest = cluster.new_file("manifest", without_deployment.join("\n---\n"));
        let layout = &cluster.stack.layout;
        let enclave =
            Program::new(ENCLAVE, cluster.stack.programs.path(ENCLAVE), layout.node().join("e.log"))
                .arg(format!("--listen={}", endpoint(&cluster)))
                .arg("--platform=simulation")
                .arg(format!("--platform-dir={}", layout.platform().display()))
                .arg("--log-requests")
                .spawn()
                .unwrap();
        let made = Self { enclave, cluster, manifest };
        made.apply_manifest();
        made
    }

    /// Applies the manifest of the service, without its Deployment.
    pub fn apply_manifest(&self) {
        self.cluster.kubectl(&["apply", "-f", &self.manifest.display().to_string()]);
    }

    /// A leader and another controller that is ready.
    pub fn pair(&self) -> (Controller, Controller) {
        let first = self.start("first");
        self.cluster.wait_until("the first controller to lead", || first.leads());
        let second = self.start("second");
        assert!(first.is(&self.holder()));
        assert!(!second.leads() && second.is_ready(), "a standby is ready");
        (first, second)
    }

    /// Starts a controller and waits until it is ready.
    pub fn start(&self, name: &str) -> Controller {
        let started = self.launch(name);
        self.cluster.wait_until(&format!("controller {name} to be ready"), || started.is_ready());
        started
    }

    /// Starts a controller.
    pub fn launch(&self, name: &str) -> Controller {
        let cluster = &self.cluster;
        let account = cluster.stack.cluster.service_account_kubeconfig(SERVICE_NAMESPACE, "tcs-issuer");
        let log = cluster.stack.layout.node().join(format!("{name}.log"));
        let process = Program::new(name, cluster.stack.programs.path(CONTROLLER), log)
            .arg(format!("--enclave={}", endpoint(cluster)))
            .args(["--health-bind-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0"])
            .arg("--log-format=json")
            // The client logs each request that it sends to the API server.
            .arg("--log=info,kube_client::client::builder=debug,tcs_issuer::enclave_client=debug,tcs_issuer::requests=debug")
            .args(TIMINGS)
            .env("KUBECONFIG", account.unwrap())
            .env("POD_NAME", name)
            .spawn()
            .unwrap();
        let address = |kind: &str| {
            cluster.wait_for("the addresses of the controller", || {
                let lines = lines(&process.log_text().unwrap());
                lines.iter().find_map(|line| line.get(kind)?.as_str().map(str::to_owned))
            })
        };
        let (probes, metrics) = (address("health"), address("metrics"));
        Controller { process, name: name.to_owned(), probes, metrics }
    }

    /// Where the controllers look for the enclave.
    pub fn enclave_address(&self) -> String {
        endpoint(&self.cluster)
    }

    /// The record in the Lease.
    pub fn lease(&self) -> LeaseSpec {
        let lease = self.cluster.get::<Lease>(SERVICE_NAMESPACE, LEASE);
        lease.and_then(|lease| lease.spec).unwrap_or_default()
    }

    /// Who holds the Lease; empty if nobody does.
    pub fn holder(&self) -> String {
        self.lease().holder_identity.unwrap_or_default()
    }

    /// A self-signed issuer that is ready.
    pub fn ready_issuer(&self, name: &str) -> Issuer<'_> {
        let issuer = Issuer::self_signed(&self.cluster, name, None);
        issuer.await_reason("Ready");
        issuer
    }
}

impl Controller {
    /// Whether its metrics say that it leads.
    pub fn leads(&self) -> bool {
        http::get(&self.metrics, "/metrics").is_some_and(|metrics| metrics.contains("tcs_leader 1\n"))
    }

    /// Certificates that it published for requests of Kubernetes' own API.
    pub fn issued(&self) -> u64 {
        let metrics = http::get(&self.metrics, "/metrics").unwrap_or_default();
        let line = metrics.lines().find_map(|line| line.strip_prefix(ISSUED));
        line.and_then(|count| count.parse().ok()).unwrap_or(0)
    }

    /// Whether it answers that it is ready.
    pub fn is_ready(&self) -> bool {
        http::status(&self.probes, "/readyz") == Some(200)
    }

    /// What it answers to the question whether it is ready.
    pub fn readiness(&self) -> String {
        http::get(&self.probes, "/readyz").unwrap_or_default()
    }

    /// What it answers to the liveness probe of the enclave.
    pub fn enclave_probe(&self) -> Option<u16> {
        http::status(&self.probes, "/enclavez")
    }

    /// Whether it is the holder of this identity.
    pub fn is(&self, holder: &str) -> bool {
        holder.starts_with(&format!("{}_", self.name))
    }

    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal).unwrap();
    }

    /// The writes that it has sent to the API server, but for those of the Lease: method and URL. Dry runs
    /// write nothing.
    pub fn writes(&self) -> Vec<String> {
        let requests = lines(&self.log()).into_iter().filter(|line| line["message"] == "requesting");
        let texts = requests.map(|line| {
            let part = |name: &str| line["span"][name].as_str().unwrap_or_default().to_owned();
            format!("{} {}", part("http.method"), part("http.url"))
        });
        let counts = |text: &String| {
            !text.starts_with("GET ") && !text.contains("dryRun=All") && !text.contains("/leases")
        };
        texts.filter(counts).collect()
    }

    pub fn log(&self) -> String {
        self.process.log_text().unwrap()
    }

    /// Waits until it ends by itself or because of a signal.
    pub fn await_end(&mut self) -> ExitStatus {
        self.process.wait(DEADLINE).unwrap_or_else(|error| panic!("{error:#}\n{}", self.log()))
    }
}

/// The lines of a log in JSON.
fn lines(log: &str) -> Vec<Value> {
    log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn endpoint(cluster: &TestCluster) -> String {
    format!("unix:{}", cluster.stack.layout.node().join("enclave.sock").display())
}
