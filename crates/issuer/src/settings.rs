//! Command line of the controller.

use crate::runtime::log::Format;
use clap::Parser;
use std::net::SocketAddr;
use tcs_enclave_rpc::Endpoint;

/// The controller of the Trusted Certificate Service: it watches issuers and certificate requests, sends
/// requests to the enclave and writes the results. It never holds a CA key.
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
    /// Log filter, for example `info` or `tcs_issuer=debug,kube=warn`.
    #[arg(long, env = "TCS_LOG", default_value = "info")]
    pub log: String,
    /// How lines of the log are written. Text has colours if standard error is a terminal.
    #[arg(long, env = "TCS_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: Format,
}

/// Parses a bind address. `:8081` stands for all IPv4 addresses.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    full.parse().map_err(|_| format!("'{text}' is not an address such as :8081 or 127.0.0.1:8081"))
}
