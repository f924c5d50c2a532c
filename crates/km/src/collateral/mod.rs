//! Where collateral comes from: a file, a PCCS, Intel's PCS, or the settings of an existing quote provider
//! library. The formats are those of Intel's API for the Provisioning Certification Service, version 4.
//! `docs/collateral.md` is the page for users.
//!
//! Nothing here is trusted: `tcs_verifier` verifies what was fetched, cached or read. Texts are kept byte for
//! byte, because signatures cover exactly those bytes.

mod cache;
mod error;
mod http;
mod obtain;
mod obtained;
mod pcs;
mod platform;
mod proxy;
mod qcnl;
mod service;
mod settings;
mod state;

pub use error::Error;
pub use obtain::{Obtain, write_bundle};
pub use obtained::Obtained;
pub use platform::{PlatformKey, Tee};
pub use service::Update;
pub use settings::Settings;
pub use state::{Numbers, advance};
