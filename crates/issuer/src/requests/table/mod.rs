//! The open requests of one request API: which of them is to be reconciled next, since when they are open,
//! and what they wait for.
//!
//! Requests go straight from the watch to the workers. kube's controller runtime is not used for them: its
//! scheduler adds a millisecond or two to each request.

use super::RequestKind;
use crate::access::shared_reviews::Decided;
use crate::context::backoff::pause;
use crate::context::caches::Listed;
use crate::context::queues::{OpenCounts, OpenRequests};
use crate::runtime::unreadable::ObjectName;
use kube::ResourceExt as _;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tcs_api::signer::SignerName;
use tcs_enclave_rpc::RequestApi;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// The open requests of one request API. Each of them is with one worker at most.
pub struct RequestTable<K> {
    state: Mutex<State<K>>,
    /// A request became ready.
    ready: Notify,
    /// A request was delayed.
    delayed: Notify,
    /// Whether the first list of the requests is complete.
    pub listed: Listed,
}

/// A request that a worker reconciles.
pub struct Job<K> {
    /// The request as it was when the job began.
    pub request: Arc<K>,
    /// When the request was first seen to be open.
    pub opened: Instant,
    /// Whether an Event said that the request waits.
    pub has_waited: bool,
    /// What a review found for which the request was set aside.
    pub decided: Option<Decided>,
    name: ObjectName,
    run: u64,
}

/// When a request is reconciled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// When it, or what it waits for, changes.
    OnChange,
    /// After this time.
    After(Duration),
    /// It failed, and is tried again after a pause that grows with each failure in a row.
    Failed,
}

struct State<K> {
    entries: HashMap<ObjectName, Entry<K>>,
    /// What is to be reconciled, in this order.
    ready: BTreeMap<u64, ObjectName>,
    /// What is to be reconciled later.
    delayed: BTreeMap<(Instant, u64), ObjectName>,
    /// Numbers places in both queues, and jobs.
    last: u64,
}

struct Entry<K> {
    request: Arc<K>,
    opened: Instant,
    /// Why it waits, if that was announced, so that one reason is announced in one Event.
    announced: Option<&'static str>,
    /// How often it failed in a row.
    failures: u32,
    /// For the next job.
    decided: Option<Decided>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It waits for a change.
    Idle,
    /// It has this place in `ready`.
    Ready(u64),
    /// It has this place in `delayed`.
    Delayed(Instant, u64),
    /// A worker has it, or it waits for a review. It is reconciled `again` if something changed since.
    Running { run: u64, again: bool },
}

impl<K: RequestKind> Default for RequestTable<K> {
    fn default() -> Self {
        let state =
            State { entries: HashMap::new(), ready: BTreeMap::new(), delayed: BTreeMap::new(), last: 0 };
        Self {
            state: Mutex::new(state),
            ready: Notify::new(),
            delayed: Notify::new(),
            listed: Listed::default(),
        }
    }
}

impl<K: RequestKind> RequestTable<K> {
    /// The request is open, in this version.
    pub fn apply(&self, request: K) {
        let name = ObjectName::of(request.meta());
        let mut state = self.lock();
        let known = state.entries.get_mut(&name).filter(|entry| entry.request.uid() == request.uid());
        if let Some(entry) = known {
            entry.request = Arc::new(request);
        } else {
            state.remove(&name);
            state.entries.insert(name.clone(), Entry::new(request));
        }
        if state.schedule(&name) {
            self.ready.notify_one();
        }
    }

    /// The request has a result, was deleted, or cannot be read any longer.
    pub fn remove(&self, name: &ObjectName) {
        self.lock().remove(name);
    }

    /// Only these requests are open: others were deleted while nobody watched.
    pub fn retain(&self, open: &HashSet<ObjectName>) {
        let mut state = self.lock();
        let gone: Vec<_> = state.entries.keys().filter(|name| !open.contains(name)).cloned().collect();
        for name in gone {
            state.remove(&name);
        }
    }

    /// Waits for a request that is to be reconciled. Nobody else gets it before [`Self::finish`]. May be
    /// cancelled.
    pub async fn next(&self) -> Job<K> {
        loop {
            let mut ready = pin!(self.ready.notified());
            ready.as_mut().enable();
            if let Some(job) = self.lock().begin() {
                return job;
            }
            ready.await;
        }
    }

    /// The job has ended.
    pub fn finish(&self, job: &Job<K>, next: Next) {
        let mut state = self.lock();
        let Some((entry, again)) = state.running(job) else { return };
        entry.failures = if next == Next::Failed { entry.failures.saturating_add(1) } else { 0 };
        let later = match next {
            Next::OnChange => None,
            Next::After(later) => Some(later),
            Next::Failed => Some(pause(entry.failures)),
        };
        entry.stage = Stage::Idle;
        if again {
            state.schedule(&job.name);
            self.ready.notify_one();
        } else if let Some(later) = later {
            state.delay(&job.name, later);
            self.delayed.notify_one();
        }
    }

    /// A job had to wait for a review, which has ended: the request is reconciled with what was found.
    pub fn resume(&self, job: &Job<K>, decided: Decided) {
        let mut state = self.lock();
        let Some((entry, _)) = state.running(job) else { return };
        entry.decided = Some(decided);
        entry.stage = Stage::Idle;
        state.schedule(&job.name);
        self.ready.notify_one();
    }

    /// The job gave the request its result.
    pub fn close(&self, job: &Job<K>) {
        let mut state = self.lock();
        if state.running(job).is_some() {
            state.remove(&job.name);
        }
    }

    /// Records why a request waits. Returns whether that is to be announced: the reason is new, and the
    /// request is still open.
    pub fn start_wait(&self, job: &Job<K>, reason: &'static str) -> bool {
        let mut state = self.lock();
        state.running(job).is_some_and(|(entry, _)| entry.announced.replace(reason) != Some(reason))
    }

    /// The reason could not be announced.
    pub fn take_wait_back(&self, job: &Job<K>, reason: &'static str) {
        if let Some((entry, _)) = self.lock().running(job) {
            entry.announced.take_if(|announced| *announced == reason);
        }
    }

    /// Makes delayed requests ready when their time has come. Never ends.
    pub async fn wake_delayed(&self) {
        loop {
            let mut delayed = pin!(self.delayed.notified());
            delayed.as_mut().enable();
            let (woken, next) = self.lock().wake(Instant::now());
            (0..woken).for_each(|_| self.ready.notify_one());
            match next {
                Some(at) => {
                    tokio::select! { () = sleep_until(at) => {}, () = delayed => {} }
                }
                None => delayed.await,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<K>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: RequestKind> OpenRequests for RequestTable<K> {
    fn api(&self) -> RequestApi {
        K::API
    }

    fn counts(&self) -> OpenCounts {
        let state = self.lock();
        let mut counts = OpenCounts::default();
        for entry in state.entries.values() {
            counts.open = counts.open.saturating_add(1);
            if let Some(reason) = entry.announced {
                let waiting = counts.waiting.entry(reason).or_default();
                *waiting = waiting.saturating_add(1);
            }
        }
        counts
    }

    fn are_listed(&self) -> bool {
        self.listed.is_set()
    }

    fn enqueue(&self, is_one: &dyn Fn(&SignerName) -> bool) {
        let mut state = self.lock();
        let is_one = |entry: &Entry<K>| entry.request.signer().is_some_and(|signer| is_one(&signer));
        let chosen = state.entries.iter().filter(|(_, entry)| is_one(entry));
        let chosen: Vec<_> = chosen.map(|(name, _)| name.clone()).collect();
        for name in chosen {
            if state.schedule(&name) {
                self.ready.notify_one();
            }
        }
    }
}

impl<K: RequestKind> Entry<K> {
    fn new(request: K) -> Self {
        let (request, opened) = (Arc::new(request), Instant::now());
        Self { request, opened, announced: None, failures: 0, decided: None, stage: Stage::Idle }
    }
}

impl<K: RequestKind> State<K> {
    fn number(&mut self) -> u64 {
        self.last = self.last.wrapping_add(1);
        self.last
    }

    /// Makes a request ready, now or when its worker has finished. Returns whether a worker can take it.
    fn schedule(&mut self, name: &ObjectName) -> bool {
        let place = self.number();
        let Some(entry) = self.entries.get_mut(name) else { return false };
        match &mut entry.stage {
            Stage::Running { again, .. } => {
                *again = true;
                return false;
            }
            Stage::Ready(_) => return false,
            Stage::Delayed(at, number) => drop(self.delayed.remove(&(*at, *number))),
            Stage::Idle => {}
        }
        entry.stage = Stage::Ready(place);
        self.ready.insert(place, name.clone());
        true
    }

    fn delay(&mut self, name: &ObjectName, pause: Duration) {
        let (at, place) = (Instant::now() + pause, self.number());
        if let Some(entry) = self.entries.get_mut(name) {
            entry.stage = Stage::Delayed(at, place);
            self.delayed.insert((at, place), name.clone());
        }
    }

    fn remove(&mut self, name: &ObjectName) {
        match self.entries.remove(name).map(|entry| entry.stage) {
            Some(Stage::Ready(place)) => drop(self.ready.remove(&place)),
            Some(Stage::Delayed(at, place)) => drop(self.delayed.remove(&(at, place))),
            Some(Stage::Idle | Stage::Running { .. }) | None => {}
        }
    }

    fn begin(&mut self) -> Option<Job<K>> {
        let run = self.number();
        loop {
            let (_, name) = self.ready.pop_first()?;
            if let Some(entry) = self.entries.get_mut(&name) {
                entry.stage = Stage::Running { run, again: false };
                let (request, opened) = (Arc::clone(&entry.request), entry.opened);
                let (has_waited, decided) = (entry.announced.is_some(), entry.decided.take());
                return Some(Job { request, opened, has_waited, decided, name, run });
            }
        }
    }

    /// The entry of a job, unless it was removed meanwhile, and whether it is to be reconciled again.
    fn running(&mut self, job: &Job<K>) -> Option<(&mut Entry<K>, bool)> {
        let entry = self.entries.get_mut(&job.name)?;
        match entry.stage {
            Stage::Running { run, again } if run == job.run => Some((entry, again)),
            _ => None,
        }
    }

    /// Makes ready what is due. Returns how many requests these are, and when the next one is due.
    fn wake(&mut self, now: Instant) -> (usize, Option<Instant>) {
        let mut woken = 0_usize;
        while let Some(((at, _), name)) = self.delayed.first_key_value() {
            if *at > now {
                return (woken, Some(*at));
            }
            let name = name.clone();
            if !self.schedule(&name) {
                // Cannot happen: only what is delayed is in that queue.
                self.delayed.pop_first();
            }
            woken = woken.saturating_add(1);
        }
        (woken, None)
    }
}

#[cfg(test)]
mod tests;
