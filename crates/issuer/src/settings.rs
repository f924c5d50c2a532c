//! Command line of the controller.

use crate::requests::go_duration::parse_not_negative;
use crate::requests::options::RequestOptions;
use crate::runtime::lease::timings::{LeaseTimings, TimingsError};
use crate::runtime::log::Format;
use clap::{Args, Parser};
use std::net::SocketAddr;
use std::time::Duration;
use tcs_enclave_rpc::Endpoint;

/// The controller of the Trusted Certificate Service: it watches issuers and certificate requests, sends
/// requests to the enclave and writes the results. It never holds a CA key.
#[derive(Clone, Debug, Parser)]
#[command(name = "tcs-issuer", version)]
pub struct Settings {
    /// Where the enclave listens: `unix:/path` or a loopback address such as `127.0.0.1:7443`.
    #[arg(long, env = "TCS_ENCLAVE")]
    pub enclave: Endpoint,
    /// Address of `/healthz`, `/readyz` and `/enclavez`.
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
    /// How requests are served.
    #[command(flatten)]
    pub requests: RequestOptions,
    /// How the Lease is held.
    #[command(flatten)]
    pub leader_election: LeaderElection,
}

/// How the Lease is held by which one controller at a time leads. The names are those of Kubernetes' own
/// controllers. Durations are written as Go writes them, for example `15s` or `1m30s`.
#[derive(Args, Clone, Copy, Debug)]
pub struct LeaderElection {
    /// How long other controllers wait for a leader that does not renew the Lease, in whole seconds.
    #[arg(long = "leader-elect-lease-duration", default_value = "15s", value_parser = parse_not_negative)]
    pub lease_duration: Duration,
    /// How long the leader tries to renew the Lease before it stops. Shorter than the lease duration.
    #[arg(long = "leader-elect-renew-deadline", default_value = "10s", value_parser = parse_not_negative)]
    pub renew_deadline: Duration,
    /// Pause between two tries to acquire or renew the Lease.
    #[arg(long = "leader-elect-retry-period", default_value = "2s", value_parser = parse_not_negative)]
    pub retry_period: Duration,
}

impl LeaderElection {
    /// The timings, checked.
    ///
    /// # Errors
    ///
    /// If two controllers could lead at the same time.
    pub fn timings(self) -> Result<LeaseTimings, TimingsError> {
        LeaseTimings::new(self.lease_duration, self.renew_deadline, self.retry_period)
    }
}

/// Parses a bind address. `:8081` stands for all IPv4 addresses.
fn parse_address(text: &str) -> Result<SocketAddr, String> {
    let full = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text.to_owned() };
    full.parse().map_err(|_| format!("'{text}' is not an address such as :8081 or 127.0.0.1:8081"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn parse(arguments: &[&str]) -> Result<Settings, clap::Error> {
        Settings::try_parse_from([&["tcs-issuer", "--enclave=127.0.0.1:7443"], arguments].concat())
    }

    #[test]
    fn the_timings_of_the_lease_have_the_flags_and_defaults_of_kubernetes_controllers() {
        let seconds = Duration::from_secs;
        let default = LeaseTimings::new(seconds(15), seconds(10), seconds(2)).unwrap();
        assert_eq!(parse(&[]).unwrap().leader_election.timings(), Ok(default));
        let given = [
            "--leader-elect-lease-duration=1m",
            "--leader-elect-renew-deadline=40s",
            "--leader-elect-retry-period=1.5s",
        ];
        let expected = LeaseTimings::new(seconds(60), seconds(40), Duration::from_millis(1_500)).unwrap();
        assert_eq!(parse(&given).unwrap().leader_election.timings(), Ok(expected));
        for wrong in ["15", "-15s", "soon", ""] {
            let argument = format!("--leader-elect-lease-duration={wrong}");
            let error = parse(&[&argument]).unwrap_err().to_string();
            assert!(error.contains("is not a duration such as 15s") || wrong.is_empty(), "{error}");
        }
        let error = parse(&["--leader-elect-renew-deadline=15s"]).unwrap().leader_election.timings();
        let error = error.unwrap_err().to_string();
        assert!(error.contains("--leader-elect-renew-deadline is 15s"), "{error}");
        let about = Settings::command().get_about().unwrap().to_string();
        assert!(about.starts_with("The controller of the Trusted Certificate Service"), "{about}");
    }
}
