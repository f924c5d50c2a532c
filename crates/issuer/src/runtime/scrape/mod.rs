//! The metrics that show a state. They are computed for each scrape, so that none of them goes stale.

use super::request_metrics::label_of;
use super::rights::right::Right;
use crate::clock::now;
use crate::context::Context;
use crate::context::queues::OpenCounts;
use crate::issuer::Issuer;
use crate::issuer::decide::renewal_window;
use crate::time;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use std::collections::HashMap;
use tcs_api::{conditions, reasons};
use tcs_enclave_rpc::{Identity, RequestApi};

/// The end of a CA is near if it is at most so many seconds away.
const SOON: [(&str, i64); 3] = [("1d", 86_400), ("7d", 7 * 86_400), ("30d", 30 * 86_400)];
/// A renewal is overdue when so small a part of the time that a CA has for it is left, as a divisor. Of the
/// 30 days of a CA that lives for more than 90 these are 7.5 days, and one.
const OVERDUE: [(&str, i64); 2] = [("late", 4), ("last", 30)];
/// The confirmation of a ready issuer is old after so many seconds. It is renewed within 45 minutes.
const UNCONFIRMED: i64 = 3600;
/// Both kinds of issuers.
const KINDS: [&str; 2] = ["TCSIssuer", "TCSClusterIssuer"];
/// The reason of an issuer that has no condition `Ready` yet.
const NO_REASON: &str = "None";
/// A reason that this version never writes.
const OTHER_REASON: &str = "Other";

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ApiLabel {
    api: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct WaitLabels {
    api: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct IssuerLabels {
    kind: &'static str,
    ready: &'static str,
    reason: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct EndLabels {
    kind: &'static str,
    within: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct OverdueLabels {
    kind: &'static str,
    stage: &'static str,
}

/// Only the program itself decides which rights it uses.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RightLabels {
    verb: &'static str,
    resource: String,
}

/// What the metrics of a scrape show.
pub(super) struct State {
    leads: bool,
    issuers: Vec<Issuer>,
    /// Of the CAs, in seconds, by issuer UID.
    lifetimes: HashMap<String, i64>,
    open: Vec<(RequestApi, OpenCounts)>,
    enclave: Option<Identity>,
    rights: Vec<(Right, bool)>,
    /// Unix seconds.
    now: i64,
}

/// All metrics of the controller, in the `OpenMetrics` text format.
pub fn text(context: &Context) -> String {
    let requests = context.requests.iter();
    let issuers = context.caches.all_issuers();
    let lifetimes = issuers.iter().map(Issuer::uid);
    let lifetimes = lifetimes.filter_map(|uid| context.lifetimes.of(&uid).map(|seconds| (uid, seconds)));
    let state = State {
        leads: context.leadership.check().is_ok(),
        lifetimes: lifetimes.collect(),
        issuers,
        open: requests.map(|requests| (requests.api(), requests.counts())).collect(),
        enclave: context.enclave.connected().map(|connected| connected.identity),
        rights: context.rights.failing(),
        now: now().as_second(),
    };
    context.metrics.text_with(&state.registry())
}

impl State {
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("tcs");
        let leader: Gauge = Gauge::default();
        leader.set(i64::from(self.leads));
        registry.register("leader", "1 while this controller holds the Lease", leader);
        let version = env!("CARGO_PKG_VERSION");
        registry.register("build", "Version of the controller", Info::new([("version", version)]));
        if let Some(Identity { version, platform, assurance, .. }) = &self.enclave {
            let labels = [("version", version), ("platform", platform), ("assurance", assurance)];
            let info = Info::new(labels.map(|(name, value)| (name, value.clone())));
            registry.register("enclave", "The enclave that is connected", info);
        }
        let failing = Family::<RightLabels, Gauge>::default();
        for (right, fails) in &self.rights {
            let labels = RightLabels { verb: right.verb, resource: right.full_resource() };
            failing.get_or_create(&labels).inc_by(i64::from(*fails));
        }
        registry.register(
            "api_requests_failing",
            "1 while the API server does not let the service read this, or while it lacks the right to write it",
            failing,
        );
        self.register_requests(&mut registry);
        self.register_issuers(&mut registry);
        self.register_ends(&mut registry);
        registry
    }

    fn register_requests(&self, registry: &mut Registry) {
        let (open, waiting) = (Family::<ApiLabel, Gauge>::default(), Family::<WaitLabels, Gauge>::default());
        let oldest = Family::<ApiLabel, Gauge>::default();
        let not_held = Family::<ApiLabel, Gauge>::default();
        for (api, counts) in &self.open {
            let api = label_of(*api);
            open.get_or_create(&ApiLabel { api }).set(gauge_value(counts.open));
            let age = i64::try_from(counts.oldest.as_secs()).unwrap_or(i64::MAX);
            oldest.get_or_create(&ApiLabel { api }).set(age);
            not_held.get_or_create(&ApiLabel { api }).set(gauge_value(counts.not_held));
            // Always there, so that the metric is, too.
            let reason = reasons::WAITING_FOR_ISSUER_READY;
            drop(waiting.get_or_create(&WaitLabels { api, reason }));
            for (&reason, &count) in &counts.waiting {
                waiting.get_or_create(&WaitLabels { api, reason }).set(gauge_value(count));
            }
        }
        registry.register("requests_open", "Approved requests that have no result yet", open);
        let help = "How long the oldest of them is open, since this controller first saw it approved";
        registry.register_with_unit("requests_oldest_age", help, Unit::Seconds, oldest);
        let help = "Those of them that found no room in memory and are read again for each attempt";
        registry.register("requests_not_held", help, not_held);
        let help = "Those of them for which an Event said that they wait, by its reason";
        registry.register("requests_waiting", help, waiting);
    }

    fn register_issuers(&self, registry: &mut Registry) {
        let issuers = Family::<IssuerLabels, Gauge>::default();
        for kind in KINDS {
            drop(issuers.get_or_create(&IssuerLabels { kind, ready: "True", reason: reasons::READY }));
        }
        for issuer in &self.issuers {
            issuers.get_or_create(&issuer_labels(issuer)).inc();
        }
        registry.register(
            "issuers",
            "Issuers by the status and the reason of their condition Ready",
            issuers,
        );
        let unconfirmed = Family::<KindLabel, Gauge>::default();
        for kind in KINDS {
            let old =
                self.issuers.iter().filter(|issuer| kind_of(issuer) == kind && self.is_unconfirmed(issuer));
            let old = i64::try_from(old.count()).unwrap_or(i64::MAX);
            unconfirmed.get_or_create(&KindLabel { kind }).set(old);
        }
        let help = "Ready issuers whose status nobody has confirmed for an hour";
        registry.register("issuers_unconfirmed", help, unconfirmed);
    }

    fn is_unconfirmed(&self, issuer: &Issuer) -> bool {
        let Some(status) = issuer.status().filter(|status| conditions::is_ready(status)) else {
            return false;
        };
        let confirmed = status.last_confirmed.as_deref().and_then(time::parse);
        confirmed.is_none_or(|confirmed| self.now.saturating_sub(confirmed) > UNCONFIRMED)
    }

    /// Whether so small a part is left of the time that the CA of an issuer has for its renewal, or it has
    /// ended. A healthy CA is renewed when that time begins, however short it lives.
    fn is_overdue(&self, issuer: &Issuer, divisor: i64) -> bool {
        let Some(end) = end_of_ca(issuer) else { return false };
        let left = end.saturating_sub(self.now);
        let window = self.lifetimes.get(&issuer.uid()).map_or(0, |lifetime| renewal_window(*lifetime));
        left <= window.checked_div(divisor).unwrap_or(0)
    }

    fn register_ends(&self, registry: &mut Registry) {
        let overdue = Family::<OverdueLabels, Gauge>::default();
        for kind in KINDS {
            for (stage, divisor) in OVERDUE {
                let of_kind = self.issuers.iter().filter(|issuer| kind_of(issuer) == kind);
                let count = of_kind.filter(|issuer| self.is_overdue(issuer, divisor)).count();
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                overdue.get_or_create(&OverdueLabels { kind, stage }).set(count);
            }
        }
        let help = "CA certificates that have ended, or whose renewal is overdue: of the time before their end in which they are \
                    renewed (30 days, or a third of their lifetime) a quarter is left (late) or a thirtieth (last)";
        registry.register("cas_overdue", help, overdue);
        let earliest = Family::<KindLabel, Gauge>::default();
        let ending = Family::<EndLabels, Gauge>::default();
        for kind in KINDS {
            let of_kind = self.issuers.iter().filter(|issuer| kind_of(issuer) == kind);
            let ends: Vec<i64> = of_kind.filter_map(end_of_ca).collect();
            if let Some(end) = ends.iter().min() {
                earliest.get_or_create(&KindLabel { kind }).set(*end);
            }
            for (within, seconds) in SOON {
                let near = ends.iter().filter(|end| end.saturating_sub(self.now) <= seconds).count();
                let labels = EndLabels { kind, within };
                ending.get_or_create(&labels).set(i64::try_from(near).unwrap_or(i64::MAX));
            }
        }
        registry.register_with_unit(
            "ca_earliest_end_timestamp",
            "End of the CA certificate that ends first, as Unix time. Issuers without a CA do not count",
            Unit::Seconds,
            earliest,
        );
        let help = "CA certificates that end within this time, or have ended";
        registry.register("cas_ending", help, ending);
    }
}

fn kind_of(issuer: &Issuer) -> &'static str {
    let [namespaced, cluster] = KINDS;
    match issuer {
        Issuer::Namespaced(_) => namespaced,
        Issuer::Cluster(_) => cluster,
    }
}

/// When the CA certificate of an issuer ends, as Unix seconds.
fn end_of_ca(issuer: &Issuer) -> Option<i64> {
    time::parse(&issuer.status()?.ca.as_ref()?.not_after)
}

/// Statuses may have been written by another version, or by an administrator. So the values are bounded here.
fn issuer_labels(issuer: &Issuer) -> IssuerLabels {
    let condition = issuer.status().and_then(conditions::ready_condition);
    let known = ["True", "False"];
    let ready = condition.and_then(|ready| known.into_iter().find(|known| *known == ready.status));
    let reason = condition.map_or(NO_REASON, |ready| {
        reasons::OF_ISSUERS.iter().copied().find(|known| *known == ready.reason).unwrap_or(OTHER_REASON)
    });
    IssuerLabels { kind: kind_of(issuer), ready: ready.unwrap_or("Unknown"), reason }
}

fn gauge_value(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
pub(super) mod tests;
