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
mod slow_calls;
mod state;

use crate::Error;
use crate::keys::{self, KeyProvider};
use crate::platform::TeePlatform;
use crate::sealing::Sealer;
use issuing_ca::IssuingCa;
use slow_calls::SlowCalls;
use state::State;
use std::sync::Arc;
use std::time::Duration;

/// How long a request waits for evidence or a new key. Both take less than a second where all is well.
const SLOW_LIMIT: Duration = Duration::from_secs(10);

/// The enclave's engine. It keeps everything in memory: nothing survives the process.
pub struct Engine {
    platform: Arc<dyn TeePlatform>,
    keys: Arc<dyn KeyProvider>,
    /// Random, 16 bytes.
    boot_id: [u8; 16],
    /// `None` if the platform cannot seal.
    sealer: Option<Sealer>,
    state: Arc<State<IssuingCa>>,
    /// Keys and evidence of offers.
    offers: SlowCalls,
    /// Keys of CAs. They do not wait for a platform that hangs.
    ca_keys: SlowCalls,
}

impl Engine {
    /// An engine on this platform without any CA. `keys` generates and holds its keys.
    ///
    /// Fails if the system has no random numbers, or if the platform can seal but does not give its sealing
    /// key.
    pub fn new(platform: Box<dyn TeePlatform>, keys: Box<dyn KeyProvider>) -> Result<Self, Error> {
        Self::with_limit(platform, keys, SLOW_LIMIT)
    }

    /// `limit`: how long a request waits for evidence or a new key.
    fn with_limit(
        platform: Box<dyn TeePlatform>,
        keys: Box<dyn KeyProvider>,
        limit: Duration,
    ) -> Result<Self, Error> {
        let sealer = platform.sealing_key()?.map(Sealer::new).transpose()?;
        Ok(Self {
            platform: Arc::from(platform),
            keys: Arc::from(keys),
            boot_id: keys::random()?,
            sealer,
            state: State::new(),
            offers: SlowCalls::new(limit),
            ca_keys: SlowCalls::new(limit),
        })
    }
}

#[cfg(test)]
mod tests;
