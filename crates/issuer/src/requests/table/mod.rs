//! The open requests of one request API: which of them is to be reconciled next, since when they are open,
//! and what they wait for.
//!
//! Requests go straight from the watch to the workers. kube's controller runtime is not used for them: its
//! scheduler adds a millisecond or two to each request.
//!
//! Requests are held in memory as long as they fit ([`budget`]). Of one that does not fit, or that waits
//! while room is scarce, the table keeps only the name, and the worker whose turn it is reads it from the API
//! server. Thus no number of large requests exceeds the memory of the controller, and none is lost or fails
//! because it is large. What finds no room at its turn is read all the same, one request at a time, while
//! those that are held go past it, and small ones go past large ones.

pub mod budget;

mod job;
mod queues;
mod setbacks;

pub use job::{Job, Next, Turn, Unread, Work};

use super::RequestKind;
use crate::access::shared_reviews::Decided;
use crate::context::caches::Listed;
use crate::context::queues::{OpenCounts, OpenRequests};
use crate::runtime::unreadable::ObjectName;
use budget::{Budget, Held};
use kube::ResourceExt as _;
use queues::Queues;
use setbacks::Setbacks;
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
    budget: Budget,
    /// A request became ready.
    ready: Notify,
    /// A request was delayed.
    delayed: Notify,
    /// Whether the first list of the requests is complete.
    pub listed: Listed,
}

struct State<K> {
    entries: HashMap<ObjectName, Entry<K>>,
    /// What is to be reconciled.
    queues: Queues,
    /// What is to be reconciled later.
    delayed: BTreeMap<(Instant, u64), ObjectName>,
    /// Numbers places in all queues.
    last: u64,
}

struct Entry<K> {
    object: Object<K>,
    /// The issuer that it names, parsed once.
    signer: Option<SignerName>,
    opened: Instant,
    /// Why it waits, if that was announced, so that one reason is announced in one Event.
    announced: Option<&'static str>,
    setbacks: Setbacks,
    /// [`RequestKind::own_status`] of the last version. A version in which it differs is what a worker wrote
    /// about the request, and no reason to reconcile it again.
    own_status: Option<u64>,
    /// For the next job.
    decided: Option<Decided>,
    /// It was changed since its last turn.
    is_changed: bool,
    stage: Stage,
}

/// A request, or what is known of one for which there was no room.
enum Object<K> {
    Held(Arc<Held<K>>),
    NotHeld(Box<NotHeld>),
}

struct NotHeld {
    uid: Option<String>,
    version: Option<String>,
    /// How much memory it takes.
    size: usize,
    is_large: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It waits for a change.
    Idle,
    /// It has this place in the queue that is right for it.
    Ready(u64),
    /// It has this place in `delayed`.
    Delayed(Instant, u64),
    /// It had this place. A worker has it, or it waits for a review. It is reconciled `again` if something
    /// changed since.
    Running { place: u64, again: bool },
}

impl<K: RequestKind> RequestTable<K> {
    /// A table without requests, which takes memory from this budget.
    #[must_use]
    pub fn new(budget: Budget) -> Self {
        let state =
            State { entries: HashMap::new(), queues: Queues::default(), delayed: BTreeMap::new(), last: 0 };
        Self {
            state: Mutex::new(state),
            budget,
            ready: Notify::new(),
            delayed: Notify::new(),
            listed: Listed::default(),
        }
    }

    /// The request is open, in this version.
    pub fn apply(&self, request: K) {
        let name = ObjectName::of(request.meta());
        let own_status = request.own_status();
        let mut state = self.lock();
        let known =
            state.entries.get_mut(&name).filter(|entry| entry.object.uid() == request.uid().as_deref());
        if let Some(entry) = known {
            let was = std::mem::replace(&mut entry.own_status, own_status);
            let is_own_change = was.zip(own_status).is_some_and(|(was, now)| was != now);
            let is_same = entry.object.version() == request.resource_version().as_deref();
            if is_same && entry.setbacks.are_refusals() {
                // It was only listed again.
                return;
            }
            if !is_own_change && entry.setbacks.are_refusals() {
                entry.setbacks = Setbacks::None;
            }
            entry.signer = request.signer();
            entry.is_changed |= !is_same;
            // The earlier version gives its room back before the new one asks for some.
            entry.object = Object::not_held(&request, &self.budget);
            entry.object = Object::of(request, &self.budget);
            state.place_again(&name);
            if is_own_change {
                self.ready.notify_one();
                return;
            }
        } else {
            state.remove(&name);
            let signer = request.signer();
            let object = Object::of(request, &self.budget);
            state.entries.insert(name.clone(), Entry::new(object, signer, own_status));
        }
        state.schedule(&name);
        // Even if it was ready: it may be held now.
        self.ready.notify_one();
    }

    /// The request has a result, was deleted, or cannot be read any longer.
    pub fn remove(&self, name: &ObjectName) {
        let mut state = self.lock();
        state.remove(name);
        self.there_may_be_room(&state);
    }

    /// Only these requests are open: others were deleted while nobody watched.
    pub fn retain(&self, open: &HashSet<ObjectName>) {
        let mut state = self.lock();
        let gone: Vec<_> = state.entries.keys().filter(|name| !open.contains(name)).cloned().collect();
        for name in gone {
            state.remove(&name);
        }
        self.there_may_be_room(&state);
    }

    /// Something that was held may be held no longer: a worker that waits looks again.
    fn there_may_be_room(&self, state: &State<K>) {
        if state.queues.have_unread() {
            self.ready.notify_one();
        }
    }

    /// Waits for a request that is to be reconciled. Nobody else gets it before [`Self::finish`]. May be
    /// cancelled.
    ///
    /// A request that is not held can wait here for room. Then somebody has the one place for what finds
    /// none, and calls this function when that is free again.
    pub async fn next(&self) -> Work<K> {
        loop {
            let mut ready = pin!(self.ready.notified());
            ready.as_mut().enable();
            let begun = self.lock().begin(&self.budget);
            if let Some(work) = begun {
                if matches!(work, Work::Read(_)) {
                    // There may be room for another one.
                    self.ready.notify_one();
                }
                return work;
            }
            ready.await;
        }
    }

    /// The turn has ended.
    pub fn finish(&self, job: &Turn, next: Next) {
        let mut state = self.lock();
        let Some((entry, again)) = state.running(job) else { return };
        entry.setbacks = entry.setbacks.with(next);
        let later = match (next, entry.setbacks) {
            (Next::After(later), _) => Some(later),
            (_, setbacks) => setbacks.pause(),
        };
        entry.stage = Stage::Idle;
        if again {
            state.schedule(&job.name);
            self.ready.notify_one();
            return;
        }
        entry.object.give_way(&self.budget);
        if let Some(later) = later {
            state.delay(&job.name, later);
            self.delayed.notify_one();
        }
    }

    /// A job had to wait for a review, which has ended: the request is reconciled with what was found, before
    /// those that came later.
    pub fn resume(&self, turn: &Turn, decided: Decided) {
        let mut state = self.lock();
        let Some((entry, _)) = state.running(turn) else { return };
        entry.decided = Some(decided);
        entry.stage = Stage::Ready(turn.place);
        state.place_again(&turn.name);
        self.ready.notify_one();
    }

    /// The job gave the request its result.
    pub fn close(&self, job: &Turn) {
        let mut state = self.lock();
        if state.running(job).is_some() {
            state.remove(&job.name);
        }
    }

    /// Records why a request waits. Returns whether that is to be announced: the reason is new, and the
    /// request is still open.
    pub fn start_wait(&self, job: &Turn, reason: &'static str) -> bool {
        let mut state = self.lock();
        state.running(job).is_some_and(|(entry, _)| entry.announced.replace(reason) != Some(reason))
    }

    /// The request does not wait any longer, unless it is for this reason.
    pub fn end_wait(&self, job: &Turn, except: &'static str) {
        if let Some((entry, _)) = self.lock().running(job) {
            entry.announced.take_if(|announced| *announced != except);
        }
    }

    /// The reason could not be announced.
    pub fn take_wait_back(&self, job: &Turn, reason: &'static str) {
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
            counts.oldest = counts.oldest.max(entry.opened.elapsed());
            if matches!(entry.object, Object::NotHeld(_)) {
                counts.not_held = counts.not_held.saturating_add(1);
            }
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
        let is_one = |entry: &Entry<K>| entry.signer.as_ref().is_some_and(is_one);
        let chosen =
            state.entries.iter().filter(|(_, entry)| !entry.setbacks.are_refusals() && is_one(entry));
        let chosen: Vec<_> = chosen.map(|(name, _)| name.clone()).collect();
        for name in chosen {
            if state.schedule(&name) {
                self.ready.notify_one();
            }
        }
    }
}

impl<K: RequestKind> Entry<K> {
    fn new(object: Object<K>, signer: Option<SignerName>, own_status: Option<u64>) -> Self {
        let (opened, stage) = (Instant::now(), Stage::Idle);
        let (announced, setbacks, decided, is_changed) = (None, Setbacks::None, None, true);
        Self { object, signer, opened, announced, setbacks, own_status, decided, is_changed, stage }
    }

    fn begin(&mut self, name: ObjectName, place: u64) -> Turn {
        self.stage = Stage::Running { place, again: false };
        let (announced, decided) = (self.announced, self.decided.take());
        let is_changed = std::mem::take(&mut self.is_changed);
        Turn { opened: self.opened, announced, decided, signer: self.signer.clone(), is_changed, name, place }
    }
}

impl<K: RequestKind> Object<K> {
    /// The request, if there is room for it.
    fn of(request: K, budget: &Budget) -> Self {
        match budget.reserve(request.memory()) {
            Some(share) => Self::Held(Arc::new(Held::new(request, share))),
            None => Self::not_held(&request, budget),
        }
    }

    fn not_held(request: &K, budget: &Budget) -> Self {
        let size = request.memory();
        Self::NotHeld(Box::new(NotHeld {
            uid: request.uid(),
            version: request.resource_version(),
            size,
            is_large: budget.is_large(size),
        }))
    }

    /// The request waits: it is not held any longer if others need the room.
    fn give_way(&mut self, budget: &Budget) {
        if let Self::Held(request) = self
            && budget.is_scarce(request.memory())
        {
            *self = Self::not_held(&***request, budget);
        }
    }

    fn version(&self) -> Option<&str> {
        match self {
            Self::Held(request) => request.meta().resource_version.as_deref(),
            Self::NotHeld(request) => request.version.as_deref(),
        }
    }

    fn uid(&self) -> Option<&str> {
        match self {
            Self::Held(request) => request.meta().uid.as_deref(),
            Self::NotHeld(request) => request.uid.as_deref(),
        }
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
        self.place_again(name);
        true
    }

    /// Puts a request that is ready into the queue that is right for it, at the place that it has.
    fn place_again(&mut self, name: &ObjectName) {
        let Some(Entry { stage: Stage::Ready(place), object, .. }) = self.entries.get(name) else { return };
        self.queues.remove(*place);
        let queue = match object {
            Object::Held(_) => &mut self.queues.held,
            Object::NotHeld(request) if request.is_large => &mut self.queues.large,
            Object::NotHeld(_) => &mut self.queues.small,
        };
        queue.insert(*place, name.clone());
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
            Some(Stage::Ready(place)) => self.queues.remove(place),
            Some(Stage::Delayed(at, place)) => drop(self.delayed.remove(&(at, place))),
            Some(Stage::Idle | Stage::Running { .. }) | None => {}
        }
    }

    fn begin(&mut self, budget: &Budget) -> Option<Work<K>> {
        for (place, name) in self.queues.unread_before_held() {
            if let Some(unread) = self.begin_unread(place, name, budget) {
                return Some(Work::Read(unread));
            }
        }
        let (place, name) = self.queues.held.pop_first()?;
        let entry = self.entries.get_mut(&name)?;
        let Object::Held(request) = &entry.object else { return None };
        let request = Arc::clone(request);
        Some(Work::Reconcile(Job { request, turn: entry.begin(name, place) }))
    }

    /// Begins with this request, if there is room for it.
    fn begin_unread(&mut self, place: u64, name: ObjectName, budget: &Budget) -> Option<Unread> {
        let entry = self.entries.get_mut(&name)?;
        let Object::NotHeld(request) = &entry.object else { return None };
        let (share, uid) = (budget.reserve_turn(request.size)?, request.uid.clone());
        self.queues.remove(place);
        Some(Unread { turn: entry.begin(name, place), uid, share })
    }

    /// The entry of a job, unless it was removed meanwhile, and whether it is to be reconciled again.
    fn running(&mut self, job: &Turn) -> Option<(&mut Entry<K>, bool)> {
        let entry = self.entries.get_mut(&job.name)?;
        match entry.stage {
            Stage::Running { place, again } if place == job.place => Some((entry, again)),
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
pub(super) mod tests;
