//! The offers and CAs of all issuers. The lock is held for look-ups only, never while a key is generated,
//! unwrapped or used.

mod cas;
mod offers;

pub(super) use cas::InstallError;
pub(super) use offers::{BeginOffer, OfferError};

use crate::keys::QuoteKey;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Maximum number of issuers at a time.
const MAX_ISSUERS: usize = 1024;

/// Maximum number of issuers whose newest generation is remembered, including destroyed ones.
const MAX_REMEMBERED: usize = 1 << 16;

/// Refused deliveries after which an offer is closed (docs/protocol.md, "QuoteAttestation").
pub(super) const MAX_ATTEMPTS: u32 = 16;

/// What the enclave holds, by issuer UID. `C` is a CA with its key.
pub(super) struct State<C> {
    tables: Mutex<Tables<C>>,
    /// Notified when an offer was made, or will not be made.
    reservation_ended: Condvar,
}

struct Tables<C> {
    issuers: BTreeMap<String, Held<C>>,
    /// The issuers for which an offer is being made, each with the number of its reservation.
    reservations: HashMap<String, u64>,
    last_reservation: u64,
    /// The newest generation of a CA key in this process, by issuer UID. [`State::destroy`] does not remove
    /// it.
    newest: HashMap<String, u64>,
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
    pub(super) fn new() -> Self {
        let tables = Tables {
            issuers: BTreeMap::new(),
            reservations: HashMap::new(),
            last_reservation: 0,
            newest: HashMap::new(),
        };
        Self { tables: Mutex::new(tables), reservation_ended: Condvar::new() }
    }

    /// Forgets everything about an issuer, including an offer that is being made.
    pub(super) fn destroy(&self, issuer: &str) {
        let mut tables = self.lock();
        let forgotten = tables.issuers.remove(issuer);
        tables.reservations.remove(issuer);
        drop(tables);
        self.reservation_ended.notify_all();
        // Keys are wiped here, outside the lock.
        drop(forgotten);
    }

    /// Calls `show` for every issuer with an offer or a CA, or only for the named one.
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
        let held = self.issuers.len().saturating_add(self.reservations.len());
        let is_new = !self.issuers.contains_key(issuer) && !self.reservations.contains_key(issuer);
        (held >= MAX_ISSUERS && is_new)
            || (self.newest.len() >= MAX_REMEMBERED && !self.newest.contains_key(issuer))
    }
}

#[cfg(test)]
mod tests;
