//! Tests against a real API server, with the real controller, enclave and tools (simulated platform).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test may fail by panicking, and clippy's own exemption does not reach functions that tests share"
)]

mod admission;
mod bed;
mod cluster;
mod cluster_issuers;
mod crashes;
mod crds;
mod delivery;
mod document;
mod earlier_cas;
mod lifecycle;
mod memory;
mod policy;
mod policy_text;
mod rbac;
mod renewal;
mod renewal_by_clock;
mod restart;
mod sealed_names;
mod self_signed;
mod signing;
mod sub_ca;
mod unreadable;
mod warnings;
mod wrong_clock;
