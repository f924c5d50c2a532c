//! The tasks of the controller: as soon as one ends, all end.

use std::future::Future;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Tasks that run until `stop`.
pub struct Tasks {
    running: JoinSet<anyhow::Result<()>>,
    stop: CancellationToken,
}

impl Tasks {
    /// No tasks yet.
    pub fn new(stop: CancellationToken) -> Self {
        Self { running: JoinSet::new(), stop }
    }

    /// Starts a task.
    pub fn spawn(&mut self, task: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
        let stop = self.stop.clone();
        self.running.spawn(async move { stop.run_until_cancelled(task).await.unwrap_or(Ok(())) });
    }

    /// Waits until the first task ends, then stops all others.
    ///
    /// # Errors
    ///
    /// The error of that task. A task that ends without an error and before `stop` is an error, too.
    pub async fn until_one_ends(mut self) -> anyhow::Result<()> {
        let first = self.running.join_next().await;
        let stopped = self.stop.is_cancelled();
        self.stop.cancel();
        while self.running.join_next().await.is_some() {}
        match first {
            Some(Ok(Ok(()))) | None if stopped => Ok(()),
            Some(Ok(Ok(()))) | None => anyhow::bail!("a task of the controller ended by itself"),
            Some(Ok(Err(error))) => Err(error),
            Some(Err(error)) => Err(error.into()),
        }
    }
}
