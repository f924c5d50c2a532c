//! The newest generation of a CA key of every issuer that is or was held.

use std::collections::{BTreeMap, HashMap};

/// Maximum number of issuers that are remembered after they were destroyed.
pub(super) const MAX_REMEMBERED: usize = 1 << 16;

/// The newest generations in this process, by issuer UID. An issuer that is held is never forgotten. Of those
/// that were destroyed, the [`MAX_REMEMBERED`] destroyed last are remembered: otherwise whoever creates and
/// deletes issuers would fill the memory for everyone else.
#[derive(Default)]
pub(super) struct Generations {
    newest: HashMap<String, Newest>,
    /// The destroyed issuers in the order in which they were destroyed.
    destroyed: BTreeMap<u64, String>,
    last_number: u64,
}

struct Newest {
    generation: u64,
    /// The issuer's place in `destroyed`; `None` while it is held.
    destroyed: Option<u64>,
}

impl Generations {
    /// The newest generation of the issuer, if it is remembered.
    pub(super) fn newest(&self, issuer: &str) -> Option<u64> {
        self.newest.get(issuer).map(|newest| newest.generation)
    }

    /// Records the generation of a CA key that is held now.
    pub(super) fn record(&mut self, issuer: &str, generation: u64) {
        self.hold(issuer);
        self.newest.insert(issuer.to_owned(), Newest { generation, destroyed: None });
    }

    /// Keeps what is remembered of an issuer that is held again, with a CA or an offer.
    pub(super) fn hold(&mut self, issuer: &str) {
        let number = self.newest.get_mut(issuer).and_then(|newest| newest.destroyed.take());
        if let Some(number) = number {
            self.destroyed.remove(&number);
        }
    }

    /// Remembers an issuer that was destroyed, in place of the one destroyed longest ago if there are too
    /// many.
    pub(super) fn release(&mut self, issuer: &str) {
        let Some(newest) = self.newest.get_mut(issuer).filter(|newest| newest.destroyed.is_none()) else {
            return;
        };
        self.last_number = self.last_number.wrapping_add(1);
        newest.destroyed = Some(self.last_number);
        self.destroyed.insert(self.last_number, issuer.to_owned());
        if self.destroyed.len() > MAX_REMEMBERED
            && let Some((_, oldest)) = self.destroyed.pop_first()
        {
            self.newest.remove(&oldest);
        }
    }
}
