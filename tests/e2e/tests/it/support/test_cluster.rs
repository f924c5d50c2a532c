//! A whole cluster for tests: control plane, manifests, controller, enclave and a key owner's tools.

use crate::support::wait::{DEADLINE, unique};
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::serde::Serialize;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::Resource;
use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use tcs_api::SERVICE_NAMESPACE;
use tcs_testkit::fault_proxy::FaultProxy;
use tcs_testkit::http;
use tcs_testkit::node::{NodeStandIn, Settings};
use tcs_testkit::process::{Identity, Lifetime, Signal, run, wait_for};
use tcs_testkit::{Stack, repository};

/// Container of the controller.
pub const CONTROLLER: &str = "tcs-issuer";
/// Container of the enclave.
pub const ENCLAVE: &str = "tcs-enclave";
/// Lease of the controller that leads.
pub const LEASE: &str = "tcs-issuer";
/// Manifest of the service, from the root of the repository.
pub const MANIFEST: &str = "deployment/tcs_issuer.yaml";
/// A controller that is started again tries to lead soon, so that tests are fast.
const RETRY_PERIOD: &str = "--leader-elect-retry-period=300ms";
/// Every way in which one or both of the programs can crash.
pub const CRASHES: [&[&str]; 3] = [&[ENCLAVE], &[CONTROLLER], &[ENCLAVE, CONTROLLER]];

/// A cluster, with a stand-in for the node on which the pod of the service runs.
pub struct TestCluster {
    pub stack: Stack,
    pub node: NodeStandIn,
    /// Folder for files of the tests.
    pub dir: PathBuf,
}

/// The cluster of all tests that do not disturb others. Its processes end with this one.
pub fn shared() -> &'static TestCluster {
    static SHARED: OnceLock<TestCluster> = OnceLock::new();
    SHARED.get_or_init(TestCluster::new)
}

impl TestCluster {
    /// A cluster on which the service is ready.
    pub fn new() -> Self {
        Self::without_service().with_service()
    }

    /// A cluster on which the service is ready, on a platform that cannot seal.
    pub fn without_sealing() -> Self {
        let cluster = Self::without_service();
        fs::write(cluster.stack.layout.platform().join("without-sealing"), "").unwrap();
        cluster.with_service()
    }

    /// A cluster to which nothing of ours was applied yet.
    pub fn without_service() -> Self {
        let (dir, stack) = start_stack();
        Self::with_server(dir, stack, None, &[])
    }

    /// A cluster on which the service is ready, with these further arguments of the controller.
    pub fn with_arguments(arguments: &[&str]) -> Self {
        let (dir, stack) = start_stack();
        Self::with_server(dir, stack, None, arguments).with_service()
    }

    /// A cluster on which the service is ready and reaches the API server through a proxy.
    pub fn through_proxy() -> (FaultProxy, Self) {
        let (dir, stack) = start_stack();
        let proxy = FaultProxy::start(&stack.cluster).unwrap();
        let cluster = Self::with_server(dir, stack, Some(proxy.server()), &[]);
        (proxy, cluster.with_service())
    }

    fn with_server(dir: PathBuf, stack: Stack, server: Option<String>, arguments: &[&str]) -> Self {
        let mut settings = Settings { server, ..stack.node_settings() };
        settings.controller_arguments.push(RETRY_PERIOD.to_owned());
        settings.controller_arguments.extend(arguments.iter().copied().map(str::to_owned));
        let node = NodeStandIn::start(Arc::clone(&stack.cluster), settings);
        Self { stack, node, dir }
    }

    /// Installs the service on what [`TestCluster::without_service`] made.
    pub fn with_service(self) -> Self {
        self.kubectl(&["apply", "-f", "deployment/crds/"]);
        self.start_service();
        self.await_controller();
        self
    }

    // The programs of the service.

    pub fn start_service(&self) {
        self.kubectl(&["apply", "-f", MANIFEST]);
    }

    /// Deletes the Deployment and waits until both programs have ended.
    pub fn stop_service(&self) {
        self.kubectl(&["delete", "deployment", "-n", SERVICE_NAMESPACE, "tcs-issuer"]);
        self.await_service_end();
    }

    pub fn await_service_end(&self) {
        self.wait_until("the service to end", || {
            self.node.pid(CONTROLLER).is_none() && self.node.pid(ENCLAVE).is_none()
        });
    }

    pub fn is_ready(&self) -> bool {
        self.node.address(":8081").is_some_and(|address| http::status(&address, "/readyz") == Some(200))
    }

    /// Waits until the controller is ready and leads. One that only waits for the Lease is ready, too.
    pub fn await_controller(&self) {
        self.wait_until("the controller to be ready and to lead", || self.is_ready() && self.leads());
    }

    fn leads(&self) -> bool {
        self.metrics().is_some_and(|metrics| metrics.contains("tcs_leader 1\n"))
    }

    /// Kills the program of a container as a crash would, and waits for its successor. The successor of a
    /// controller need not wait until the Lease expires: as an administrator may who knows that its holder
    /// has ended, this deletes the Lease.
    pub fn crash(&self, container: &str) {
        let pid = self.signal(container, Signal::KILL);
        if container == CONTROLLER {
            self.kubectl(&["delete", "lease", "-n", SERVICE_NAMESPACE, LEASE, "--ignore-not-found"]);
        }
        self.wait_for("a successor", || self.node.pid(container).filter(|now| *now != pid));
    }

    /// Sends a signal to the program of a container, and returns its process id.
    pub fn signal(&self, container: &str, signal: Signal) -> u32 {
        let pid = self.node.pid(container).expect("the program runs");
        Identity::of(pid).unwrap().signal(signal).unwrap();
        pid
    }

    /// Crashes the controller and waits until its successor is ready.
    pub fn restart_controller(&self) {
        self.crash(CONTROLLER);
        self.await_controller();
    }

    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.stack.layout.node().join(format!("{name}.log"))).unwrap_or_default()
    }

    /// All logs, for the message of a test that fails.
    pub fn logs(&self) -> String {
        ["node", CONTROLLER, ENCLAVE].map(|name| self.log(name)).join("\n")
    }

    /// What the controller answers to a request for its metrics.
    pub fn metrics(&self) -> Option<String> {
        http::get(&self.node.address(":8080")?, "/metrics")
    }

    // kubectl as the administrator.

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).unwrap_or_else(|error| panic!("{error:#}"))
    }

    pub fn try_kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run(self.stack.cluster.kubectl().current_dir(repository()).args(arguments))
    }

    /// Runs kubectl with an object on its standard input.
    pub fn try_kubectl_with(&self, arguments: &[&str], object: &impl Serialize) -> anyhow::Result<String> {
        let input = serde_json::to_string(object)?;
        let mut kubectl = self.stack.cluster.kubectl();
        kubectl.args(arguments).args(["-f", "-"]);
        let mut child =
            kubectl.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
        child.stdin.take().unwrap().write_all(input.as_bytes())?;
        let output = child.wait_with_output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8(output.stdout)?)
    }

    pub fn apply(&self, object: &impl Serialize) {
        self.try_kubectl_with(&["apply"], object).unwrap_or_else(|error| panic!("{error:#}"));
    }

    /// Makes a namespace that no other test uses; its name.
    pub fn new_namespace(&self) -> String {
        let name = unique("ns");
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
        name
    }

    /// An object, if it is there. The namespace of a cluster-scoped kind is empty.
    pub fn get<K>(&self, namespace: &str, name: &str) -> Option<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        self.read(&[&resource::<K>(), "-n", namespace, name])
    }

    /// All objects of a kind in a namespace.
    pub fn list<K>(&self, namespace: &str) -> Vec<K>
    where
        K: Resource<DynamicType = ()> + DeserializeOwned,
    {
        let list: Value = self.read(&[&resource::<K>(), "-n", namespace]).unwrap_or_default();
        let items = list["items"].as_array().cloned().unwrap_or_default();
        items.into_iter().map(|item| serde_json::from_value(item).unwrap()).collect()
    }

    /// A Secret in the namespace of the service, if it is there.
    pub fn service_secret(&self, name: &str) -> Option<Secret> {
        self.get(SERVICE_NAMESPACE, name)
    }

    /// An object as JSON, for tests that are about its JSON; null if it is not there.
    pub fn get_json(&self, arguments: &[&str]) -> Value {
        self.read(arguments).unwrap_or_default()
    }

    fn read<T: DeserializeOwned>(&self, arguments: &[&str]) -> Option<T> {
        let printed = self.try_kubectl(&[&["get", "-o", "json"], arguments].concat()).ok()?;
        Some(serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{error}: {printed}")))
    }

    // Waiting.

    /// Waits until a probe finds something.
    pub fn wait_for<T>(&self, what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
        wait_for(DEADLINE, what, || Ok(probe())).unwrap_or_else(|error| panic!("{error:#}\n{}", self.logs()))
    }

    /// Waits until a condition holds.
    pub fn wait_until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        self.wait_for(what, || holds().then_some(()));
    }

    // Files.

    /// Makes a folder whose name no other test uses.
    pub fn new_folder(&self, stem: &str) -> PathBuf {
        let folder = self.dir.join(unique(stem));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    /// Writes a file whose name no other test uses.
    pub fn new_file(&self, stem: &str, contents: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.join(unique(stem));
        fs::write(&path, contents).unwrap();
        path
    }

    /// A program of the key owner.
    pub fn tool(&self, name: &str) -> Command {
        Command::new(self.stack.layout.bin().join(name))
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        // The processes end when the fields are dropped, after this. The next run removes what they still
        // write.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The name of a kind's resource as kubectl takes it.
fn resource<K: Resource<DynamicType = ()>>() -> String {
    match K::group(&()) {
        group if group.is_empty() => K::plural(&()).into_owned(),
        group => format!("{}.{group}", K::plural(&())),
    }
}

fn start_stack() -> (PathBuf, Stack) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let dir = own_folder();
    let stack = Stack::start(&dir, Lifetime::WithParent, |line| eprintln!("{line}")).unwrap();
    (dir, stack)
}

/// A folder below the target folder. The shared cluster is never dropped, so each run first removes what
/// earlier runs left.
fn own_folder() -> PathBuf {
    static CLEANED: OnceLock<()> = OnceLock::new();
    let base = repository().join("target/e2e");
    CLEANED.get_or_init(|| {
        for entry in fs::read_dir(&base).into_iter().flatten().flatten() {
            let owner = entry.file_name().to_string_lossy().split('-').next().unwrap_or_default().to_owned();
            if !Path::new("/proc").join(owner).exists() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    });
    base.join(unique(&std::process::id().to_string()))
}
