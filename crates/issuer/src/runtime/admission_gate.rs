//! The service serves only while the admission policies that limit it are in force.
//!
//! The policies are checked at start, whenever one of them changes, and by a slow timer. The timer also
//! notices an API server that was restarted without its admission plugin. While the policies are not in
//! force, they are checked every few seconds.

use super::admission_check::{check, url};
use super::admission_policies::{Expected, PolicyFault};
use super::api_text::text_of;
use futures::TryStreamExt as _;
use kube::Client;
use kube::api::{WatchEvent, WatchParams};
use kube::core::Request;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How long a reconcile waits for the first check.
const GRACE: Duration = Duration::from_secs(10);
/// Pause between two tries of a write that the policies must refuse.
const PROBE_PAUSE: Duration = Duration::from_millis(500);
/// How long a check may take.
const CHECK_TIMEOUT: Duration = Duration::from_mins(1);
/// Pause between two checks while the policies are in force and do not change.
const RECHECK: Duration = Duration::from_mins(10);
/// First pause between two checks while the policies are not in force. It is doubled each time.
const MIN_PAUSE: Duration = Duration::from_millis(500);
/// Longest such pause.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// What is known about the policies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// They have not been checked yet, and why.
    Unchecked(Arc<str>),
    InForce,
    /// They are not in force: why, and what to do.
    Broken(Arc<str>),
}

impl State {
    fn refusal(&self) -> Option<Arc<str>> {
        match self {
            Self::InForce => None,
            Self::Unchecked(why) | Self::Broken(why) => Some(Arc::clone(why)),
        }
    }
}

/// The state of the policies. Reconcilers ask it before they sign or write. Cheap to clone.
#[derive(Clone)]
pub struct AdmissionGate {
    state: watch::Receiver<State>,
}

impl AdmissionGate {
    /// Starts the tasks that check the policies until `stop`.
    #[must_use]
    pub fn start(client: &Client, expected: Vec<Expected>, stop: &CancellationToken) -> Self {
        let (sender, state) =
            watch::channel(State::Unchecked("the admission policies are not checked yet".into()));
        let changed = Arc::new(Notify::new());
        for object in &expected {
            let (client, object, changed) = (client.clone(), object.clone(), Arc::clone(&changed));
            let stop = stop.clone();
            tokio::spawn(
                async move { stop.run_until_cancelled(watch_object(client, object, changed)).await },
            );
        }
        let (client, stop) = (client.clone(), stop.clone());
        tokio::spawn(async move {
            stop.run_until_cancelled(keep_checked(client, expected, sender, changed)).await;
        });
        Self { state }
    }

    /// Why nothing may be signed or written; `None` while the policies are in force.
    #[must_use]
    pub fn refusal(&self) -> Option<Arc<str>> {
        self.state.borrow().refusal()
    }

    /// Whether no check was completed yet. Such a refusal is not announced.
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        matches!(&*self.state.borrow(), State::Unchecked(_))
    }

    /// As [`Self::refusal`], after waiting for the first check for a few seconds: a controller that starts
    /// must not set issuers to not ready.
    pub async fn settled(&self) -> Option<Arc<str>> {
        let mut state = self.state.clone();
        let checked = state.wait_for(|state| !matches!(state, State::Unchecked(_)));
        let _ = tokio::time::timeout(GRACE, checked).await;
        self.refusal()
    }

    /// Resolves at the next change. Never resolves after the checks have ended.
    pub async fn changed(&mut self) {
        if self.state.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn keep_checked(
    client: Client,
    expected: Vec<Expected>,
    sender: watch::Sender<State>,
    changed: Arc<Notify>,
) {
    let mut pause = MIN_PAUSE;
    // The error that the log has told, so that it is told once.
    let mut said = None;
    loop {
        let found = match tokio::time::timeout(CHECK_TIMEOUT, check(&client, &expected, PROBE_PAUSE)).await {
            Ok(found) => found.map_err(|error| text_of(&error)),
            Err(_) => Err("the API server did not answer in time".to_owned()),
        };
        if let Err(error) = &found
            && said.as_ref() != Some(error)
        {
            tracing::warn!(
                error,
                "the admission policies could not be checked; the previous result stays valid; it is tried again"
            );
        }
        said = found.as_ref().err().cloned();
        sender.send_if_modified(|state| {
            let next = after(state, found);
            let changed = *state != next;
            if changed {
                match &next {
                    State::InForce => tracing::info!("the admission policies are in force"),
                    State::Unchecked(why) | State::Broken(why) => tracing::warn!(%why, "nothing is served"),
                }
            }
            *state = next;
            changed
        });
        let in_force = *sender.borrow() == State::InForce;
        let wait = if in_force { RECHECK } else { pause };
        pause = if in_force { MIN_PAUSE } else { pause.saturating_mul(2).min(MAX_PAUSE) };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = changed.notified() => {}
        }
    }
}

/// The state after a check. If a check could not be made, the previous state stays.
fn after(state: &State, found: Result<Result<(), PolicyFault>, String>) -> State {
    match found {
        Ok(Ok(())) => State::InForce,
        Ok(Err(fault)) => State::Broken(fault.to_string().into()),
        Err(error) => match state {
            State::Unchecked(_) => {
                State::Unchecked(format!("the admission policies could not be checked yet: {error}").into())
            }
            known => known.clone(),
        },
    }
}

/// Any event starts a check, and so does the end of a watch, because changes may have been missed.
async fn watch_object(client: Client, object: Expected, changed: Arc<Notify>) {
    let mut pause = MIN_PAUSE;
    loop {
        match follow(&client, &object, &changed).await {
            Ok(()) => pause = MIN_PAUSE,
            Err(error) => {
                tracing::debug!(%error, name = object.name, "the watch of an admission policy failed, trying again");
                pause = pause.saturating_mul(2).min(MAX_PAUSE);
            }
        }
        changed.notify_one();
        tokio::time::sleep(pause).await;
    }
}

/// Follows one watch until the API server ends it. Events are read as plain JSON, and their content is
/// ignored.
async fn follow(client: &Client, object: &Expected, changed: &Notify) -> Result<(), kube::Error> {
    let only = WatchParams::default().fields(&format!("metadata.name={}", object.name)).disable_bookmarks();
    let watch = Request::new(url(object.kind)).watch(&only, "").map_err(kube::Error::BuildRequest)?;
    let mut events = std::pin::pin!(client.request_events::<Value>(watch).await?);
    while let Some(event) = events.try_next().await? {
        changed.notify_one();
        if let WatchEvent::Error(status) = event {
            return Err(kube::Error::Api(status));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken() -> PolicyFault {
        PolicyFault::NotEnforced { answer: "it was accepted".into() }
    }

    fn unreachable() -> String {
        "connection refused".into()
    }

    #[test]
    fn review_l9_only_a_completed_check_changes_the_state() {
        let unchecked = State::Unchecked("not yet".into());
        for state in [&unchecked, &State::InForce, &State::Broken("why".into())] {
            assert_eq!(after(state, Ok(Ok(()))), State::InForce);
            assert!(
                matches!(after(state, Ok(Err(broken()))), State::Broken(why) if why.contains("accepted"))
            );
        }
        assert_eq!(after(&State::InForce, Err(unreachable())), State::InForce);
        let before = State::Broken("why".into());
        assert_eq!(after(&before, Err(unreachable())), before);
        let still = after(&unchecked, Err(unreachable()));
        assert!(matches!(&still, State::Unchecked(why) if why.contains("could not be checked")));
        assert!(still.refusal().is_some() && State::InForce.refusal().is_none());
    }
}
