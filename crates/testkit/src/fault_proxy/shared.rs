//! What the proxy shares with its connections.

use super::connections::Connections;
use super::rules::Rules;
use super::watches::Watches;
use std::sync::Arc;

/// What the proxy shares with its connections.
pub(super) struct Shared {
    pub(super) upstream: kube::Client,
    pub(super) rules: Arc<Rules>,
    pub(super) connections: Connections,
    pub(super) watches: Watches,
}
