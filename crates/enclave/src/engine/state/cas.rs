//! The CAs of issuers and the generations of their keys.

use super::offers::OfferError;
use super::{Held, Offer, State, Tables};
use std::sync::{Arc, MutexGuard};

/// Why a CA is not installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine) enum InstallError {
    /// The issuer already has one.
    Provisioned,
    /// There is no room for another issuer.
    Full,
    /// The issuer has had a newer one.
    Old,
    /// The CA to be replaced is no longer that of the issuer.
    Changed,
}

impl<C> State<C> {
    /// The issuer's CA.
    pub(in crate::engine) fn ca(&self, issuer: &str) -> Option<Arc<C>> {
        self.lock().issuers.get(issuer)?.ca.clone()
    }

    /// The issuer's CA and the generation of its key.
    pub(in crate::engine) fn current_ca(&self, issuer: &str) -> Option<(Arc<C>, u64)> {
        let tables = self.lock();
        let held = tables.issuers.get(issuer)?;
        Some((held.ca.clone()?, held.generation))
    }

    /// Ends the offer with the CA that was delivered for it, and returns the generation of its key. Fails if
    /// the offer has ended meanwhile. `now`: Unix seconds.
    pub(in crate::engine) fn install_delivered(
        &self,
        issuer: &str,
        offer: &Offer,
        ca: Arc<C>,
        now: u64,
    ) -> Result<u64, OfferError> {
        let mut tables = self.lock();
        tables.issuers.get(issuer).ok_or(OfferError::Unknown)?.open_offer(&offer.id)?;
        let generation = tables.next_generation(issuer, now);
        let before = tables.set_ca(issuer, ca, generation);
        drop(tables);
        drop(before);
        Ok(generation)
    }

    /// Installs a CA that was generated in the enclave. An offer that is being made for the issuer ends.
    /// `now`: Unix seconds.
    pub(in crate::engine) fn install_generated(
        &self,
        issuer: &str,
        ca: Arc<C>,
        now: u64,
    ) -> Result<u64, InstallError> {
        let tables = self.lock();
        let generation = tables.next_generation(issuer, now);
        self.install(tables, issuer, ca, generation)
    }

    /// Installs a CA that was sealed. Fails if the issuer has had a newer one in this process.
    pub(in crate::engine) fn install_restored(
        &self,
        issuer: &str,
        ca: Arc<C>,
        generation: u64,
    ) -> Result<u64, InstallError> {
        let tables = self.lock();
        if tables.generations.newest(issuer).is_some_and(|newest| newest > generation) {
            return Err(InstallError::Old);
        }
        self.install(tables, issuer, ca, generation)
    }

    /// Replaces the CA with generation `from`. Fails if that is no longer the CA of the issuer. `now`: Unix
    /// seconds.
    pub(in crate::engine) fn replace(
        &self,
        issuer: &str,
        from: u64,
        ca: Arc<C>,
        now: u64,
    ) -> Result<u64, InstallError> {
        let mut tables = self.lock();
        if tables.issuers.get(issuer).is_none_or(|held| held.ca.is_none() || held.generation != from) {
            return Err(InstallError::Changed);
        }
        let generation = tables.next_generation(issuer, now);
        tables.reservations.remove(issuer);
        let before = tables.set_ca(issuer, ca, generation);
        drop(tables);
        self.reservation_ended.notify_all();
        // A key that is no longer used is wiped here, outside the lock.
        drop(before);
        Ok(generation)
    }

    fn install(
        &self,
        mut tables: MutexGuard<'_, Tables<C>>,
        issuer: &str,
        ca: Arc<C>,
        generation: u64,
    ) -> Result<u64, InstallError> {
        if tables.issuers.get(issuer).is_some_and(|held| held.ca.is_some()) {
            return Err(InstallError::Provisioned);
        }
        if tables.is_full_for(issuer) {
            return Err(InstallError::Full);
        }
        tables.reservations.remove(issuer);
        tables.set_ca(issuer, ca, generation);
        drop(tables);
        self.reservation_ended.notify_all();
        Ok(generation)
    }
}

impl<C> Tables<C> {
    /// Greater than every generation of the issuer that is remembered. Of the others, the time orders the
    /// keys.
    fn next_generation(&self, issuer: &str, now: u64) -> u64 {
        self.generations.newest(issuer).map_or(now, |newest| now.max(newest.saturating_add(1)))
    }

    /// Installs the CA and returns the previous entry.
    fn set_ca(&mut self, issuer: &str, ca: Arc<C>, generation: u64) -> Option<Held<C>> {
        let held = Held { offer: None, exhausted: None, ca: Some(ca), generation };
        self.generations.record(issuer, generation);
        self.issuers.insert(issuer.to_owned(), held)
    }
}
