//! Where collateral comes from.

use serde::Deserialize;
use std::path::PathBuf;

/// `[collateral]` of the policy file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// x
    pub file: PathBuf,
}

impl Settings {
    /// x
    pub fn from_file(file: PathBuf) -> Self {
        Self { file }
    }
}
