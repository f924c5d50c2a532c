//! Answers requests. `dispatch` passes each request on; each of the other modules does one kind of work on
//! what `state` holds.

mod ca;
mod checks;
mod dispatch;
mod issuing;
mod issuing_ca;
mod provisioning;
mod refusals;
mod sealed;
mod state;

use crate::Error;
use crate::keys::{self, KeyProvider};
use crate::platform::TeePlatform;
use crate::sealing::Sealer;
use issuing_ca::IssuingCa;
use state::State;

/// The enclave's engine. It keeps everything in memory: nothing survives the process.
pub struct Engine {
    platform: Box<dyn TeePlatform>,
    keys: Box<dyn KeyProvider>,
    /// Random, 16 bytes.
    boot_id: [u8; 16],
    /// `None` if the platform cannot seal.
    sealer: Option<Sealer>,
    state: State<IssuingCa>,
}

impl Engine {
    /// An engine on this platform without any CA. `keys` generates and holds its keys.
    ///
    /// Fails if the system has no random numbers, or if the platform can seal but does not give its sealing
    /// key.
    pub fn new(platform: Box<dyn TeePlatform>, keys: Box<dyn KeyProvider>) -> Result<Self, Error> {
        let sealer = platform.sealing_key()?.map(Sealer::new).transpose()?;
        Ok(Self { platform, keys, boot_id: keys::random()?, sealer, state: State::new() })
    }
}

#[cfg(test)]
mod tests;
