//! A service that publishes collateral.

use super::http::Client;
use serde::Deserialize;

/// A PCCS, or Intel's PCS.
pub struct Service {
    /// The address without the path of the API.
    pub base: String,
    /// Where the root CA's CRL is; `None` if the service itself has it, as a PCCS does.
    pub root_crl: Option<String>,
    /// Which collateral is requested.
    pub update: Update,
    /// How often each part is requested before the last failure counts, at least once.
    pub attempts: u32,
    /// Sends the requests.
    pub client: Client,
    /// What the settings were read with, in whole sentences.
    pub warnings: Vec<String>,
}

/// Which collateral is requested after a TCB recovery (Intel PCS API v4, parameter `update`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Update {
    /// The collateral that is mandatory for platforms.
    #[default]
    Standard,
    /// The collateral of a TCB recovery before it becomes mandatory.
    Early,
}

impl Update {
    /// As in the addresses of PCS and PCCS.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Early => "early",
        }
    }
}
