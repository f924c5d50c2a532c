//! Tests against a real API server, with the real controller, enclave and tools (simulated platform).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test may fail by panicking, and clippy does not exempt functions that tests share"
)]

mod access;
mod across;
mod admission;
mod by_clock;
mod cert_manager;
mod certificaterequests;
mod chaos;
mod cluster_issuers;
mod crashes;
mod crds;
mod delivery;
mod document;
mod earlier_cas;
mod ha;
mod issuer_conditions;
mod kubectl_tcs;
mod lifecycle;
mod memory;
mod migrate;
mod mistakes;
mod monitoring;
mod policy;
mod policy_text;
mod rbac;
mod renewal;
mod request_ids;
mod requests;
mod restart;
mod sealed_names;
mod self_signed;
mod signing;
mod slow_platform;
mod sub_ca;
mod support;
mod unreadable;
mod warnings;
