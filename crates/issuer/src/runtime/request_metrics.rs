//! Metrics of the requests of every request API.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};
use std::time::Duration;
use tcs_api::reasons;
use tcs_enclave_rpc::{RefusalCode, RequestApi};

/// Upper bounds of the histogram's buckets, in seconds. An issuer that is ready signs within milliseconds; a
/// request whose issuer is not can wait for hours.
const BUCKETS: [f64; 16] =
    [0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 600.0, 3600.0];

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestOutcome<'a> {
    /// Its certificate was written.
    Issued {
        /// Since the watch first saw the request approved; `None` if that is not known any more.
        after: Option<Duration>,
        /// Whether it had to wait, for example for its issuer, and an Event said so.
        has_waited: bool,
    },
    /// It was marked as failed, for this reason.
    Failed(&'a str),
    /// The result was discarded, because the request had changed or was deleted meanwhile. If it is still
    /// there, it gets another one.
    Discarded,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OutcomeLabels {
    api: &'static str,
    outcome: &'static str,
    /// Empty unless the request failed.
    reason: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct DurationLabels {
    api: &'static str,
    waited: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefusedLabels {
    api: &'static str,
    /// The status of HTTP.
    code: u16,
}

/// Metrics of the requests of every request API.
pub struct RequestMetrics {
    total: Family<OutcomeLabels, Counter>,
    duration: Family<DurationLabels, Histogram, fn() -> Histogram>,
    refused: Family<RefusedLabels, Counter>,
}

impl RequestMetrics {
    /// Registers the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let total = Family::default();
        let duration = Family::<_, _, fn() -> Histogram>::new_with_constructor(|| Histogram::new(BUCKETS));
        registry.register(
            "requests",
            "Results of requests, by outcome (Issued, Failed, Discarded) and, for failures, by reason. A request whose result \
             is discarded gets another one, if it is still there",
            total.clone(),
        );
        registry.register_with_unit(
            "request_duration",
            "Time until the certificate was written. It begins when the watch of this controller first saw the request \
             approved, because the API server records the time of the approval in whole seconds. waited=true: an Event \
             said that the request waits, for example for its issuer",
            Unit::Seconds,
            duration.clone(),
        );
        let refused = Family::default();
        let help = "Results that the API server refused to write and would refuse again, by the status of its answer";
        registry.register("results_refused", help, refused.clone());
        Self { total, duration, refused }
    }

    /// Makes the series of a request API that is served, so that the first increment of each can be seen.
    pub fn serve(&self, api: RequestApi) {
        let reasons = RefusalCode::ALL.iter().map(|code| code.as_str());
        let others: &[&str] = match api {
            RequestApi::CertManager => &[reasons::DENIED, reasons::RETRIES_EXHAUSTED],
            _ => &[reasons::REFERENCE_NOT_ALLOWED],
        };
        for reason in reasons.chain(others.iter().copied()) {
            drop(self.total.get_or_create(&outcome_labels(api, RequestOutcome::Failed(reason))));
        }
        for outcome in [RequestOutcome::Issued { after: None, has_waited: false }, RequestOutcome::Discarded]
        {
            drop(self.total.get_or_create(&outcome_labels(api, outcome)));
        }
        for code in [400, 403, 413, 422, 500] {
            drop(self.refused.get_or_create(&RefusedLabels { api: label_of(api), code }));
        }
        for has_waited in [false, true] {
            drop(self.duration.get_or_create(&duration_labels(api, has_waited)));
        }
    }

    /// Counts a result that the API server refused for good.
    pub fn refused(&self, api: RequestApi, code: u16) {
        self.refused.get_or_create(&RefusedLabels { api: label_of(api), code }).inc();
    }

    /// Records how a request ended.
    pub fn ended(&self, api: RequestApi, outcome: RequestOutcome<'_>) {
        self.total.get_or_create(&outcome_labels(api, outcome)).inc();
        if let RequestOutcome::Issued { after: Some(after), has_waited } = outcome {
            self.duration.get_or_create(&duration_labels(api, has_waited)).observe(after.as_secs_f64());
        }
    }
}

/// The kind of the requests of an API, as the label `api` contains it.
#[must_use]
pub fn label_of(api: RequestApi) -> &'static str {
    match api {
        RequestApi::KubernetesCsr => "CertificateSigningRequest",
        RequestApi::CertManager => "CertificateRequest",
        RequestApi::PodCertificate => "PodCertificateRequest",
        _ => "Other",
    }
}

fn outcome_labels(api: RequestApi, outcome: RequestOutcome<'_>) -> OutcomeLabels {
    let (outcome, reason) = match outcome {
        RequestOutcome::Issued { .. } => ("Issued", ""),
        RequestOutcome::Failed(reason) => ("Failed", reason),
        RequestOutcome::Discarded => ("Discarded", ""),
    };
    OutcomeLabels { api: label_of(api), outcome, reason: reason.to_owned() }
}

fn duration_labels(api: RequestApi, has_waited: bool) -> DurationLabels {
    DurationLabels { api: label_of(api), waited: if has_waited { "true" } else { "false" } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;
    use std::collections::HashSet;

    fn text(registry: &Registry) -> String {
        let mut text = String::new();
        encode(&mut text, registry).unwrap();
        text
    }

    #[test]
    fn w_d12_requests_are_counted_by_api_outcome_and_reason_and_timed() {
        let mut registry = Registry::with_prefix("tcs");
        let metrics = RequestMetrics::register(&mut registry);
        let api = RequestApi::KubernetesCsr;
        let issued = |millis, has_waited| RequestOutcome::Issued {
            after: Some(Duration::from_millis(millis)),
            has_waited,
        };
        for outcome in [
            issued(3, false),
            issued(7_000, true),
            RequestOutcome::Issued { after: None, has_waited: false },
            RequestOutcome::Failed("UsageUnknown"),
            RequestOutcome::Discarded,
        ] {
            metrics.ended(api, outcome);
        }
        let text = text(&registry);
        let series = |outcome: &str, reason: &str| {
            format!("{{api=\"CertificateSigningRequest\",outcome=\"{outcome}\",reason=\"{reason}\"}}")
        };
        let duration = |suffix: &str, waited: bool, bound: &str| {
            format!(
                "tcs_request_duration_seconds_{suffix}{{{bound}api=\"CertificateSigningRequest\",waited=\"{waited}\"}}"
            )
        };
        for line in [
            format!("tcs_requests_total{} 3\n", series("Issued", "")),
            format!("tcs_requests_total{} 1\n", series("Failed", "UsageUnknown")),
            format!("tcs_requests_total{} 1\n", series("Discarded", "")),
            format!("{} 1\n", duration("bucket", false, "le=\"0.005\",")),
            format!("{} 0\n", duration("bucket", false, "le=\"0.0025\",")),
            format!("{} 0\n", duration("bucket", true, "le=\"5.0\",")),
            format!("{} 1\n", duration("count", true, "")),
        ] {
            assert!(text.contains(&line), "{line}{text}");
        }
    }

    /// Prometheus' `rate()` sees the first failure only if the series was there before.
    #[test]
    fn w_d12_the_series_of_an_api_exist_before_its_first_request() {
        let mut registry = Registry::with_prefix("tcs");
        let metrics = RequestMetrics::register(&mut registry);
        assert!(!text(&registry).contains("CertificateSigningRequest"));
        metrics.serve(RequestApi::KubernetesCsr);
        let before = text(&registry);
        metrics.ended(RequestApi::KubernetesCsr, RequestOutcome::Failed(reasons::REFERENCE_NOT_ALLOWED));
        metrics.ended(RequestApi::KubernetesCsr, RequestOutcome::Failed(RefusalCode::PolicyRefused.as_str()));
        let after = text(&registry);
        assert_eq!(before.lines().count(), after.lines().count());
        assert!(after.contains("reason=\"ReferenceNotAllowed\"} 1\n"));
        metrics.serve(RequestApi::CertManager);
        assert!(
            super::tests::text(&registry)
                .contains("api=\"CertificateRequest\",outcome=\"Failed\",reason=\"Denied\"} 0")
        );
        let labels = [RequestApi::KubernetesCsr, RequestApi::CertManager, RequestApi::PodCertificate];
        assert_eq!(labels.map(label_of).into_iter().collect::<HashSet<_>>().len(), labels.len());
    }
}
