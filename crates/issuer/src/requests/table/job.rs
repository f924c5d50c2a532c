//! What workers get from the table.

use super::budget::{Held, Share};
use crate::access::shared_reviews::Decided;
use crate::runtime::unreadable::ObjectName;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;
use tcs_api::signer::SignerName;
use tokio::time::Instant;

/// What a worker does next.
pub enum Work<K> {
    /// It reconciles a request.
    Reconcile(Job<K>),
    /// It reads a request that is not held, and reconciles it then.
    Read(Unread),
}

/// A request that a worker reconciles.
pub struct Job<K> {
    /// The request as it was when the job began.
    pub request: Arc<Held<K>>,
    pub(super) turn: Turn,
}

/// A request that a worker reads.
pub struct Unread {
    /// Its UID.
    pub uid: Option<String>,
    pub(super) turn: Turn,
    pub(super) share: Share,
}

/// The turn of a request.
pub struct Turn {
    /// When the request was first seen to be open.
    pub opened: Instant,
    /// Why the request waited before this turn, if an Event said so.
    pub announced: Option<&'static str>,
    /// Whether the request was changed since its last turn.
    pub is_changed: bool,
    /// The issuer that it names.
    pub signer: Option<SignerName>,
    /// What a review found for which the request was set aside.
    pub decided: Option<Decided>,
    /// The name of the request.
    pub name: ObjectName,
    /// The place that it had in its queue. No other turn has the same.
    pub(super) place: u64,
}

impl<K> Deref for Job<K> {
    type Target = Turn;

    fn deref(&self) -> &Turn {
        &self.turn
    }
}

impl Deref for Unread {
    type Target = Turn;

    fn deref(&self) -> &Turn {
        &self.turn
    }
}

impl<K> Job<K> {
    /// The turn goes on without the request: what waits for others holds no memory.
    #[must_use]
    pub fn into_turn(self) -> Turn {
        self.turn
    }
}

impl Unread {
    /// The request was read. Its UID must be that of the turn.
    pub fn into_job<K>(self, request: K) -> Job<K> {
        Job { request: Arc::new(Held::new(request, self.share)), turn: self.turn }
    }
}

/// When a request is reconciled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// When it, or what it waits for, changes.
    OnChange,
    /// After this time.
    After(Duration),
    /// It failed, and is tried again after a pause that grows with each failure in a row.
    Failed,
    /// Its result was refused for good. It is tried again after a long pause, which only a change of the
    /// request itself ends: a change of its issuer does not change what is written.
    Refused,
}
