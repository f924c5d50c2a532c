//! The tasks of the controller: as soon as one ends, all end.

use std::future::Future;
use std::time::Duration;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

/// The tasks of the controller, by how they end.
pub struct TaskGroups {
    /// Tasks that end by themselves when the controller drains: what they have begun they finish.
    pub workers: Tasks,
    /// Tasks that the workers need until then.
    pub services: Tasks,
}

impl TaskGroups {
    /// No tasks yet. They are aborted at `end`.
    pub fn new(end: &CancellationToken) -> Self {
        Self { workers: Tasks::new(end.clone()), services: Tasks::new(end.clone()) }
    }

    /// Waits until the first task of either group ends.
    pub async fn first_end(&mut self) -> anyhow::Error {
        tokio::select! {
            error = self.workers.first_end() => error,
            error = self.services.first_end() => error,
        }
    }

    /// Waits until all tasks have ended. They must be draining or aborted.
    pub async fn join(&mut self) {
        self.workers.join().await;
        self.services.join().await;
    }

    /// Waits until the workers have finished what they had begun, for `limit` at most. Returns whether they
    /// have.
    pub async fn drained(&mut self, limit: Duration) -> bool {
        tokio::time::timeout(limit, self.workers.join()).await.is_ok()
    }
}

/// Tasks that run until `end`.
pub struct Tasks {
    running: JoinSet<anyhow::Result<()>>,
    end: CancellationToken,
}

impl Tasks {
    fn new(end: CancellationToken) -> Self {
        Self { running: JoinSet::new(), end }
    }

    /// Starts a task.
    pub fn spawn(&mut self, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let end = self.end.clone();
        self.running.spawn(async move { end.run_until_cancelled(task).await.unwrap_or(Ok(())) });
    }

    async fn first_end(&mut self) -> anyhow::Error {
        cause(self.running.join_next().await)
    }

    async fn join(&mut self) {
        while let Some(ended) = self.running.join_next().await {
            if let Err(error) = flatten(ended) {
                tracing::warn!("a task of the controller failed: {error:#}");
            }
        }
    }
}

/// Why a task ended that should have gone on.
fn cause(ended: Option<Result<anyhow::Result<()>, JoinError>>) -> anyhow::Error {
    let by_itself = || anyhow::anyhow!("a task of the controller ended by itself");
    ended.map_or_else(by_itself, |ended| flatten(ended).err().unwrap_or_else(by_itself))
}

fn flatten(ended: Result<anyhow::Result<()>, JoinError>) -> anyhow::Result<()> {
    ended?
}
