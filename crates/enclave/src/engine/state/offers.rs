//! The life of an offer: it is made by one thread at a time, every attempt is counted, and it is closed after
//! the last one.

use super::{Held, MAX_ATTEMPTS, Offer, OpenOffer, Reservation, State, Tables};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// The answer to a caller that needs the offer of an issuer.
pub(in crate::engine) enum BeginOffer<C> {
    /// The offer is open.
    Open(OpenOffer),
    /// There is none. The caller has to make one and hand it in.
    Make(OfferReservation<C>),
    /// It is being made, and that takes too long to wait for it.
    Overdue,
    /// The issuer already has a CA.
    Provisioned,
    /// There is no room for another issuer.
    Full,
}

/// The right to make the offer of an issuer. Dropping it lets the next caller make the offer.
pub(in crate::engine) struct OfferReservation<C> {
    state: Arc<State<C>>,
    issuer: String,
    number: u64,
}

/// Why there is no offer to deliver for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum OfferError {
    Unknown,
    Exhausted,
    Provisioned,
}

impl<C> State<C> {
    /// The issuer's offer, or the right to make it. While another thread is making it, waits for at most
    /// `patience`, and not at all if the offer is overdue. An issuer with a CA gets an offer only for its
    /// `renewal`.
    pub(in crate::engine) fn begin_offer(
        self: &Arc<Self>,
        issuer: &str,
        renewal: bool,
        patience: Duration,
    ) -> BeginOffer<C> {
        let is_waiting = |tables: &mut Tables<C>| {
            let held = tables.issuers.get(issuer);
            let is_answered = held.is_some_and(|held| held.offer.is_some() || held.ca.is_some() && !renewal);
            let making = tables.reservations.get(issuer);
            !is_answered && making.is_some_and(|making| !making.is_overdue)
        };
        let waited = self.reservation_ended.wait_timeout_while(self.lock(), patience, is_waiting);
        let (mut tables, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let Some(held) = tables.issuers.get(issuer) {
            if held.ca.is_some() && !renewal {
                return BeginOffer::Provisioned;
            }
            if let Some(open) = &held.offer {
                return BeginOffer::Open(open.clone());
            }
        }
        if tables.reservations.contains_key(issuer) {
            return BeginOffer::Overdue;
        }
        if tables.is_full_for(issuer) {
            return BeginOffer::Full;
        }
        tables.last_reservation = tables.last_reservation.wrapping_add(1);
        let number = tables.last_reservation;
        tables.reservations.insert(issuer.to_owned(), Reservation { number, is_overdue: false });
        BeginOffer::Make(OfferReservation { state: Arc::clone(self), issuer: issuer.to_owned(), number })
    }

    /// Records that the offer with this reservation takes too long. It can still be handed in.
    pub(in crate::engine) fn set_overdue(&self, issuer: &str, number: u64) {
        let mut tables = self.lock();
        if let Some(making) = tables.reservations.get_mut(issuer).filter(|making| making.number == number) {
            making.is_overdue = true;
        }
        drop(tables);
        self.reservation_ended.notify_all();
    }

    /// The open offer with this id.
    pub(in crate::engine) fn offer(&self, issuer: &str, id: &[u8]) -> Result<Arc<Offer>, OfferError> {
        let tables = self.lock();
        let held = tables.issuers.get(issuer).ok_or(OfferError::Unknown)?;
        held.open_offer(id).map(|open| Arc::clone(&open.offer))
    }

    /// Counts one attempt to unwrap with the key of this offer, before the attempt is made, and returns how
    /// many are left after it.
    pub(in crate::engine) fn count_attempt(&self, issuer: &str, offer: &Offer) -> Result<u32, OfferError> {
        let mut tables = self.lock();
        let held = tables.issuers.get_mut(issuer).ok_or(OfferError::Unknown)?;
        let left = held.open_offer(&offer.id)?.attempts_left.checked_sub(1).ok_or(OfferError::Exhausted)?;
        if let Some(open) = &mut held.offer {
            open.attempts_left = left;
        }
        Ok(left)
    }

    /// Closes an offer after its last refused delivery.
    pub(in crate::engine) fn close_exhausted(&self, issuer: &str, offer: &Offer) {
        let mut tables = self.lock();
        let Some(held) = tables.issuers.get_mut(issuer) else { return };
        if held.open_offer(&offer.id).is_ok() {
            held.offer = None;
            held.exhausted = Some(offer.id);
        }
    }
}

impl<C> OfferReservation<C> {
    /// Identifies the reservation for [`State::set_overdue`].
    pub(in crate::engine) fn number(&self) -> u64 {
        self.number
    }

    fn holds(&self, tables: &Tables<C>) -> bool {
        tables.reservations.get(&self.issuer).is_some_and(|making| making.number == self.number)
    }

    /// Hands the offer in; `None` if the issuer was destroyed meanwhile.
    pub(in crate::engine) fn fulfil(self, offer: Offer) -> Option<OpenOffer> {
        let mut tables = self.state.lock();
        if !self.holds(&tables) {
            return None;
        }
        let open = OpenOffer { offer: Arc::new(offer), attempts_left: MAX_ATTEMPTS };
        let nothing = || Held { offer: None, exhausted: None, ca: None, generation: 0 };
        let held = tables.issuers.entry(self.issuer.clone()).or_insert_with(nothing);
        held.offer = Some(open.clone());
        tables.generations.hold(&self.issuer);
        Some(open)
    }
}

impl<C> Drop for OfferReservation<C> {
    fn drop(&mut self) {
        let mut tables = self.state.lock();
        if self.holds(&tables) {
            tables.reservations.remove(&self.issuer);
        }
        drop(tables);
        self.state.reservation_ended.notify_all();
    }
}

impl<C> Held<C> {
    pub(super) fn open_offer(&self, id: &[u8]) -> Result<&OpenOffer, OfferError> {
        match &self.offer {
            Some(open) if open.offer.id == id => Ok(open),
            _ if self.ca.is_some() => Err(OfferError::Provisioned),
            _ if self.exhausted.as_ref().is_some_and(|exhausted| exhausted == id) => {
                Err(OfferError::Exhausted)
            }
            _ => Err(OfferError::Unknown),
        }
    }
}
