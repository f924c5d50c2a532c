//! What the command line says about requests.

use super::go_duration::parse_not_negative;
use clap::Args;
use std::time::Duration;

/// How requests are served.
#[derive(Args, Clone, Copy, Debug)]
pub struct RequestOptions {
    /// How long after its creation a `CertificateRequest` of cert-manager is tried again if it cannot be
    /// signed because of an error. Then it fails, and cert-manager makes a new one after a pause of its own.
    /// Waiting for an issuer never makes it fail, but an error after that does if it is older than this.
    /// Written as Go writes durations, for example `1h30m`.
    #[arg(long = "certificate-request-max-retry", default_value = "1h", value_parser = parse_not_negative)]
    pub max_retry: Duration,
    /// Whether `status.ca` of a `CertificateRequest` contains the trust anchor of the CA. What a request says
    /// about trust is as old as the request; the Secret of the issuer follows renewals.
    #[arg(long = "certificate-request-status-ca", default_value_t = true, action = clap::ArgAction::Set)]
    pub status_ca: bool,
}
