//! Acquires the Lease, renews it, and releases it.

use super::boot_time::BootTime;
use super::evaluate::{Observation, Step, evaluate};
use super::identity::random;
use super::leadership::Leadership;
use super::record;
use super::timings::LeaseTimings;
use crate::clock;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use std::time::Duration;
use tcs_api::{SERVICE_ACCOUNT, SERVICE_NAMESPACE};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

/// Name of the Lease in the namespace of the service.
pub const LEASE: &str = "tcs-issuer";
/// How long the release of the Lease may take. After that others wait until it expires.
const RELEASE_LIMIT: Duration = Duration::from_secs(3);

/// Why a leader must stop.
#[derive(Debug, thiserror::Error)]
pub enum LeadershipLost {
    /// The Lease could not be renewed in time.
    #[error(
        "leadership lost: Lease tcs-issuer/tcs-issuer was not renewed within {deadline:?} ({why}); the program ends, so \
         that nothing more is written, and is started again by Kubernetes"
    )]
    NotRenewed {
        /// The renew deadline.
        deadline: Duration,
        /// What the last try met.
        why: String,
    },
    /// Another controller holds the Lease.
    #[error(
        "leadership lost: Lease tcs-issuer/tcs-issuer is held by {holder}; the program ends, so that nothing more is \
         written, and is started again by Kubernetes"
    )]
    TakenOver {
        /// The identity of the holder.
        holder: String,
    },
}

/// What a try to acquire or renew the Lease met.
enum Attempt {
    /// This controller holds the Lease. The moment is the one before the write was sent.
    Held(BootTime),
    /// Another one holds it, until this moment at least.
    HeldBy(String, BootTime),
    /// Somebody else wrote the Lease at the same time.
    Conflict,
}

/// One candidate for the Lease.
pub struct Elector {
    api: Api<Lease>,
    identity: String,
    timings: LeaseTimings,
    leadership: Leadership,
    observed: Option<Observation>,
    /// The Lease as this controller wrote it last. Without it, it is read before it is written.
    written: Option<Lease>,
    /// What the log said last, so that it is said once.
    said: String,
}

impl Elector {
    /// A candidate, whose client must not be one that asks `leadership` before it writes.
    pub fn new(client: Client, identity: String, timings: LeaseTimings, leadership: Leadership) -> Self {
        let api = Api::namespaced(client, SERVICE_NAMESPACE);
        let said = String::new();
        Self { api, identity, timings, leadership, observed: None, written: None, said }
    }

    /// Acquires the Lease and renews it until `release`, and then releases it.
    ///
    /// # Errors
    ///
    /// If the leadership is lost.
    pub async fn run(mut self, release: CancellationToken) -> Result<(), LeadershipLost> {
        if release.run_until_cancelled(self.acquire()).await.is_none() {
            // The last try may have succeeded without an answer.
            self.release().await;
            return Ok(());
        }
        tracing::info!(identity = self.identity, "leading: the Lease tcs-issuer/tcs-issuer is acquired");
        let held = self.hold(&release).await;
        self.leadership.end();
        if held.is_ok() {
            self.release().await;
        }
        held
    }

    async fn acquire(&mut self) {
        loop {
            let mut pause = jittered(self.timings.retry_period());
            match self.attempt_within(self.timings.attempt_limit()).await {
                Ok(Attempt::Held(sent)) => {
                    self.leadership.extend(sent.after(self.timings.renew_deadline()));
                    return;
                }
                Ok(Attempt::HeldBy(holder, until)) => {
                    pause = pause.min(BootTime::now().until(until));
                    self.say(&format!("waiting: the Lease tcs-issuer/tcs-issuer is held by {holder}"), false);
                }
                Ok(Attempt::Conflict) => {}
                Err(why) => {
                    self.say(&format!("the Lease tcs-issuer/tcs-issuer could not be acquired: {why}"), true);
                }
            }
            sleep(pause).await;
        }
    }

    /// Renews until `release`.
    async fn hold(&mut self, release: &CancellationToken) -> Result<(), LeadershipLost> {
        let not_run = || "the process did not run".to_owned();
        let mut last = not_run();
        loop {
            let left = BootTime::now().until(self.leadership.deadline());
            let pause = sleep(self.timings.retry_period().min(left));
            if release.run_until_cancelled(pause).await.is_none() {
                return Ok(());
            }
            let left = BootTime::now().until(self.leadership.deadline());
            if left.is_zero() {
                return Err(LeadershipLost::NotRenewed {
                    deadline: self.timings.renew_deadline(),
                    why: last,
                });
            }
            last = match self.attempt_within(left.min(self.timings.attempt_limit())).await {
                Ok(Attempt::Held(sent)) => {
                    self.leadership.extend(sent.after(self.timings.renew_deadline()));
                    last = not_run();
                    continue;
                }
                Ok(Attempt::HeldBy(holder, _)) => return Err(LeadershipLost::TakenOver { holder }),
                Ok(Attempt::Conflict) => "others change it all the time".to_owned(),
                Err(why) => why,
            };
            tracing::warn!(why = last, "the Lease tcs-issuer/tcs-issuer could not be renewed, trying again");
        }
    }

    /// As [`Self::attempt`], with a time limit. Returns why it failed, if it did.
    async fn attempt_within(&mut self, limit: Duration) -> Result<Attempt, String> {
        let attempt = match timeout(limit, self.attempt()).await {
            Ok(attempt) => attempt.map_err(|error| why(&error)),
            Err(_) => Err(format!("the API server did not answer within {limit:?}")),
        };
        let problem = attempt.as_ref().err();
        self.leadership.set_problem(problem.map(|why| format!("Lease tcs-issuer/tcs-issuer: {why}")));
        attempt
    }

    /// Writes this controller into the Lease, if it may.
    async fn attempt(&mut self) -> Result<Attempt, kube::Error> {
        let lease = match self.written.take() {
            Some(lease) => Some(lease),
            None => self.api.get_opt(LEASE).await?,
        };
        let now = BootTime::now();
        self.observed = lease
            .as_ref()
            .map(|lease| Observation::new(lease.spec.clone().unwrap_or_default(), now, self.observed.take()));
        let observed = self.observed.as_ref();
        if let Step::Wait(until) = evaluate(observed, &self.identity, self.timings.duration(), now) {
            let holder = observed.and_then(Observation::holder).unwrap_or_default();
            return Ok(Attempt::HeldBy(holder.to_owned(), until));
        }
        let before = lease.as_ref().and_then(|lease| lease.spec.clone()).unwrap_or_default();
        let spec = record::held(before, &self.identity, self.timings.duration(), clock::now());
        let sent = BootTime::now();
        // A PUT of the Lease that was read, with its resource version: the API server refuses it if others
        // wrote since.
        let exists = lease.is_some();
        let answer = if let Some(lease) = lease {
            let lease = Lease { spec: Some(spec), ..lease };
            self.api.replace(LEASE, &post_params(), &lease).await
        } else {
            let metadata = ObjectMeta { name: Some(LEASE.into()), ..ObjectMeta::default() };
            self.api.create(&post_params(), &Lease { metadata, spec: Some(spec) }).await
        };
        match answer {
            Ok(lease) => {
                self.written = Some(lease);
                Ok(Attempt::Held(sent))
            }
            // 409: somebody else created or changed it. 404: somebody deleted it, or, if it was to be
            // created, its namespace does not exist.
            Err(kube::Error::Api(answer)) if answer.code == 409 || (exists && answer.code == 404) => {
                Ok(Attempt::Conflict)
            }
            Err(error) => Err(error),
        }
    }

    /// Empties the holder of the Lease, so that another controller need not wait for its expiry.
    async fn release(&mut self) {
        match timeout(RELEASE_LIMIT, self.try_release()).await {
            Ok(Ok(true)) => tracing::info!("the Lease tcs-issuer/tcs-issuer is released"),
            Ok(Ok(false)) => {}
            Ok(Err(error)) => {
                tracing::warn!(why = why(&error), "the Lease could not be released; it expires");
            }
            Err(_) => tracing::warn!("the API server did not answer; the Lease is not released and expires"),
        }
    }

    /// Returns whether this controller held it.
    async fn try_release(&mut self) -> Result<bool, kube::Error> {
        loop {
            let lease = match self.written.take() {
                Some(lease) => Some(lease),
                None => self.api.get_opt(LEASE).await?,
            };
            let Some(lease) = lease else { return Ok(false) };
            let before = lease.spec.clone().unwrap_or_default();
            if before.holder_identity.as_deref() != Some(&self.identity) {
                return Ok(false);
            }
            let lease = Lease { spec: Some(record::released(before, clock::now())), ..lease };
            match self.api.replace(LEASE, &post_params(), &lease).await {
                Ok(_) => return Ok(true),
                Err(kube::Error::Api(answer)) if matches!(answer.code, 404 | 409) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Writes a line to the log unless it was the last one.
    fn say(&mut self, line: &str, is_warning: bool) {
        if self.said == line {
            return;
        }
        if is_warning {
            tracing::warn!("{line}");
        } else {
            tracing::info!("{line}");
        }
        line.clone_into(&mut self.said);
    }
}

/// What an error says, and what to do if the service may not use the Lease.
fn why(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(answer) if answer.is_forbidden() => {
            format!("{}; apply deployment/access.yaml of this version", answer.message)
        }
        kube::Error::SerdeError(error) => {
            format!("it cannot be read: {error}; delete it while no controller runs")
        }
        error => error.to_string(),
    }
}

/// A period that is longer by a random part of 1.2 periods, as client-go's: candidates should not all try at
/// the same moment.
fn jittered(period: Duration) -> Duration {
    let [random] = random::<1>().unwrap_or_default();
    let share = u32::from(random).saturating_mul(6);
    period.saturating_add(period.saturating_mul(share) / (255 * 5))
}

fn post_params() -> PostParams {
    PostParams { field_manager: Some(SERVICE_ACCOUNT.into()), ..PostParams::default() }
}

#[cfg(test)]
mod tests;
