//! A service that is asked for collateral.

use super::http::Client;
use serde::Deserialize;

/// A PCCS, or Intel's PCS.
pub struct Service {
    /// The address without the path of the API.
    pub base: String,
    /// Where the root CA's CRL is. `None`: at the service itself, as at a PCCS.
    pub root_crl: Option<String>,
    /// Which collateral is asked for.
    pub update: Update,
    /// How often each part is asked for before the last failure counts, at least once.
    pub attempts: u32,
    /// Sends the requests.
    pub client: Client,
}

/// Which collateral is wanted after a TCB recovery (Intel PCS API v4, parameter `update`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Update {
    /// The collateral that platforms are held to.
    #[default]
    Standard,
    /// That of a TCB recovery before it becomes the standard.
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
