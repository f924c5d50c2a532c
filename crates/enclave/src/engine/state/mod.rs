//! The offers and CAs of all issuers. The lock is held for look-ups only, never while a key is generated,
//! unwrapped or used.

mod cas;
mod generations;
mod offers;

pub(super) use cas::InstallError;
pub(super) use offers::{BeginOffer, OfferError, OfferReservation};

use crate::keys::QuoteKey;
use generations::Generations;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Maximum number of issuers at a time.
const MAX_ISSUERS: usize = 1024;

/// Refused deliveries after which an offer is closed (docs/protocol.md, "QuoteAttestation").
pub(super) const MAX_ATTEMPTS: u32 = 16;

/// What the enclave holds, by issuer UID. `C` is a CA with its key.
pub(super) struct State<C> {
    tables: Mutex<Tables<C>>,
    /// Notified when an offer was made, will not be made, or is overdue.
    reservation_ended: Condvar,
}

struct Tables<C> {
    issuers: BTreeMap<String, Held<C>>,
    /// The issuers for which an offer is being made.
    reservations: HashMap<String, Reservation>,
    last_reservation: u64,
    /// The issuers whose first CA is being made, and by how many callers.
    making_cas: HashMap<String, usize>,
    /// [`State::destroy`] does not remove what they say about an issuer.
    generations: Generations,
}

/// An offer in the making.
struct Reservation {
    number: u64,
    /// Whether it takes too long. Then nobody waits for it any longer.
    is_overdue: bool,
}

/// What the enclave holds for one issuer.
pub(super) struct Held<C> {
    pub(super) offer: Option<OpenOffer>,
    /// The last offer that was closed after too many refusals. Late deliveries for it are refused for that
    /// reason.
    exhausted: Option<[u8; 16]>,
    pub(super) ca: Option<Arc<C>>,
    /// Generation of the CA's key.
    pub(super) generation: u64,
}

/// An offer: one key pair for one issuer, and the evidence over it.
pub(super) struct Offer {
    /// 16 random bytes.
    pub(super) id: [u8; 16],
    pub(super) nonce: [u8; 32],
    pub(super) key: Box<dyn QuoteKey>,
    pub(super) evidence: tcs_evidence::Evidence,
}

/// An offer that waits for a delivery.
#[derive(Clone)]
pub(super) struct OpenOffer {
    pub(super) offer: Arc<Offer>,
    pub(super) attempts_left: u32,
}

impl<C> State<C> {
    pub(super) fn new() -> Arc<Self> {
        let tables = Tables {
            issuers: BTreeMap::new(),
            reservations: HashMap::new(),
            last_reservation: 0,
            making_cas: HashMap::new(),
            generations: Generations::default(),
        };
        Arc::new(Self { tables: Mutex::new(tables), reservation_ended: Condvar::new() })
    }

    /// Forgets everything about an issuer, including an offer that is being made.
    pub(super) fn destroy(&self, issuer: &str) {
        let mut tables = self.lock();
        let forgotten = tables.issuers.remove(issuer);
        tables.reservations.remove(issuer);
        tables.generations.release(issuer);
        drop(tables);
        self.reservation_ended.notify_all();
        // Keys are wiped here, outside the lock.
        drop(forgotten);
    }

    /// Calls `show` for every issuer that takes a place for longer than a call, or only for the named one:
    /// also without an entry while its first offer is being made, and with an empty entry after its offer was
    /// closed. Whoever destroys what belongs to deleted issuers must see them all.
    pub(super) fn visit(&self, only: Option<&str>, mut show: impl FnMut(&str, Option<&Held<C>>)) {
        let tables = self.lock();
        let is_shown = |issuer: &str| only.is_none_or(|only| only == issuer);
        for (issuer, held) in tables.issuers.iter().filter(|(issuer, _)| is_shown(issuer)) {
            show(issuer, Some(held));
        }
        let making = tables.reservations.keys().filter(|issuer| !tables.issuers.contains_key(*issuer));
        making.filter(|issuer| is_shown(issuer)).for_each(|issuer| show(issuer, None));
    }

    fn lock(&self) -> MutexGuard<'_, Tables<C>> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> Tables<C> {
    fn is_full_for(&self, issuer: &str) -> bool {
        let is_held = |issuer: &String| self.issuers.contains_key(issuer);
        let has_offer = |issuer: &String| self.reservations.contains_key(issuer);
        // An issuer takes one place, whatever is being made for it.
        let offers = self.reservations.keys().filter(|issuer| !is_held(issuer)).count();
        let cas = self.making_cas.keys().filter(|issuer| !is_held(issuer) && !has_offer(issuer)).count();
        let is_new = !self.issuers.contains_key(issuer)
            && !self.reservations.contains_key(issuer)
            && !self.making_cas.contains_key(issuer);
        self.issuers.len().saturating_add(offers).saturating_add(cas) >= MAX_ISSUERS && is_new
    }
}

#[cfg(test)]
mod tests;
