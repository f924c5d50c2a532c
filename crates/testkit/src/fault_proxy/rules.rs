//! Which requests meet which fault.

use http::{Method, Uri};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is reset before the request reaches the API server.
    Cut,
    /// The API server does what the request says, and the connection is reset before the answer.
    CutAnswer,
    /// The request is passed on after this time.
    Slow(Duration),
    /// There is no answer as long as the fault lasts, and the API server does not get the request. Then the
    /// connection is reset.
    Hang,
    /// 429 with `Retry-After`.
    Busy {
        /// The value of `Retry-After`.
        seconds: u32,
    },
    /// This status code, with the object `Status` that belongs to it. The API server does not get the
    /// request.
    Status(u16),
}

/// A fault, and the requests that meet it: all, unless the rule says otherwise.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    method: Option<String>,
    path: Option<String>,
    query: Option<String>,
    times: usize,
}

impl Rule {
    /// A fault for every request.
    #[must_use]
    pub fn new(fault: Fault) -> Self {
        Self { fault, method: None, path: None, query: None, times: usize::MAX }
    }

    /// Only requests with this method.
    #[must_use]
    pub fn method(self, method: &str) -> Self {
        Self { method: Some(method.to_owned()), ..self }
    }

    /// Only requests whose path contains this text.
    #[must_use]
    pub fn path(self, part: &str) -> Self {
        Self { path: Some(part.to_owned()), ..self }
    }

    /// Only requests that begin or continue a watch.
    #[must_use]
    pub fn watches(self) -> Self {
        Self { query: Some(super::watches::QUERY.to_owned()), ..self }
    }

    /// Only the first requests, so many of them.
    #[must_use]
    pub fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    fn applies_to(&self, method: &Method, uri: &Uri) -> bool {
        let has = |part: &Option<String>, text: &str| part.as_ref().is_none_or(|part| text.contains(part));
        self.method.as_ref().is_none_or(|wanted| method.as_str() == wanted)
            && has(&self.path, uri.path())
            && has(&self.query, uri.query().unwrap_or_default())
    }
}

/// A fault that is being made. It ends when this value is dropped.
pub struct Injection {
    active: Arc<Active>,
    rules: Arc<Rules>,
}

impl Injection {
    /// How many requests met the fault.
    #[must_use]
    pub fn hits(&self) -> usize {
        self.active.hits.load(Ordering::SeqCst)
    }
}

impl Drop for Injection {
    fn drop(&mut self) {
        self.rules.lock().retain(|active| !Arc::ptr_eq(active, &self.active));
        self.active.ended.cancel();
    }
}

/// A rule that is in force.
pub(super) struct Active {
    rule: Rule,
    hits: AtomicUsize,
    ended: CancellationToken,
}

impl Active {
    pub(super) fn fault(&self) -> Fault {
        self.rule.fault
    }

    /// Resolves when the fault ends.
    pub(super) async fn ended(&self) {
        self.ended.cancelled().await;
    }
}

/// The rules that are in force, the oldest first.
#[derive(Default)]
pub(super) struct Rules(Mutex<Vec<Arc<Active>>>);

impl Rules {
    pub(super) fn add(rules: &Arc<Self>, rule: Rule) -> Injection {
        let active = Active { rule, hits: AtomicUsize::new(0), ended: CancellationToken::new() };
        let active = Arc::new(active);
        rules.lock().push(Arc::clone(&active));
        Injection { active, rules: Arc::clone(rules) }
    }

    /// The rule for a request, which is counted.
    pub(super) fn hit(&self, method: &Method, uri: &Uri) -> Option<Arc<Active>> {
        let rules = self.lock();
        let is_left = |active: &&Arc<Active>| active.hits.load(Ordering::SeqCst) < active.rule.times;
        let mut applying = rules.iter().filter(is_left).filter(|active| active.rule.applies_to(method, uri));
        let active = applying.next()?;
        active.hits.fetch_add(1, Ordering::SeqCst);
        Some(Arc::clone(active))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Active>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_applies_to_what_it_names_and_as_often_as_it_says() {
        let rules = Arc::<Rules>::default();
        let hit = |method: Method, uri: &str| {
            rules.hit(&method, &uri.parse().unwrap()).map(|active| active.fault())
        };
        assert_eq!(hit(Method::GET, "/api"), None);
        let first = Rules::add(&rules, Rule::new(Fault::Cut).method("PUT").path("/status").times(2));
        let all = Rules::add(&rules, Rule::new(Fault::Status(500)));
        assert_eq!(hit(Method::PUT, "/apis/x/a/status"), Some(Fault::Cut));
        assert_eq!(hit(Method::GET, "/apis/x/a/status"), Some(Fault::Status(500)));
        assert_eq!(hit(Method::PUT, "/apis/x/a"), Some(Fault::Status(500)));
        assert_eq!(hit(Method::PUT, "/apis/x/a/status?a=b"), Some(Fault::Cut));
        assert_eq!(
            hit(Method::PUT, "/apis/x/a/status"),
            Some(Fault::Status(500)),
            "the first one is used up"
        );
        assert_eq!((first.hits(), all.hits()), (2, 3));
        drop(all);
        assert_eq!(hit(Method::GET, "/api"), None);
        let _watches = Rules::add(&rules, Rule::new(Fault::Hang).watches());
        assert_eq!(hit(Method::GET, "/api?resourceVersion=1"), None);
        assert_eq!(hit(Method::GET, "/api?resourceVersion=1&watch=true"), Some(Fault::Hang));
    }
}
