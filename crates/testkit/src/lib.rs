//! A real control plane for tests, the demo and `cargo xtask up`.
//!
//! [`ensure_control_plane`] finds or builds etcd, kube-apiserver, kube-controller-manager and kubectl;
//! [`ControlPlane::start`] runs them on loopback with certificates of their own. What it starts stops with
//! the value, and also with the process, however that ends. [`CertManager::start`] runs the real cert-manager
//! beside it.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! let assets = tcs_testkit::ensure_control_plane(|line| eprintln!("{line}"))?;
//! let dir = std::env::temp_dir().join("control-plane");
//! let cluster = tcs_testkit::ControlPlane::start(&dir, &assets)?;
//! tcs_testkit::process::run(cluster.kubectl().args(["get", "namespaces"]))?;
//! # Ok(())
//! # }
//! ```
//!
//! Every call blocks and none needs an async runtime, so all of them may be used inside one (from
//! `spawn_blocking`, or where blocking is allowed).
#![forbid(unsafe_code)]

pub mod assets;
pub mod cert_manager;
pub mod control_plane;
pub mod document;
pub mod fault_proxy;
pub mod generated_docs;
mod go_build;
pub mod http;
pub mod kubeconfig;
pub mod load;
pub mod node;
pub mod pccs;
pub mod pki;
mod ports;
mod private_file;
pub mod process;
pub mod programs;
pub mod stack;

pub use assets::{Assets, ensure_control_plane};
pub use cert_manager::{CertManager, ensure_cert_manager};
pub use control_plane::ControlPlane;
pub use go_build::cache_folder;
pub use pccs::Pccs;
pub use programs::{Programs, cargo, repository};
pub use stack::Stack;
