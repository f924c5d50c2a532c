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
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Reviews that are under way at a time. Others wait for them.
const REVIEWS: usize = 16;

/// How much memory the reviews that are under way or wait may take, in KiB. Each keeps a copy of what the
/// API server recorded about the requester, which can have a MiB. Requests whose review finds no room are
/// tried again.
const ROOM: usize = 4 << 10;

/// Asks the API server who may use which issuer, and remembers its answers for a while.
pub struct Access {
    reviews: SharedReviews,
    places: Arc<Semaphore>,
    /// A permit is a KiB.
    room: Arc<Semaphore>,
}

impl Default for Access {
    fn default() -> Self {
        let [places, room] = [REVIEWS, ROOM].map(|permits| Arc::new(Semaphore::new(permits)));
        Self { reviews: SharedReviews::default(), places, room }
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
            let room = self.room(requester)?;
            let (spec, client) = (review::spec(requester, issuer), client.clone());
            let (reviews, places) = (metrics.access_reviews.clone(), Arc::clone(&self.places));
            let review = async move {
                let (_place, _room) = (places.acquire_owned().await, room);
                let outcome = review::review(client, spec).await;
                Metrics::count(&reviews, review::outcome_code(&outcome));
                outcome
            };
            Some(review.boxed())
        };
        self.reviews.decide(requester.key(issuer), seen, start)
    }

    /// Room for a review, until it is dropped. One that is larger than all room needs all of it.
    fn room(&self, requester: &Requester<'_>) -> Option<OwnedSemaphorePermit> {
        let needed = requester.memory().div_ceil(1 << 10).min(ROOM);
        Arc::clone(&self.room).try_acquire_many_owned(u32::try_from(needed).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use shared_reviews::{Decision, NO_ROOM_FOR};
    use std::convert::Infallible;
    use std::future::pending;

    const ISSUER: NamespacedIssuer<'_> = NamespacedIssuer { namespace: "ns", name: "ca" };

    /// Requesters with half a MiB of groups each, while an authorizer of the API server hangs.
    #[tokio::test]
    async fn reviews_that_wait_take_a_bounded_amount_of_memory_and_others_are_tried_again() {
        let server = tower::service_fn(|_: http::Request<kube::client::Body>| {
            pending::<Result<http::Response<kube::client::Body>, Infallible>>()
        });
        let (client, metrics, access) =
            (Client::new(server, "default"), Metrics::default(), Access::default());
        let groups = ["g".repeat(512 << 10)];
        let check = |uid: &str| {
            let requester = Requester { username: "u", uid, groups: &groups, extra: None };
            let mut deciding = access.check(&requester, ISSUER, Instant::now(), &client, &metrics);
            ((&mut deciding).now_or_never(), deciding)
        };
        let mut waiting = Vec::new();
        for number in 0..100 {
            match check(&number.to_string()) {
                (None, deciding) => waiting.push(deciding),
                (Some(decided), _) => {
                    assert_eq!(decided.found.unwrap(), Decision::NotYet { ask_again_in: NO_ROOM_FOR });
                }
            }
        }
        assert_eq!(waiting.len(), 7, "of half a MiB each in four");
        assert!(check("0").0.is_none(), "who asks the same waits for the same review");
    }
}
