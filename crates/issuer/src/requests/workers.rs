//! Reconciles the open requests of one request API.

use super::RequestKind;
use super::reconcile::reconcile;
use super::table::{Next, RequestTable};
use crate::context::Context;
use kube::ResourceExt as _;
use std::sync::Arc;

/// Reconciles one request after the other, from the moment at which this controller leads. When the
/// controller is asked to end, what has been begun is finished.
pub async fn work<K: RequestKind>(table: Arc<RequestTable<K>>, context: Arc<Context>) -> anyhow::Result<()> {
    let draining = &context.draining;
    if draining.run_until_cancelled(context.leadership.acquired()).await.is_none() {
        return Ok(());
    }
    while let Some(job) = draining.run_until_cancelled(table.next()).await {
        let next = reconcile(&job, &table, &context).await.unwrap_or_else(|error| {
            context.metrics.errors.inc();
            tracing::warn!(object = %job.request.name_any(), %error, "reconcile failed, trying again");
            Next::Failed
        });
        table.finish(&job, next);
    }
    Ok(())
}
