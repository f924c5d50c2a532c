//! Metrics of the controller in the `OpenMetrics` text format (`docs/conformance.md`, W-D12). Labels are
//! bounded: they are codes and kinds, never names.

use super::request_metrics::RequestMetrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use tcs_api::v1alpha1::WrapFormat;
use tcs_enclave_rpc::RefusalCode;

/// Label with a stable code.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct CodeLabel {
    /// The code's text.
    pub code: String,
}

/// Label with a watched kind of the Kubernetes API.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub struct KindLabel {
    /// The kind's name.
    pub kind: String,
}

/// The metrics that are counted as things happen. Those of [`super::scrape`] are computed for each scrape.
pub struct Metrics {
    registry: Registry,
    /// How requests ended, and how long they took.
    pub requests: RequestMetrics,
    /// Reviews of who may use an issuer, by outcome: Allowed, Refused or Error.
    pub access_reviews: Family<CodeLabel, Counter>,
    /// Deliveries refused, by code.
    pub refused: Family<CodeLabel, Counter>,
    /// Deliveries accepted, by wrapped-key format: `kmra-v1` is the legacy format with SHA-1.
    pub accepted: Family<CodeLabel, Counter>,
    /// Reconciles that ended in an error.
    pub errors: Counter,
    /// Events that were dropped, because too many waited to be published.
    pub events_dropped: Counter,
    /// Objects that exist and cannot be decoded, by kind.
    pub unreadable: Family<KindLabel, Gauge>,
    /// 1 while the enclave is connected and answers.
    pub enclave_up: Gauge,
    /// Offers whose key or evidence the enclave could not make in time and is still making.
    pub enclave_overdue_offers: Gauge,
    /// The same for keys of CAs.
    pub enclave_overdue_ca_keys: Gauge,
    /// 1 while the admission policies are in force.
    pub admission_policies_ok: Gauge,
    /// 1 if the platform of the enclave is simulated.
    pub simulated: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("tcs");
        let errors = Counter::default();
        let (refused, accepted): (Family<CodeLabel, Counter>, Family<CodeLabel, Counter>) =
            Default::default();
        let access_reviews: Family<CodeLabel, Counter> = Family::default();
        let (enclave_up, simulated) = (Gauge::default(), Gauge::default());
        let (unreadable, events_dropped) = (Family::default(), Counter::default());
        let admission_policies_ok = Gauge::default();
        let (enclave_overdue_offers, enclave_overdue_ca_keys) = (Gauge::default(), Gauge::default());
        let requests = RequestMetrics::register(&mut registry);
        registry.register(
            "access_reviews",
            "Reviews of who may use an issuer, by outcome",
            access_reviews.clone(),
        );
        registry.register("deliveries_refused", "CA key deliveries refused, by code", refused.clone());
        registry.register(
            "deliveries_accepted",
            "CA key deliveries accepted, by format of the wrapped key",
            accepted.clone(),
        );
        registry.register("reconcile_errors", "Reconciles that ended in an error", errors.clone());
        registry.register(
            "events_dropped",
            "Events dropped, because too many waited to be published",
            events_dropped.clone(),
        );
        registry.register(
            "unreadable_objects",
            "Objects that exist and cannot be decoded, by kind",
            unreadable.clone(),
        );
        registry.register("enclave_up", "1 while the enclave is connected and answers", enclave_up.clone());
        registry.register(
            "enclave_overdue_offers",
            "Offers whose evidence the platform has not made in time",
            enclave_overdue_offers.clone(),
        );
        registry.register(
            "enclave_overdue_ca_keys",
            "CA keys that were not made in time",
            enclave_overdue_ca_keys.clone(),
        );
        registry.register(
            "admission_policies_ok",
            "1 while the admission policies that limit the service are in force",
            admission_policies_ok.clone(),
        );
        registry.register("tee_simulated", "1 if the platform protects nothing", simulated.clone());
        for outcome in ["Allowed", "Refused", "Error"] {
            drop(access_reviews.get_or_create(&CodeLabel { code: outcome.to_owned() }));
        }
        for format in WrapFormat::ALL {
            drop(accepted.get_or_create(&CodeLabel { code: format.as_str().to_owned() }));
        }
        for code in RefusalCode::ALL {
            drop(refused.get_or_create(&CodeLabel { code: code.as_str().to_owned() }));
        }
        Self {
            registry,
            requests,
            access_reviews,
            refused,
            accepted,
            errors,
            events_dropped,
            unreadable,
            enclave_up,
            enclave_overdue_offers,
            enclave_overdue_ca_keys,
            admission_policies_ok,
            simulated,
        }
    }
}

impl Metrics {
    /// Increments the counter of a code.
    pub fn count(family: &Family<CodeLabel, Counter>, code: &str) {
        family.get_or_create(&CodeLabel { code: code.to_owned() }).inc();
    }

    /// These metrics and `more` in the text format.
    #[must_use]
    pub fn text_with(&self, more: &Registry) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode_registry(&mut text, &self.registry);
        let _ = encode_registry(&mut text, more);
        let _ = encode_eof(&mut text);
        text
    }

    /// These metrics in the text format.
    #[cfg(test)]
    pub fn text(&self) -> String {
        self.text_with(&Registry::default())
    }
}
