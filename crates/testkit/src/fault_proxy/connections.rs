//! The connections of clients, which can be cut.

use std::sync::{Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

/// The connections that exist.
#[derive(Default)]
pub(super) struct Connections(Mutex<Vec<CancellationToken>>);

impl Connections {
    /// A new one. It is reset when the token is cancelled, which also tells that it has ended.
    pub(super) fn add(&self) -> CancellationToken {
        let connection = CancellationToken::new();
        let mut connections = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        connections.retain(|known| !known.is_cancelled());
        connections.push(connection.clone());
        connection
    }

    /// Resets all of them. Returns how many there were.
    pub(super) fn cut(&self) -> usize {
        let connections = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let open = connections.iter().filter(|connection| !connection.is_cancelled());
        open.inspect(|connection| connection.cancel()).count()
    }
}
