//! Whether the service may serve: only while the admission policies that limit it are in force.
//!
//! They are checked at start, at each change of one of them, and by a slow timer, which also sees an API server that was started without
//! its admission plugin. While they are not in force, they are checked every few seconds.

use super::admission_check::{check, url};
use super::admission_policies::{Expected, Fault};
use futures::TryStreamExt as _;
use kube::Client;
use kube::api::{WatchEvent, WatchParams};
use kube::core::Request;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

/// How long a pass waits for the first check.
const GRACE: Duration = Duration::from_secs(10);
/// Between two tries of a write that the policies must refuse.
const PROBE_PAUSE: Duration = Duration::from_millis(500);
/// How long a check may take.
const LONGEST_CHECK: Duration = Duration::from_mins(1);
/// Between two checks when nothing changes.
const RECHECK: Duration = Duration::from_mins(10);
/// Between two checks while the policies are not in force: this at first, then twice as long each time.
const SHORTEST: Duration = Duration::from_millis(500);
/// And at most this.
const LONGEST: Duration = Duration::from_secs(5);

/// What is known of the policies.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Nothing yet, and why.
    Unchecked(Arc<str>),
    InForce,
    /// Why they cannot be relied on, and what to do.
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

/// What the reconcilers ask before they sign or write; cheap to clone.
#[derive(Clone)]
pub struct AdmissionGate {
    state: watch::Receiver<State>,
}

impl AdmissionGate {
    /// Starts the tasks that check, until `stop`.
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

    /// Why nothing may be signed or written, if so.
    #[must_use]
    pub fn refusal(&self) -> Option<Arc<str>> {
        self.state.borrow().refusal()
    }

    /// Whether nothing is known yet: then the refusal is no news for anybody.
    #[must_use]
    pub fn is_unchecked(&self) -> bool {
        matches!(&*self.state.borrow(), State::Unchecked(_))
    }

    /// As [`Self::refusal`], after waiting a little for the first check: a controller that starts must not call issuers unready.
    pub async fn settled(&self) -> Option<Arc<str>> {
        let mut state = self.state.clone();
        let checked = state.wait_for(|state| !matches!(state, State::Unchecked(_)));
        let _ = tokio::time::timeout(GRACE, checked).await;
        self.refusal()
    }

    /// Resolves at the next change; never if the checks have ended.
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
    let mut pause = SHORTEST;
    loop {
        let found = match tokio::time::timeout(LONGEST_CHECK, check(&client, &expected, PROBE_PAUSE)).await {
            Ok(found) => found.map_err(|error| error.to_string()),
            Err(_) => Err("the API server did not answer in time".to_owned()),
        };
        if let Err(error) = &found {
            tracing::warn!(
                error,
                "the admission policies could not be checked; what was known of them stands"
            );
        }
        sender.send_if_modified(|state| {
            let next = after(state, found);
            let news = *state != next;
            if news {
                match &next {
                    State::InForce => tracing::info!("the admission policies are in force"),
                    State::Unchecked(why) | State::Broken(why) => tracing::warn!(%why, "nothing is served"),
                }
            }
            *state = next;
            news
        });
        let in_force = *sender.borrow() == State::InForce;
        let wait = if in_force { RECHECK } else { pause };
        pause = if in_force { SHORTEST } else { pause.saturating_mul(2).min(LONGEST) };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = changed.notified() => {}
        }
    }
}

/// What is known after a check. One that could not be made says nothing about the policies, so what was known stays.
fn after(state: &State, found: Result<Result<(), Fault>, String>) -> State {
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

/// Any event calls for a check, and so does the end of a watch: what was missed in between is not known.
async fn watch_object(client: Client, object: Expected, changed: Arc<Notify>) {
    let mut pause = SHORTEST;
    loop {
        match follow(&client, &object, &changed).await {
            Ok(()) => pause = SHORTEST,
            Err(error) => {
                tracing::debug!(%error, name = object.name, "the watch of an admission policy failed, trying again");
                pause = pause.saturating_mul(2).min(LONGEST);
            }
        }
        changed.notify_one();
        tokio::time::sleep(pause).await;
    }
}

/// Until the API server ends the watch. Events are read as plain JSON, and not looked at.
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

    fn broken() -> Fault {
        Fault::NotEnforced { answer: "it was accepted".into() }
    }

    fn unreachable() -> String {
        "connection refused".into()
    }

    #[test]
    fn review_l9_only_a_check_that_was_made_changes_what_is_known() {
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
