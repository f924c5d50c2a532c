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
use shared_reviews::{Deciding, SharedReviews};
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// Reviews that are under way at a time. Others wait, and their requests with them.
const REVIEWS: usize = 16;

/// Asks the API server who may use which issuer, and remembers its answers for a while.
pub struct Access {
    reviews: SharedReviews,
    places: Arc<Semaphore>,
}

impl Default for Access {
    fn default() -> Self {
        Self { reviews: SharedReviews::default(), places: Arc::new(Semaphore::new(REVIEWS)) }
    }
}

impl Access {
    /// Whether a requester may use an issuer. `seen` is when the service learnt that the request is approved.
    /// An error means that the API server has not decided. That is no refusal.
    pub fn check(
        &self,
        requester: &Requester<'_>,
        issuer: NamespacedIssuer<'_>,
        seen: Instant,
        client: &Client,
        metrics: &Metrics,
    ) -> Deciding {
        let start = || {
            let (spec, client) = (review::spec(requester, issuer), client.clone());
            let (reviews, places) = (metrics.access_reviews.clone(), Arc::clone(&self.places));
            async move {
                let _place = places.acquire_owned().await;
                let outcome = review::review(client, spec).await;
                Metrics::count(&reviews, review::outcome_code(&outcome));
                outcome
            }
            .boxed()
        };
        self.reviews.decide(requester.key(issuer), seen, start)
    }
}
