//! Answers requests: state, provisioning and issuing.

mod state;

use crate::platform::TeePlatform;
use crate::{Error, VERSION, keys};
use state::{Held, State};
use tcs_enclave_rpc::{
    ByteVec, CaInfo, Health, HealthReport, Identity, IssuerState, MAX_ISSUER_UID, Refusal, RefusalCode, Request, Response,
};

/// The enclave's engine. Nothing of it survives the process.
pub struct Engine {
    platform: Box<dyn TeePlatform>,
    boot_id: [u8; 16],
}

impl Engine {
    /// An engine that holds nothing yet.
    ///
    /// Fails if the system gives no random numbers.
    pub fn new(platform: Box<dyn TeePlatform>) -> Result<Self, Error> {
        Ok(Self { platform, boot_id: keys::random()? })
    }
}
