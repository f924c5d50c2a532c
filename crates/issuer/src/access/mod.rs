//! Who may use which issuer (`docs/conformance.md`, B01).
//!
//! Whoever may create requests may name any signer, and whoever approves requests looks at what they ask for.
//! Therefore a request for a namespaced issuer is signed only if its requester may `reference` that issuer.
//! The API server decides that in a [`SubjectAccessReview`], with all authorizers that it has.
//!
//! [`SubjectAccessReview`]: https://kubernetes.io/docs/reference/access-authn-authz/authorization/

pub mod grant;
pub mod requester;
pub mod review;
pub mod shared_reviews;

use crate::runtime::metrics::Metrics;
use futures::FutureExt as _;
use kube::Client;
use requester::{NamespacedIssuer, Requester};
use review::ReviewError;
use shared_reviews::{Decision, SharedReviews};
use std::sync::Arc;
use tokio::time::Instant;

/// Asks the API server who may use which issuer, and remembers its answers for a while.
#[derive(Default)]
pub struct Access {
    reviews: SharedReviews,
}

impl Access {
    /// Whether a requester may use an issuer. `seen` is when the service learnt that the request is approved.
    ///
    /// # Errors
    ///
    /// If the API server has not decided. That is no refusal, and it is not remembered.
    pub async fn check(
        &self,
        requester: &Requester<'_>,
        issuer: NamespacedIssuer<'_>,
        seen: Instant,
        client: &Client,
        metrics: &Metrics,
    ) -> Result<Decision, Arc<ReviewError>> {
        let start = || {
            let (spec, client) = (review::spec(requester, issuer), client.clone());
            let reviews = metrics.access_reviews.clone();
            async move {
                let outcome = review::review(client, spec).await;
                Metrics::count(&reviews, review::outcome_code(&outcome));
                outcome
            }
            .boxed()
        };
        self.reviews.decide(requester.key(issuer), seen, start).await
    }
}
