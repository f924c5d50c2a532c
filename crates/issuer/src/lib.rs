//! The controller of the Trusted Certificate Service.
//!
//! Not trusted: it can ask the enclave, never compel it, and whatever it tells the enclave is judged there. Everything that
//! survives a restart lives in the Kubernetes API. Decisions are pure functions ([`decide`], [`requests`],
//! [`delivery`]); the rest carries them out.
#![forbid(unsafe_code)]

pub mod decide;
pub mod delivery;
pub mod issuer;
pub mod requests;
pub mod settings;

mod clock;
mod context;
mod dealings;
mod earlier;
mod enclave;
mod health;

mod issuers;
mod metrics;
mod policy;
mod run;
mod runtime;
mod sealed;
mod signing;
mod sweep;
mod time;

pub use run::run;
pub use runtime::log;
