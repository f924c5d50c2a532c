//! Issuers: what is observed of one, what is decided, and how it is carried out.

pub mod decide;
pub mod delivery;
pub mod garbage_collection;
pub mod kind;
pub mod policy;
pub mod reconcile;

mod apply;
mod deletion;
mod enclave_session;
mod previous_keys;
mod sealed_secret;

pub use kind::Issuer;
