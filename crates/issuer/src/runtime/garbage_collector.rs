//! Runs the garbage collection when it is enqueued.

use crate::context::Context;
use crate::issuer::garbage_collection::collect;
use crate::runtime::standby::{Leading, discard_until_leading};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::UnboundedReceiver;

/// First pause after a garbage collection that failed. It is doubled each time.
const MIN_PAUSE: Duration = Duration::from_secs(1);
/// Longest such pause.
const MAX_PAUSE: Duration = Duration::from_mins(1);

/// Collects once for all messages that are in the queue, while this controller leads.
pub async fn run(mut queue: UnboundedReceiver<()>, context: Arc<Context>) -> anyhow::Result<()> {
    let Some(Leading) = discard_until_leading(&mut queue, &context).await else { return Ok(()) };
    context.queues.enqueue_garbage_collection();
    let mut pause = MIN_PAUSE;
    while let Some(next) = context.draining.run_until_cancelled(queue.recv()).await {
        if next.is_none() {
            anyhow::bail!("the queue of the garbage collection ended");
        }
        while queue.try_recv().is_ok() {}
        if !context.caches.are_listed() {
            // An incomplete cache would make existing issuers look deleted. When the list is complete, it is
            // enqueued again.
            continue;
        }
        let Err(error) = collect(&context).await else {
            pause = MIN_PAUSE;
            continue;
        };
        tracing::warn!(%error, "the garbage collection failed, trying again");
        let again = context.queues.garbage_collection.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let _ = again.send(());
        });
        pause = pause.saturating_mul(2).min(MAX_PAUSE);
    }
    Ok(())
}
