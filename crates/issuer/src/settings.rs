//! Command line of the controller.

use crate::health::parse_address;
use clap::Parser;
use std::net::SocketAddr;
use tcs_enclave_rpc::Endpoint;

/// The controller of the Trusted Certificate Service: watches issuers and certificate requests, asks the enclave, writes
/// the results. It holds no key and is trusted with none.
#[derive(Clone, Debug, Parser)]
#[command(name = "tcs-issuer", version)]
pub struct Settings {
    /// Where the enclave listens: `unix:/path` or a loopback address such as `127.0.0.1:7443`.
    #[arg(long, env = "TCS_ENCLAVE")]
    pub enclave: Endpoint,
    /// Address of `/healthz` and `/readyz`.
    #[arg(long, default_value = ":8081", value_parser = parse_address)]
    pub health_bind_address: SocketAddr,
    /// Address of `/metrics`.
    #[arg(long, default_value = ":8080", value_parser = parse_address)]
    pub metrics_bind_address: SocketAddr,
    /// Log filter, as in `info` or `tcs_issuer=debug,kube=warn`.
    #[arg(long, env = "TCS_LOG", default_value = "info")]
    pub log: String,
}
