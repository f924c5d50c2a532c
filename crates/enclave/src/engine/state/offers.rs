//! The life of an offer: it is made by one thread at a time, every attempt is counted, and it is closed after
//! the last one.

use super::{Held, MAX_ATTEMPTS, Offer, OpenOffer, State};
use std::sync::{Arc, PoisonError};

/// The answer to a caller that needs the offer of an issuer.
pub(in crate::engine) enum BeginOffer<'s, C> {
    /// The offer is open.
    Open(OpenOffer),
    /// There is none. The caller has to make one and hand it in.
    Make(OfferReservation<'s, C>),
    /// The issuer already has a CA.
    Provisioned,
    /// There is no room for another issuer.
    Full,
}

/// The right to make the offer of an issuer. Dropping it lets the next caller make the offer.
pub(in crate::engine) struct OfferReservation<'s, C> {
    state: &'s State<C>,
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
    /// The issuer's offer, or the right to make it. Waits while another thread is making it. An issuer with a
    /// CA gets an offer only for its `renewal`.
    pub(in crate::engine) fn begin_offer(&self, issuer: &str, renewal: bool) -> BeginOffer<'_, C> {
        let mut tables = self.lock();
        loop {
            if let Some(held) = tables.issuers.get(issuer) {
                if held.ca.is_some() && !renewal {
                    return BeginOffer::Provisioned;
                }
                if let Some(open) = &held.offer {
                    return BeginOffer::Open(open.clone());
                }
            }
            if !tables.reservations.contains_key(issuer) {
                break;
            }
            tables = self.reservation_ended.wait(tables).unwrap_or_else(PoisonError::into_inner);
        }
        if tables.is_full_for(issuer) {
            return BeginOffer::Full;
        }
        tables.last_reservation = tables.last_reservation.wrapping_add(1);
        let number = tables.last_reservation;
        tables.reservations.insert(issuer.to_owned(), number);
        BeginOffer::Make(OfferReservation { state: self, issuer: issuer.to_owned(), number })
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

impl<C> OfferReservation<'_, C> {
    /// Hands the offer in; `None` if the issuer was destroyed meanwhile.
    pub(in crate::engine) fn fulfil(self, offer: Offer) -> Option<OpenOffer> {
        let mut tables = self.state.lock();
        if tables.reservations.get(&self.issuer) != Some(&self.number) {
            return None;
        }
        let open = OpenOffer { offer: Arc::new(offer), attempts_left: MAX_ATTEMPTS };
        let nothing = || Held { offer: None, exhausted: None, ca: None, generation: 0 };
        let held = tables.issuers.entry(self.issuer.clone()).or_insert_with(nothing);
        held.offer = Some(open.clone());
        Some(open)
    }
}

impl<C> Drop for OfferReservation<'_, C> {
    fn drop(&mut self) {
        let mut tables = self.state.lock();
        if tables.reservations.get(&self.issuer) == Some(&self.number) {
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
