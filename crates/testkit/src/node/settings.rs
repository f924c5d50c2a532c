//! Settings of the stand-in for the node.

use crate::programs::Programs;
use std::path::PathBuf;

/// The settings of the stand-in.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Directory for logs, volumes and the kubeconfig of the account.
    pub dir: PathBuf,
    /// Our programs, which replace the images.
    pub programs: Programs,
    /// The directory of the simulated platform, which replaces SGX.
    pub platform: PathBuf,
    /// Further arguments of the controller, for tests.
    pub controller_arguments: Vec<String>,
    /// Another URL of the API server for the containers, that of a proxy.
    pub server: Option<String>,
}
