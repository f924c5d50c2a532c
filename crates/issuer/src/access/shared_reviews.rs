//! Remembers the answers of reviews, and shares the reviews that are under way.
//!
//! This is no cache of a crate, because an answer is not simply valid for a time: a refusal is final only for
//! the requests that were there before it, and all who wait for a review share its error.

use crate::access::requester::Key;
use crate::access::review::ReviewError;
use futures::future::{BoxFuture, FutureExt as _, Shared};
use std::collections::HashMap;
use std::future::ready;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long after the question an answer that allows is used.
pub const ALLOWED_FOR: Duration = Duration::from_secs(30);
/// How long after the question an answer that refuses is used.
pub const REFUSED_FOR: Duration = Duration::from_secs(2);
/// How long a failed review stands for all who ask. Otherwise each of many waiting requests would begin one.
pub const FAILED_FOR: Duration = Duration::from_secs(1);
/// When it is tried again to begin a review for which there was no room.
pub const NO_ROOM_FOR: Duration = Duration::from_secs(1);
/// Maximum number of answers. Each needs less than 512 bytes, whatever strangers write into their groups.
pub const MAX_ANSWERS: usize = 4096;

/// Whether a requester may use an issuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes.
    Allowed,
    /// No: the API server was asked long enough after the request was approved.
    Refused,
    /// That is not decided yet. The API server said no, but was asked before the request was approved, or so
    /// soon after that it may not have known of a right that was granted before. Or it could not be asked,
    /// because there are too many reviews under way. It is asked again.
    NotYet {
        /// From then on, the API server is asked again.
        ask_again_in: Duration,
    },
}

/// What was found about one request. An error means that the API server has not decided.
pub type Found = Result<Decision, Arc<ReviewError>>;

/// What was found about one request, and when the API server was asked.
#[derive(Clone, Debug)]
pub struct Decided {
    /// What was found.
    pub found: Found,
    asked: Instant,
}

impl Decided {
    /// What a test says was found just now.
    #[cfg(test)]
    pub fn now(found: Found) -> Self {
        Self { found, asked: Instant::now() }
    }

    /// What was found, unless it may not be used any more: between a review and the turn of its request
    /// others may have their turns.
    pub fn if_usable(self) -> Option<Found> {
        let age = self.asked.elapsed();
        let is_usable = match self.found {
            Ok(Decision::Allowed) => age < ALLOWED_FOR,
            Ok(Decision::Refused) => age < REFUSED_FOR,
            Ok(Decision::NotYet { .. }) | Err(_) => true,
        };
        is_usable.then_some(self.found)
    }
}

/// Waits until it is decided.
pub type Deciding = BoxFuture<'static, Decided>;

/// A review, which all who need its answer wait for.
type Review = Shared<BoxFuture<'static, Answer>>;

/// What a review found, and when.
#[derive(Clone)]
struct Answer {
    at: Instant,
    allowed: Result<bool, Arc<ReviewError>>,
}

/// The answers of reviews, and the reviews under way.
#[derive(Default)]
pub struct SharedReviews(Mutex<HashMap<Key, Entry>>);

struct Entry {
    /// When the API server was asked, or a moment before. This clock is never set.
    asked: Instant,
    review: Review,
}

impl Entry {
    /// Whether the review is under way, or its answer may still be used.
    fn is_usable(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.asked);
        let Some(answer) = self.review.peek() else { return true };
        match answer.allowed {
            Ok(true) => age < ALLOWED_FOR,
            Ok(false) => age < REFUSED_FOR,
            Err(_) => now.saturating_duration_since(answer.at) < FAILED_FOR,
        }
    }
}

impl SharedReviews {
    /// Decides by a remembered answer, by a review that is under way or by a new one, which `start` returns
    /// if there is room for it. `seen` is when the service learnt that the request is approved. An answer
    /// that is remembered is there when the future is polled for the first time.
    ///
    /// # Errors
    ///
    /// If the review fails. All who wait for it get its error, and those who ask within a second after it.
    pub fn decide(
        &self,
        key: Key,
        seen: Instant,
        start: impl FnOnce() -> Option<BoxFuture<'static, Result<bool, ReviewError>>>,
    ) -> Deciding {
        let Some((asked, review)) = self.join(key, start) else {
            let found = Ok(Decision::NotYet { ask_again_in: NO_ROOM_FOR });
            return ready(Decided { found, asked: Instant::now() }).boxed();
        };
        let found = move |answer: Answer| {
            let found = answer.allowed.map(|is_allowed| match is_allowed {
                true => Decision::Allowed,
                false if asked.saturating_duration_since(seen) >= REFUSED_FOR => Decision::Refused,
                false => {
                    let age = Instant::now().saturating_duration_since(asked);
                    Decision::NotYet { ask_again_in: REFUSED_FOR.saturating_sub(age) }
                }
            });
            Decided { found, asked }
        };
        review.map(found).boxed()
    }

    /// The review for a key, and when it was begun. `None` if there is no room for a new one.
    fn join(
        &self,
        key: Key,
        start: impl FnOnce() -> Option<BoxFuture<'static, Result<bool, ReviewError>>>,
    ) -> Option<(Instant, Review)> {
        let mut entries = self.lock();
        let now = Instant::now();
        if let Some(entry) = entries.get(&key).filter(|entry| entry.is_usable(now)) {
            return Some((entry.asked, entry.review.clone()));
        }
        entries.remove(&key);
        let answer =
            |outcome: Result<_, _>| Answer { at: Instant::now(), allowed: outcome.map_err(Arc::new) };
        let review = start()?.map(answer).boxed().shared();
        make_room(&mut entries, now);
        entries.insert(key, Entry { asked: now, review: review.clone() });
        Some((now, review))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes room for one more answer: what has expired goes, and if that is not enough, the oldest answer. A
/// review under way stays; whoever starts them bounds their number.
fn make_room(entries: &mut HashMap<Key, Entry>, now: Instant) {
    if entries.len() < MAX_ANSWERS {
        return;
    }
    entries.retain(|_, entry| entry.is_usable(now));
    if entries.len() < MAX_ANSWERS {
        return;
    }
    let answered = entries.iter().filter(|(_, entry)| entry.review.peek().is_some());
    if let Some(oldest) = answered.min_by_key(|(_, entry)| entry.asked).map(|(key, _)| *key) {
        entries.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::sync::Notify;
    use tokio::time::{advance, timeout};

    const KEY: Key = [1; 32];
    /// By the paused clock: it passes as soon as nothing else happens.
    const DEADLINE: Duration = Duration::from_mins(1);

    /// Reviews that are counted.
    #[derive(Default)]
    struct Fixture {
        reviews: SharedReviews,
        asked: AtomicUsize,
    }

    impl Fixture {
        async fn decide(&self, key: Key, seen: Instant, answer: bool) -> Decision {
            let outcome = self.reviews.decide(key, seen, || {
                self.asked.fetch_add(1, Ordering::Relaxed);
                Some(ready(Ok(answer)).boxed())
            });
            outcome.await.found.unwrap()
        }

        /// How often the API server was asked since the last call.
        fn asked(&self) -> usize {
            self.asked.swap(0, Ordering::Relaxed)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn b01_an_allowed_answer_is_used_for_30_seconds() {
        let fixture = Fixture::default();
        assert_eq!(fixture.decide(KEY, Instant::now(), true).await, Decision::Allowed);
        advance(ALLOWED_FOR.checked_sub(Duration::from_millis(1)).unwrap()).await;
        assert_eq!(fixture.decide(KEY, Instant::now(), false).await, Decision::Allowed);
        assert_eq!(fixture.asked(), 1);
        advance(Duration::from_millis(1)).await;
        let ask_again_in = REFUSED_FOR;
        let withdrawn = fixture.decide(KEY, Instant::now(), false).await;
        assert_eq!(withdrawn, Decision::NotYet { ask_again_in }, "it was withdrawn");
        assert_eq!(fixture.asked(), 1);
        assert_eq!(fixture.decide([2; 32], Instant::now(), true).await, Decision::Allowed, "another key");
        assert_eq!(fixture.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn b01_a_refusal_is_final_only_for_requests_that_were_approved_two_seconds_before_it() {
        let fixture = Fixture::default();
        let early = Instant::now();
        // The API server may not know yet of a right that was granted just before the request was approved.
        let first = fixture.decide(KEY, early, false).await;
        assert_eq!(first, Decision::NotYet { ask_again_in: REFUSED_FOR });
        advance(Duration::from_millis(500)).await;
        let ask_again_in = Duration::from_millis(1500);
        assert_eq!(fixture.decide(KEY, early, true).await, Decision::NotYet { ask_again_in });
        assert_eq!(fixture.asked(), 1);
        advance(ask_again_in).await;
        let late = Instant::now();
        assert_eq!(fixture.decide(KEY, early, false).await, Decision::Refused);
        assert_eq!(fixture.decide(KEY, late, false).await, Decision::NotYet { ask_again_in: REFUSED_FOR });
        assert_eq!(fixture.asked(), 1);
        // The right is granted now.
        advance(REFUSED_FOR).await;
        assert_eq!(fixture.decide(KEY, late, true).await, Decision::Allowed);
        assert_eq!(fixture.asked(), 1);
    }

    /// Whoever waits for a review has a turn later than it ends.
    #[tokio::test(start_paused = true)]
    async fn b01_what_was_found_ages_until_the_turn_of_the_request() {
        let fixture = Fixture::default();
        let seen = Instant::now();
        advance(REFUSED_FOR).await;
        let decide = |key, answer| fixture.reviews.decide(key, seen, move || Some(ready(answer).boxed()));
        let allowed = decide([1; 32], Ok(true)).await;
        let refused = decide([2; 32], Ok(false)).await;
        let failed = decide([3; 32], Err(ReviewError::TimedOut)).await;
        let is_usable = |decided: &Decided| decided.clone().if_usable().is_some();
        let just_before = |limit: Duration| limit.checked_sub(Duration::from_millis(1)).unwrap();
        advance(just_before(REFUSED_FOR)).await;
        assert!(is_usable(&refused) && matches!(refused.found, Ok(Decision::Refused)));
        advance(Duration::from_millis(1)).await;
        assert!(!is_usable(&refused), "the right may have been granted since");
        advance(just_before(ALLOWED_FOR.checked_sub(REFUSED_FOR).unwrap())).await;
        assert!(is_usable(&allowed) && matches!(allowed.found, Ok(Decision::Allowed)));
        advance(Duration::from_millis(1)).await;
        assert!(!is_usable(&allowed), "it may have been withdrawn since");
        assert!(is_usable(&failed), "it decides nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn b01_a_requester_without_the_right_costs_one_review_in_two_seconds() {
        let fixture = Fixture::default();
        for _ in 0..1000 {
            advance(Duration::from_millis(10)).await;
            fixture.decide(KEY, Instant::now(), false).await;
        }
        assert_eq!(fixture.asked(), 5, "in ten seconds");
    }

    #[tokio::test(start_paused = true)]
    async fn b01_a_burst_shares_one_review() {
        let (fixture, answered) = (Fixture::default(), Arc::new(Notify::new()));
        let seen = Instant::now();
        let decisions = (0..1000).map(|_| {
            fixture.reviews.decide(KEY, seen, || {
                fixture.asked.fetch_add(1, Ordering::Relaxed);
                let answered = Arc::clone(&answered);
                let answer = async move {
                    answered.notified().await;
                    Ok(true)
                };
                Some(answer.boxed())
            })
        });
        let answer = async {
            tokio::task::yield_now().await;
            answered.notify_one();
        };
        let both = async { tokio::join!(futures::future::join_all(decisions), answer) };
        let (decisions, ()) = timeout(DEADLINE, both).await.expect("one answer is enough");
        assert!(decisions.into_iter().all(|decision| decision.found.unwrap() == Decision::Allowed));
        assert_eq!(fixture.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn b01_an_error_is_no_refusal_and_stands_for_a_second() {
        let fixture = Fixture::default();
        let failing = || {
            fixture.reviews.decide(KEY, Instant::now(), || {
                fixture.asked.fetch_add(1, Ordering::Relaxed);
                let answer = async {
                    tokio::task::yield_now().await;
                    Err(ReviewError::TimedOut)
                };
                Some(answer.boxed())
            })
        };
        let (one, other) = tokio::join!(failing(), failing());
        assert!(matches!(*one.found.unwrap_err(), ReviewError::TimedOut));
        assert!(matches!(*other.found.unwrap_err(), ReviewError::TimedOut));
        assert_eq!(fixture.asked(), 1);
        advance(FAILED_FOR.checked_sub(Duration::from_millis(1)).unwrap()).await;
        assert!(matches!(*failing().await.found.unwrap_err(), ReviewError::TimedOut));
        assert_eq!(fixture.asked(), 0, "the failure stands");
        advance(Duration::from_millis(1)).await;
        assert_eq!(fixture.decide(KEY, Instant::now(), true).await, Decision::Allowed);
    }

    #[tokio::test(start_paused = true)]
    async fn b01_a_waiter_that_gives_up_stops_nobody() {
        let (fixture, answered) = (Fixture::default(), Arc::new(Notify::new()));
        let decide = || {
            fixture.reviews.decide(KEY, Instant::now(), || {
                let answered = Arc::clone(&answered);
                let answer = async move {
                    answered.notified().await;
                    Ok(true)
                };
                Some(answer.boxed())
            })
        };
        assert!(timeout(Duration::from_secs(1), decide()).await.is_err(), "there is no answer yet");
        answered.notify_one();
        let second = timeout(DEADLINE, decide()).await.expect("the review goes on");
        assert_eq!(second.found.unwrap(), Decision::Allowed);
    }

    fn key(number: usize) -> Key {
        let mut key = Key::default();
        key[..8].copy_from_slice(&number.to_be_bytes());
        key
    }

    #[tokio::test(start_paused = true)]
    async fn b01_the_number_of_answers_is_bounded_and_the_oldest_goes() {
        let fixture = Fixture::default();
        for number in 0..MAX_ANSWERS {
            fixture.decide(key(number), Instant::now(), true).await;
            advance(Duration::from_millis(1)).await;
        }
        for number in MAX_ANSWERS..MAX_ANSWERS + 10 {
            fixture.decide(key(number), Instant::now(), true).await;
            assert_eq!(fixture.reviews.lock().len(), MAX_ANSWERS);
        }
        fixture.asked();
        fixture.decide(key(10), Instant::now(), true).await;
        assert_eq!(fixture.asked(), 0, "it is not among the oldest");
        fixture.decide(key(9), Instant::now(), true).await;
        assert_eq!(fixture.asked(), 1);
        advance(ALLOWED_FOR).await;
        fixture.decide(key(0), Instant::now(), true).await;
        assert_eq!(fixture.reviews.lock().len(), 1, "all others have expired");
    }
}
