//! What a controller does that does not lead: its watches and caches are up to date, and its queues are
//! emptied, so that they do not grow.

use crate::context::Context;
use std::pin::pin;
use tokio::sync::mpsc::UnboundedReceiver;

/// This controller leads.
pub struct Leading;

/// Discards what is enqueued until this controller leads. What it discards is in the caches, from which the
/// caller begins. Returns `None` if the controller is asked to end before.
pub async fn discard_until_leading<T>(
    queue: &mut UnboundedReceiver<T>,
    context: &Context,
) -> Option<Leading> {
    let discarding = async {
        let mut acquired = pin!(context.leadership.acquired());
        loop {
            tokio::select! {
                biased;
                () = &mut acquired => return,
                next = queue.recv() => if next.is_none() { return },
            }
        }
    };
    context.draining.run_until_cancelled(discarding).await?;
    while queue.try_recv().is_ok() {}
    Some(Leading)
}
