//! A proxy in front of the API server that makes the faults of networks and of busy API servers.
//!
//! A program that is to meet them gets a kubeconfig that names the proxy. Without a [`Rule`] the proxy passes
//! everything on as it is.
//!
//! ```no_run
//! # fn test(cluster: &tcs_testkit::ControlPlane) -> anyhow::Result<()> {
//! use tcs_testkit::fault_proxy::{Fault, FaultProxy, Rule};
//!
//! let proxy = FaultProxy::start(cluster)?;
//! let kubeconfig = proxy.kubeconfig(&cluster.admin_kubeconfig())?;
//! let busy = proxy.inject(Rule::new(Fault::Busy { seconds: 1 }).method("PUT").path("/status").times(50));
//! tcs_testkit::process::run(cluster.kubectl_as(&kubeconfig).args(["get", "namespaces"]))?;
//! assert_eq!(busy.hits(), 0);
//! # Ok(())
//! # }
//! ```
//!
//! It listens on loopback, at a port that the kernel chooses, and ends with its value. Clients reach it
//! without TLS: what is tested is what they do with answers and connections.

mod connections;
mod forward;
mod rules;
mod serve;
mod shared;
mod status;
mod watches;

use crate::control_plane::ControlPlane;
use crate::kubeconfig;
use anyhow::{Context as _, Result};
use connections::Connections;
use rules::Rules;
pub use rules::{Fault, Injection, Rule};
use shared::Shared;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use watches::Watches;

/// A running proxy. It ends when this value is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<Runtime>,
}

impl FaultProxy {
    /// Starts a proxy in front of the API server of a control plane.
    ///
    /// # Errors
    ///
    /// If it cannot listen on loopback.
    pub fn start(cluster: &ControlPlane) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (listener, shared) = runtime.block_on(async {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.context("listen on loopback")?;
            let shared = Shared {
                upstream: forward::client(cluster).await?,
                rules: Arc::default(),
                connections: Connections::default(),
                watches: Watches::default(),
            };
            anyhow::Ok((listener, Arc::new(shared)))
        })?;
        let address = listener.local_addr()?;
        runtime.spawn(serve::accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, runtime: Some(runtime) })
    }

    /// Its URL.
    #[must_use]
    pub fn server(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A copy of a kubeconfig, beside it, that names the proxy.
    ///
    /// # Errors
    ///
    /// If the kubeconfig is not one that the control plane wrote. Of these, only those with a token work: a
    /// client certificate is not passed on.
    pub fn kubeconfig(&self, original: &Path) -> Result<PathBuf> {
        kubeconfig::with_server(original, &self.server())
    }

    /// Makes a fault from now on, until the returned value is dropped or the fault was made as often as the
    /// rule says. If several rules apply to a request, the oldest counts.
    #[must_use = "the fault ends when this value is dropped"]
    pub fn inject(&self, rule: Rule) -> Injection {
        Rules::add(&self.shared.rules, rule)
    }

    /// Resets all connections, in the middle of whatever they do. Returns how many there were. New ones are
    /// accepted.
    pub fn cut_connections(&self) -> usize {
        self.shared.connections.cut()
    }

    /// Ends the watches whose path contains this text, as the API server ends one of a state that it has
    /// forgotten: by an event of the type ERROR with the code 410. Returns how many there were.
    pub fn expire_watches(&self, path: &str) -> usize {
        self.shared.watches.expire(path)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
