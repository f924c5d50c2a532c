//! Whether the API server lets the service read what it must read, and write what it has to write, and what
//! to do if not. Of other requests only missing rights are told here: whoever sends them tells the rest.
//!
//! Each problem is one line of the log, repeated ever more rarely, and a reason for `/readyz` to fail. When
//! it is gone, one line says so.

pub mod layer;
pub mod right;

use axum::http::StatusCode;
use right::Right;
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tower::BoxError;

/// After this time a problem that persists is logged again; then after twice the time, and so on.
const FIRST_REMINDER: Duration = Duration::from_mins(1);
/// The longest such time.
const LAST_REMINDER: Duration = Duration::from_hours(1);
/// A failure that may pass by itself makes the service not ready only if it lasts for so long.
const PATIENCE: Duration = Duration::from_secs(10);
/// A failure that was not seen for so long is over: a watch is tried again within two minutes, and what is
/// written only now and then may not be tried again at all.
const OUTDATED: Duration = Duration::from_mins(5);
/// Maximum length of the text of an error, in characters.
const MAX_TEXT: usize = 300;

/// Why a right cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Problem {
    /// 403: the service lacks the right.
    Forbidden,
    /// 401: the API server does not accept the token of the service.
    Unauthenticated,
    /// 404: the API server does not know the kind.
    UnknownKind,
    /// Another status.
    Status(u16),
    /// No answer: why.
    NoAnswer(String),
}

impl Problem {
    /// `None` if there is none. 422 is the answer of an API server that does not stream lists, and 410 that
    /// of one that no longer knows the state from which a watch continues; both are handled.
    fn of(answer: Result<StatusCode, &BoxError>) -> Option<Self> {
        match answer.map(|status| status.as_u16()) {
            Ok(200..=399 | 410 | 422) => None,
            Ok(401) => Some(Self::Unauthenticated),
            Ok(403) => Some(Self::Forbidden),
            Ok(404) => Some(Self::UnknownKind),
            Ok(status) => Some(Self::Status(status)),
            Err(error) => Some(Self::NoAnswer(with_sources(&**error))),
        }
    }

    /// Whether somebody must do something. Others may pass by themselves.
    fn needs_remedy(&self) -> bool {
        matches!(self, Self::Forbidden | Self::Unauthenticated | Self::UnknownKind)
    }

    /// What happened and what to do.
    fn text(&self, right: &Right) -> String {
        match self {
            Self::Forbidden => format!(
                "the service may not {right}; apply the rights of its version: kubectl apply -f deployment/access.yaml"
            ),
            Self::Unauthenticated => format!(
                "the service cannot {right}: the API server does not accept its token; check ServiceAccount \
                 tcs-issuer in namespace tcs-issuer"
            ),
            Self::UnknownKind if right.is_own_kind() => format!(
                "the service cannot {right}: the API server does not know the kind; apply deployment/crds of its \
                 version: kubectl apply -f deployment/crds/"
            ),
            Self::UnknownKind => format!(
                "the service cannot {right}: the API server does not know the kind; the service needs Kubernetes \
                 1.32 or later"
            ),
            Self::Status(status) => format!(
                "the service cannot {right}: the API server answers with HTTP status {status}; it is tried again"
            ),
            Self::NoAnswer(why) => {
                format!(
                    "the service cannot {right}: the API server does not answer ({why}); it is tried again"
                )
            }
        }
    }
}

/// What is known about a right.
#[derive(Default)]
struct Known {
    /// It succeeded at least once.
    has_worked: bool,
    failure: Option<Failure>,
}

/// Why a right cannot be used at present.
struct Failure {
    problem: Problem,
    since: Instant,
    /// When it was seen last.
    seen: Instant,
    /// When it is logged again.
    remind: Instant,
    /// The time between the last two lines.
    pause: Duration,
}

impl Failure {
    fn is_present(&self, now: Instant) -> bool {
        now.duration_since(self.seen) < OUTDATED
    }
}

/// How the API server answers when the service uses its rights. Only the program itself decides which rights
/// it uses, so there are few. Cheap to clone.
#[derive(Clone, Default)]
pub struct Rights(Arc<State>);

#[derive(Default)]
struct State {
    rights: Mutex<BTreeMap<Right, Known>>,
    /// Whether a right was found to be missing, other than to list and to watch.
    lacks_rights: AtomicBool,
}

impl Rights {
    /// Records the answer to a request that needs a right.
    pub fn observe(&self, right: Right, answer: Result<StatusCode, &BoxError>) {
        let now = Instant::now();
        let mut rights = self.lock();
        let problem = Problem::of(answer);
        if !matches!(right.verb, "list" | "watch") {
            self.0.lacks_rights.store(true, Ordering::Relaxed);
        }
        if problem == Some(Problem::UnknownKind) && right.is_optional() {
            rights.entry(right).or_default().failure = None;
            return;
        }
        let text = problem.as_ref().map(|problem| problem.text(&right));
        let again = format!("the service can {right} again");
        let known = rights.entry(right).or_default();
        let (Some(problem), Some(text)) = (problem, text) else {
            known.has_worked = true;
            if known.failure.take().is_some() {
                tracing::info!("{again}");
            }
            return;
        };
        let (since, pause) = match &mut known.failure {
            Some(failure) if failure.problem == problem && now < failure.remind => {
                failure.seen = now;
                return;
            }
            Some(failure) if failure.problem == problem => {
                let minutes = now.duration_since(failure.since).as_secs() / 60;
                tracing::warn!("{text} (for {minutes} minutes)");
                (failure.since, failure.pause.saturating_mul(2).min(LAST_REMINDER))
            }
            other => {
                tracing::warn!("{text}");
                (other.as_ref().map_or(now, |failure| failure.since), FIRST_REMINDER)
            }
        };
        let remind = now.checked_add(pause).unwrap_or(now);
        known.failure = Some(Failure { problem, since, seen: now, remind, pause });
    }

    /// Whether a right was found to be missing, other than to list and to watch. Cheap.
    pub fn lacks_rights(&self) -> bool {
        self.0.lacks_rights.load(Ordering::Relaxed)
    }

    /// The service used a right.
    pub fn granted(&self, right: Right) {
        let implied = right.implied();
        for right in implied.into_iter().chain([right]) {
            if self.lock().contains_key(&right) {
                self.observe(right, Ok(StatusCode::OK));
            }
        }
    }

    /// Why the service is not ready: what it cannot read or write. An error that may pass by itself counts
    /// only if it lasts.
    pub fn problems(&self) -> Vec<String> {
        let now = Instant::now();
        let rights = self.lock();
        let failing = rights.iter().filter_map(|(right, known)| Some((right, known.failure.as_ref()?)));
        let counts = |failure: &Failure| {
            failure.is_present(now)
                && (failure.problem.needs_remedy() || now.duration_since(failure.since) >= PATIENCE)
        };
        failing
            .filter(|(_, failure)| counts(failure))
            .map(|(right, failure)| failure.problem.text(right))
            .collect()
    }

    /// Whether the API server has let the service read objects of this kind at least once.
    pub fn has_read(&self, resource: &str) -> bool {
        self.lock().iter().any(|(right, known)| right.resource == resource && known.has_worked)
    }

    /// Every right, and whether using it fails at present.
    pub fn failing(&self) -> Vec<(Right, bool)> {
        let now = Instant::now();
        let fails = |known: &Known| known.failure.as_ref().is_some_and(|failure| failure.is_present(now));
        self.lock().iter().map(|(right, known)| (right.clone(), fails(known))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Right, Known>> {
        self.0.rights.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error with its causes, without the debugging form of any.
fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        // Some errors repeat their cause.
        if !texts.last().is_some_and(|last| last.contains(&text)) {
            texts.push(text);
        }
        next = error.source();
    }
    texts.join(": ").chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests;
