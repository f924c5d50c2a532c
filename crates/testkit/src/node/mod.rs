//! A stand-in for the node: it runs the commands of the Deployment `tcs-issuer/tcs-issuer` as local
//! processes.
//!
//! It replaces what a kubelet would do with images, mounts and in-cluster credentials, and nothing else. Each
//! replacement is printed to the log.

mod container;
mod settings;

use crate::ControlPlane;
use crate::kubeconfig;
use crate::process::{Signal, Supervised};
use anyhow::{Context, Result};
pub use container::Replacements;
use futures::TryStreamExt as _;
use k8s_openapi::api::apps::v1::Deployment;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Client, Config};
pub use settings::Settings;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const NAMESPACE: &str = "tcs-issuer";
const DEPLOYMENT: &str = "tcs-issuer";
/// Pause between two looks at the children.
const TICK: Duration = Duration::from_millis(100);
/// How long a child may take to end after SIGTERM: `terminationGracePeriodSeconds` of the pod.
const GRACE: Duration = Duration::from_secs(20);
/// A child that ran for this long starts with the shortest back-off again.
const STEADY: Duration = Duration::from_secs(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// A running stand-in. Dropping it ends its children.
pub struct NodeStandIn {
    stop: Arc<AtomicBool>,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
    log: PathBuf,
}

#[derive(Default)]
struct Shared {
    pids: BTreeMap<String, u32>,
    replacements: Replacements,
}

impl NodeStandIn {
    /// Starts the stand-in, which waits for the Deployment to be applied.
    pub fn start(cluster: Arc<ControlPlane>, settings: Settings) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let shared = Arc::new(Mutex::new(Shared::default()));
        let log = settings.dir.join("node.log");
        let node = Node {
            cluster,
            settings,
            stop: Arc::clone(&stop),
            shared: Arc::clone(&shared),
            log: log.clone(),
            running: Vec::new(),
        };
        let thread = std::thread::spawn(move || node.run());
        Self { stop, shared, thread: Some(thread), log }
    }

    /// The process id of the program of a container, if it runs.
    #[must_use]
    pub fn pid(&self, container: &str) -> Option<u32> {
        self.shared.lock().ok()?.pids.get(container).copied()
    }

    /// The real listen address of a container, for the address in its manifest (`:8081`).
    #[must_use]
    pub fn address(&self, in_manifest: &str) -> Option<String> {
        self.shared.lock().ok()?.replacements.addresses.get(in_manifest).cloned()
    }

    /// The log of what was replaced and started.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until this process receives SIGTERM or the stand-in fails, and then ends the children.
    pub fn serve_until_told(self) -> Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut told = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
            while self.thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
                if tokio::time::timeout(TICK, told.recv()).await.is_ok() {
                    return Ok(());
                }
            }
            anyhow::bail!("the stand-in for the node failed; see {}", self.log.display())
        })
    }
}

impl Drop for NodeStandIn {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Node {
    cluster: Arc<ControlPlane>,
    settings: Settings,
    stop: Arc<AtomicBool>,
    shared: Arc<Mutex<Shared>>,
    log: PathBuf,
    running: Vec<Running>,
}

struct Running {
    container: container::Container,
    child: Option<Supervised>,
    started: Instant,
    pause: Duration,
    not_before: Instant,
}

impl Node {
    fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = runtime.context("start a runtime").and_then(|runtime| runtime.block_on(self.serve()));
        if let Err(error) = outcome {
            self.say(&format!("the stand-in for the node failed: {error:#}"));
        }
        self.end_all();
    }

    async fn serve(&mut self) -> Result<()> {
        let kubeconfig = Kubeconfig::read_from(self.cluster.admin_kubeconfig())?;
        let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
        let api: Api<Deployment> = Api::namespaced(Client::try_from(config)?, NAMESPACE);
        let only = watcher::Config::default().fields(&format!("metadata.name={DEPLOYMENT}"));
        let mut events = std::pin::pin!(watcher(api, only).default_backoff());
        let mut template = None;
        let mut listed: Option<Deployment> = None;
        self.say("waiting for Deployment tcs-issuer/tcs-issuer");
        while !self.stop.load(Ordering::Acquire) {
            match tokio::time::timeout(TICK, events.try_next()).await {
                Err(_) => {}
                Ok(Err(error)) => self.say(&format!("watch: {error}")),
                Ok(Ok(None)) => anyhow::bail!("the watch ended"),
                Ok(Ok(Some(event))) => {
                    let wanted = match event {
                        watcher::Event::Init => {
                            listed = None;
                            continue;
                        }
                        watcher::Event::InitApply(deployment) => {
                            listed = Some(deployment);
                            continue;
                        }
                        watcher::Event::InitDone => listed.take(),
                        watcher::Event::Apply(deployment) => Some(deployment),
                        watcher::Event::Delete(_) => None,
                    };
                    let runs = |deployment: &Deployment| {
                        deployment.metadata.deletion_timestamp.is_none()
                            && deployment.spec.replicas != Some(0)
                    };
                    let wanted = wanted.filter(runs);
                    let new = wanted.map(|deployment| deployment.spec.template);
                    if new != template {
                        self.end_all();
                        if let Some(new) = &new {
                            self.prepare(new)?;
                        }
                        template = new;
                    }
                }
            }
            self.tend();
        }
        Ok(())
    }

    /// Translates the pod's containers into local programs.
    fn prepare(&mut self, template: &k8s_openapi::api::core::v1::PodTemplateSpec) -> Result<()> {
        let spec = template.spec.clone().unwrap_or_default();
        let account = spec.service_account_name.clone().unwrap_or_else(|| "default".into());
        let mut kubeconfig = self.cluster.service_account_kubeconfig(NAMESPACE, &account)?;
        if let Some(server) = &self.settings.server {
            kubeconfig = kubeconfig::with_server(&kubeconfig, server)?;
            self.say(&format!("API server {} -> {server}", self.cluster.server()));
        }
        let mut replacements = Replacements::default();
        let containers = container::translate(&spec, &self.settings, &kubeconfig, &mut replacements)?;
        for line in &replacements.said {
            self.say(line);
        }
        if let Ok(mut shared) = self.shared.lock() {
            shared.replacements = replacements;
        }
        let now = Instant::now();
        self.running = containers
            .into_iter()
            .map(|container| Running { container, child: None, started: now, pause: TICK, not_before: now })
            .collect();
        Ok(())
    }

    /// Starts programs that should run and do not, as a kubelet would: with a growing pause.
    fn tend(&mut self) {
        let now = Instant::now();
        let mut said = Vec::new();
        for running in &mut self.running {
            if let Some(child) = &mut running.child {
                match child.exited() {
                    Ok(None) => continue,
                    Ok(Some(status)) => said.push(format!("{} exited ({status})", running.container.name)),
                    Err(error) => said.push(format!("{}: {error:#}", running.container.name)),
                }
                running.child = None;
                if now.duration_since(running.started) > STEADY {
                    running.pause = TICK;
                }
                running.not_before = now + running.pause;
                running.pause = (running.pause * 2).min(LONGEST_PAUSE);
            }
            if now < running.not_before {
                continue;
            }
            running.started = now;
            match running.container.program(&self.settings.dir).spawn() {
                Ok(child) => {
                    said.push(format!("started {} as process {}", running.container.name, child.pid()));
                    running.child = Some(child);
                }
                Err(error) => {
                    said.push(format!("{}: {error:#}", running.container.name));
                    running.not_before = now + running.pause;
                }
            }
        }
        for line in said {
            self.say(&line);
        }
        if let Ok(mut shared) = self.shared.lock() {
            let pids = self.running.iter().filter_map(|running| {
                running.child.as_ref().map(|child| (running.container.name.clone(), child.pid()))
            });
            shared.pids = pids.collect();
        }
    }

    fn end_all(&mut self) {
        for running in &mut self.running {
            if let Some(child) = &mut running.child {
                let _ = child.signal(Signal::TERM);
            }
        }
        for running in std::mem::take(&mut self.running) {
            if let Some(mut child) = running.child {
                let _ = child.end(GRACE);
                self.say(&format!("ended {}", running.container.name));
            }
        }
        if let Ok(mut shared) = self.shared.lock() {
            shared.pids.clear();
        }
    }

    fn say(&self, line: &str) {
        use std::io::Write as _;
        let file = std::fs::OpenOptions::new().create(true).append(true).open(&self.log);
        if let Ok(mut file) = file {
            let _ = writeln!(file, "{line}");
        }
    }
}
