//! What the tests share: clusters, issuers, requests, and calls of openssl and HTTP.
//!
//! Tests of the API alone (custom resources, RBAC, admission policies) use [`api_server`]: one control plane
//! on which no program of ours runs. All others use a [`test_cluster::TestCluster`] with controller and
//! enclave.

pub mod account;
pub mod api_server;
pub mod burst;
pub mod ca;
pub mod cert_manager;
pub mod certificate_request;
pub mod controllers;
pub mod csr;
pub mod delivery;
pub mod disturbed;
pub mod encoding;
pub mod history;
pub mod issuer;
pub mod objects;
pub mod openssl;
pub mod proxied;
pub mod test_cluster;
pub mod wait;
