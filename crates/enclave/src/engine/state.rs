//! What is held for whom. The lock is held for look-ups only: never while a key is made, unwrapped or used.

use crate::keys::QuoteKey;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Most issuers held at a time.
pub(super) const MAX_ISSUERS: usize = 1024;

/// Most issuers of whose keys the generation is remembered, those that were destroyed among them.
const MAX_SEEN: usize = 1 << 16;

/// Refused deliveries after which an offer is closed (design, section 4).
pub(super) const MAX_ATTEMPTS: u32 = 16;

/// An offer: one key pair for one issuer, and the evidence over it.
pub(super) struct Offer {
    pub(super) id: [u8; 16],
    pub(super) nonce: [u8; 32],
    pub(super) key: QuoteKey,
    pub(super) evidence: tcs_evidence::Evidence,
}

/// What is held, by issuer UID. `C` is a CA with its key.
pub(super) struct State<C> {
    tables: Mutex<Tables<C>>,
    made: Condvar,
}

struct Tables<C> {
    issuers: BTreeMap<String, Held<C>>,
    /// Whose offer is being made, and by which turn.
    making: HashMap<String, u64>,
    turns: u64,
    /// The newest generation of a CA key that was ever held, by issuer UID: outlives [`State::destroy`].
    seen: HashMap<String, u64>,
}

/// What is held for one issuer.
pub(super) struct Held<C> {
    pub(super) offer: Option<OpenOffer>,
    /// The last offer that ended by too many refusals, to tell its late deliveries so.
    exhausted: Option<[u8; 16]>,
    pub(super) ca: Option<Arc<C>>,
    /// Of the CA's key.
    pub(super) generation: u64,
}

#[derive(Clone)]
pub(super) struct OpenOffer {
    pub(super) offer: Arc<Offer>,
    pub(super) attempts_left: u32,
}

/// The answer to who wants an offer.
pub(super) enum Begin<'s, C> {
    /// There is one.
    Open(OpenOffer),
    /// Make one, and hand it in.
    Make(Turn<'s, C>),
    /// The issuer holds a CA.
    Provisioned,
    /// No room for another issuer.
    Full,
}

/// The right to make the offer of an issuer. Given back when dropped.
pub(super) struct Turn<'s, C> {
    state: &'s State<C>,
    issuer: String,
    number: u64,
}

/// Why a CA is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NotTaken {
    /// The issuer holds one.
    Provisioned,
    /// No room for another issuer.
    Full,
    /// A newer one was held.
    Old,
    /// The issuer no longer holds the one that it should follow.
    Changed,
}

/// Why there is no offer to deliver to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoOffer {
    Unknown,
    Exhausted,
    Provisioned,
}

impl<C> State<C> {
    pub(super) fn new() -> Self {
        let tables =
            Tables { issuers: BTreeMap::new(), making: HashMap::new(), turns: 0, seen: HashMap::new() };
        Self { tables: Mutex::new(tables), made: Condvar::new() }
    }

    /// The issuer's offer, or the turn to make it; waits while another thread is making it. Beside a CA only for its renewal.
    pub(super) fn begin(&self, issuer: &str, renewal: bool) -> Begin<'_, C> {
        let mut tables = self.lock();
        loop {
            if let Some(held) = tables.issuers.get(issuer) {
                if held.ca.is_some() && !renewal {
                    return Begin::Provisioned;
                }
                if let Some(open) = &held.offer {
                    return Begin::Open(open.clone());
                }
            }
            if !tables.making.contains_key(issuer) {
                break;
            }
            tables = self.made.wait(tables).unwrap_or_else(PoisonError::into_inner);
        }
        if tables.is_full_for(issuer) {
            return Begin::Full;
        }
        tables.turns = tables.turns.wrapping_add(1);
        let number = tables.turns;
        tables.making.insert(issuer.to_owned(), number);
        Begin::Make(Turn { state: self, issuer: issuer.to_owned(), number })
    }

    /// The open offer with this id.
    pub(super) fn offer(&self, issuer: &str, id: &[u8]) -> Result<Arc<Offer>, NoOffer> {
        let tables = self.lock();
        let held = tables.issuers.get(issuer).ok_or(NoOffer::Unknown)?;
        held.open(id).map(|open| Arc::clone(&open.offer))
    }

    /// Counts one attempt to open a wrap with this offer's key, before it is made; says how many are left after it.
    pub(super) fn attempt(&self, issuer: &str, offer: &Offer) -> Result<u32, NoOffer> {
        let mut tables = self.lock();
        let held = tables.issuers.get_mut(issuer).ok_or(NoOffer::Unknown)?;
        let left = held.open(&offer.id)?.attempts_left.checked_sub(1).ok_or(NoOffer::Exhausted)?;
        if let Some(open) = &mut held.offer {
            open.attempts_left = left;
        }
        Ok(left)
    }

    /// Closes an offer after its last refused delivery.
    pub(super) fn exhaust(&self, issuer: &str, offer: &Offer) {
        let mut tables = self.lock();
        let Some(held) = tables.issuers.get_mut(issuer) else { return };
        if held.open(&offer.id).is_ok() {
            held.offer = None;
            held.exhausted = Some(offer.id);
        }
    }

    /// Ends the offer with the CA that was delivered to it, and says the key's generation; refused if the offer has ended
    /// meanwhile. `now`: Unix seconds.
    pub(super) fn accept(&self, issuer: &str, offer: &Offer, ca: Arc<C>, now: u64) -> Result<u64, NoOffer> {
        let mut tables = self.lock();
        tables.issuers.get(issuer).ok_or(NoOffer::Unknown)?.open(&offer.id)?;
        let generation = tables.next_generation(issuer, now);
        let before = tables.hold(issuer, ca, generation);
        drop(tables);
        drop(before);
        Ok(generation)
    }

    /// Takes a CA that was made here. An offer that is just being made for the issuer ends.
    pub(super) fn take(&self, issuer: &str, ca: Arc<C>, now: u64) -> Result<u64, NotTaken> {
        let tables = self.lock();
        let generation = tables.next_generation(issuer, now);
        self.put(tables, issuer, ca, generation)
    }

    /// Takes a CA back; refused if a newer one of the issuer was ever held.
    pub(super) fn restore(&self, issuer: &str, ca: Arc<C>, generation: u64) -> Result<u64, NotTaken> {
        let tables = self.lock();
        if tables.seen.get(issuer).is_some_and(|seen| *seen > generation) {
            return Err(NotTaken::Old);
        }
        self.put(tables, issuer, ca, generation)
    }

    /// Takes the CA that follows the one of this generation; refused if that is no longer the issuer's.
    pub(super) fn follow(&self, issuer: &str, from: u64, ca: Arc<C>, now: u64) -> Result<u64, NotTaken> {
        let mut tables = self.lock();
        if tables.issuers.get(issuer).is_none_or(|held| held.ca.is_none() || held.generation != from) {
            return Err(NotTaken::Changed);
        }
        let generation = tables.next_generation(issuer, now);
        tables.making.remove(issuer);
        let before = tables.hold(issuer, ca, generation);
        drop(tables);
        self.made.notify_all();
        // A key that nobody uses any more is wiped here, outside the lock.
        drop(before);
        Ok(generation)
    }

    fn put(
        &self,
        mut tables: MutexGuard<'_, Tables<C>>,
        issuer: &str,
        ca: Arc<C>,
        generation: u64,
    ) -> Result<u64, NotTaken> {
        if tables.issuers.get(issuer).is_some_and(|held| held.ca.is_some()) {
            return Err(NotTaken::Provisioned);
        }
        if tables.is_full_for(issuer) {
            return Err(NotTaken::Full);
        }
        tables.making.remove(issuer);
        tables.hold(issuer, ca, generation);
        drop(tables);
        self.made.notify_all();
        Ok(generation)
    }

    /// The issuer's CA.
    pub(super) fn ca(&self, issuer: &str) -> Option<Arc<C>> {
        self.lock().issuers.get(issuer)?.ca.clone()
    }

    /// The issuer's CA and the generation of its key.
    pub(super) fn ca_to_seal(&self, issuer: &str) -> Option<(Arc<C>, u64)> {
        let tables = self.lock();
        let held = tables.issuers.get(issuer)?;
        Some((held.ca.clone()?, held.generation))
    }

    /// Forgets everything of an issuer, also an offer that is just being made.
    pub(super) fn destroy(&self, issuer: &str) {
        let mut tables = self.lock();
        let forgotten = tables.issuers.remove(issuer);
        tables.making.remove(issuer);
        drop(tables);
        self.made.notify_all();
        // Keys are wiped here, outside the lock.
        drop(forgotten);
    }

    /// Shows every issuer of which an offer or a CA is held, or only the one named.
    pub(super) fn visit(&self, only: Option<&str>, mut show: impl FnMut(&str, &Held<C>)) {
        let tables = self.lock();
        let mut show_held = |issuer: &str, held: &Held<C>| {
            if held.offer.is_some() || held.ca.is_some() {
                show(issuer, held);
            }
        };
        match only {
            Some(issuer) => {
                if let Some(held) = tables.issuers.get(issuer) {
                    show_held(issuer, held);
                }
            }
            None => tables.issuers.iter().for_each(|(issuer, held)| show_held(issuer, held)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tables<C>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Tables<C> {
    fn is_full_for(&self, issuer: &str) -> bool {
        let held = self.issuers.len().saturating_add(self.making.len());
        let is_new = !self.issuers.contains_key(issuer) && !self.making.contains_key(issuer);
        (held >= MAX_ISSUERS && is_new) || (self.seen.len() >= MAX_SEEN && !self.seen.contains_key(issuer))
    }

    /// Above every one seen; beyond a restart, after which nothing is remembered, time puts keys in order.
    fn next_generation(&self, issuer: &str, now: u64) -> u64 {
        self.seen.get(issuer).map_or(now, |seen| now.max(seen.saturating_add(1)))
    }

    /// What was held before.
    fn hold(&mut self, issuer: &str, ca: Arc<C>, generation: u64) -> Option<Held<C>> {
        let held = Held { offer: None, exhausted: None, ca: Some(ca), generation };
        self.seen.insert(issuer.to_owned(), generation);
        self.issuers.insert(issuer.to_owned(), held)
    }
}

impl<C> Turn<'_, C> {
    /// Hands the offer in; `None` if the issuer was destroyed meanwhile.
    pub(super) fn finish(self, offer: Offer) -> Option<OpenOffer> {
        let mut tables = self.state.lock();
        if tables.making.get(&self.issuer) != Some(&self.number) {
            return None;
        }
        let open = OpenOffer { offer: Arc::new(offer), attempts_left: MAX_ATTEMPTS };
        let nothing = || Held { offer: None, exhausted: None, ca: None, generation: 0 };
        let held = tables.issuers.entry(self.issuer.clone()).or_insert_with(nothing);
        held.offer = Some(open.clone());
        Some(open)
    }
}

impl<C> Drop for Turn<'_, C> {
    fn drop(&mut self) {
        let mut tables = self.state.lock();
        if tables.making.get(&self.issuer) == Some(&self.number) {
            tables.making.remove(&self.issuer);
        }
        drop(tables);
        self.state.made.notify_all();
    }
}

impl<C> Held<C> {
    fn open(&self, id: &[u8]) -> Result<&OpenOffer, NoOffer> {
        match &self.offer {
            Some(open) if open.offer.id == id => Ok(open),
            _ if self.ca.is_some() => Err(NoOffer::Provisioned),
            _ if self.exhausted.as_ref().is_some_and(|exhausted| exhausted == id) => Err(NoOffer::Exhausted),
            _ => Err(NoOffer::Unknown),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tcs_evidence::Evidence;

    fn offer(id: u8) -> Offer {
        Offer {
            id: [id; 16],
            nonce: [0; 32],
            key: QuoteKey::generate().unwrap(),
            evidence: Evidence::SgxQuote(vec![]),
        }
    }

    fn turn<'s>(state: &'s State<()>, issuer: &str) -> Turn<'s, ()> {
        let Begin::Make(turn) = state.begin(issuer, false) else { panic!("no turn") };
        turn
    }

    #[test]
    fn issuers_are_bounded_and_those_in_the_making_count() {
        let state = State::new();
        let turns: Vec<_> = (0..MAX_ISSUERS).map(|number| turn(&state, &number.to_string())).collect();
        assert!(matches!(state.begin("one more", false), Begin::Full));
        drop(turns);
        drop(turn(&state, "one more"));
    }

    #[test]
    fn an_issuer_destroyed_while_its_offer_is_made_gets_none() {
        let state = State::new();
        let making = turn(&state, "a");
        state.destroy("a");
        let again = turn(&state, "a");
        assert!(making.finish(offer(1)).is_none());
        let open = again.finish(offer(2)).unwrap();
        assert_eq!(state.offer("a", &[2; 16]).unwrap().id, open.offer.id);
        assert_eq!(state.offer("a", &[1; 16]).err(), Some(NoOffer::Unknown));
    }

    #[test]
    fn a_failed_maker_lets_the_next_one_try() {
        let state = State::<()>::new();
        let making = turn(&state, "a");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| matches!(state.begin("a", false), Begin::Make(_)));
            drop(making);
            assert!(waiting.join().unwrap());
        });
    }

    #[test]
    fn only_an_open_offer_can_be_accepted_and_only_once() {
        let state = State::new();
        let open = turn(&state, "a").finish(offer(1)).unwrap().offer;
        let other = turn(&state, "b").finish(offer(2)).unwrap().offer;
        assert_eq!(state.accept("a", &other, Arc::new(()), 1), Err(NoOffer::Unknown));
        assert_eq!(state.accept("a", &open, Arc::new(()), 1), Ok(1));
        assert_eq!(state.accept("a", &open, Arc::new(()), 1), Err(NoOffer::Provisioned));
        assert!(matches!(state.begin("a", false), Begin::Provisioned));
        state.destroy("a");
        assert_eq!(state.accept("a", &open, Arc::new(()), 1), Err(NoOffer::Unknown));
    }

    #[test]
    fn a_ca_is_taken_once_and_an_older_one_never_comes_back() {
        let state = State::new();
        assert_eq!(state.take("a", Arc::new(1), 100), Ok(100));
        assert_eq!(state.take("a", Arc::new(2), 100), Err(NotTaken::Provisioned));
        assert_eq!(state.restore("a", Arc::new(2), 200), Err(NotTaken::Provisioned));
        assert_eq!(state.ca_to_seal("a").map(|(ca, generation)| (*ca, generation)), Some((1, 100)));
        state.destroy("a");
        assert_eq!(state.take("a", Arc::new(2), 50), Ok(101), "a clock that goes back changes nothing");
        assert_eq!(state.ca_to_seal("a").unwrap().1, 101);
        state.destroy("a");
        assert_eq!(state.restore("a", Arc::new(1), 100), Err(NotTaken::Old));
        assert_eq!(state.restore("a", Arc::new(2), 101), Ok(101));
        assert_eq!(*state.ca("a").unwrap(), 2);
    }

    #[test]
    fn an_offer_that_is_being_made_does_not_end_a_ca_that_came_meanwhile() {
        let state = State::new();
        let making = turn(&state, "a");
        assert_eq!(state.take("a", Arc::new(()), 1), Ok(1));
        assert!(making.finish(offer(1)).is_none());
        assert!(state.ca("a").is_some());
    }

    #[test]
    fn the_next_ca_follows_exactly_the_one_that_it_was_made_for() {
        let state = State::new();
        assert_eq!(state.follow("a", 0, Arc::new(1), 1), Err(NotTaken::Changed), "there is none");
        assert_eq!(state.take("a", Arc::new(1), 100), Ok(100));
        assert_eq!(state.follow("a", 99, Arc::new(2), 100), Err(NotTaken::Changed));
        assert_eq!(state.follow("a", 100, Arc::new(2), 100), Ok(101));
        assert_eq!(state.follow("a", 100, Arc::new(3), 100), Err(NotTaken::Changed), "only once");
        assert_eq!(*state.ca("a").unwrap(), 2);
        state.destroy("a");
        assert_eq!(
            state.restore("a", Arc::new(1), 100),
            Err(NotTaken::Old),
            "the one before does not come back"
        );
    }

    #[test]
    fn a_ca_signs_on_while_the_next_one_is_offered() {
        let state = State::new();
        assert_eq!(state.take("a", Arc::new(1), 100), Ok(100));
        assert!(matches!(state.begin("a", false), Begin::Provisioned));
        let Begin::Make(turn) = state.begin("a", true) else { panic!("no turn") };
        let open = turn.finish(offer(1)).unwrap().offer;
        assert_eq!(*state.ca("a").unwrap(), 1);
        assert_eq!(state.ca_to_seal("a").unwrap().1, 100);
        assert!(matches!(state.begin("a", true), Begin::Open(_)), "the same offer");
        state.exhaust("a", &open);
        assert_eq!(state.offer("a", &[1; 16]).err(), Some(NoOffer::Provisioned));
        assert_eq!(*state.ca("a").unwrap(), 1, "refused deliveries cost the CA nothing");
        let Begin::Make(turn) = state.begin("a", true) else { panic!("no turn") };
        let open = turn.finish(offer(2)).unwrap().offer;
        assert_eq!(state.accept("a", &open, Arc::new(2), 50), Ok(101));
        assert_eq!(*state.ca("a").unwrap(), 2);
        assert!(matches!(state.begin("a", false), Begin::Provisioned), "the offer has ended");
    }

    #[test]
    fn there_is_room_for_so_many_issuers_and_so_many_memories() {
        let state = State::new();
        for number in 0..MAX_ISSUERS {
            assert_eq!(state.take(&number.to_string(), Arc::new(()), 1), Ok(1));
        }
        assert_eq!(state.take("a", Arc::new(()), 1), Err(NotTaken::Full));
        for number in MAX_ISSUERS..MAX_SEEN {
            state.destroy(&(number - 1).to_string());
            assert_eq!(state.take(&number.to_string(), Arc::new(()), 1), Ok(1));
        }
        state.destroy("0");
        assert_eq!(state.restore("a", Arc::new(()), 9), Err(NotTaken::Full));
        assert_eq!(state.restore("0", Arc::new(()), 1), Ok(1), "who was seen is still known");
    }
}
