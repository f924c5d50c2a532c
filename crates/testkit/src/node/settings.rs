//! What the stand-in for the node needs to know.

use crate::programs::Programs;
use std::path::PathBuf;

/// What the stand-in needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder for logs, volumes and the kubeconfig of the account.
    pub dir: PathBuf,
    /// Our programs, in place of the images.
    pub programs: Programs,
    /// The simulated platform's folder, in place of SGX.
    pub platform: PathBuf,
}
