//! What is to be reconciled, in its order.

use crate::runtime::unreadable::ObjectName;
use std::collections::BTreeMap;

/// Requests by their places. The places are in one order for all queues.
#[derive(Default)]
pub struct Queues {
    /// Those that are held.
    pub held: BTreeMap<u64, ObjectName>,
    /// Small ones that are not held.
    pub small: BTreeMap<u64, ObjectName>,
    /// Large ones that are not held.
    pub large: BTreeMap<u64, ObjectName>,
}

impl Queues {
    /// Nobody is at this place any longer.
    pub fn remove(&mut self, place: u64) {
        for queue in [&mut self.held, &mut self.small, &mut self.large] {
            queue.remove(&place);
        }
    }

    /// Whether there is a request that is not held.
    pub fn have_unread(&self) -> bool {
        !(self.small.is_empty() && self.large.is_empty())
    }

    /// The first small one and the first large one that are not held, in their order, if they are before all
    /// that are held. For a large one there may be no room where there is some for a small one.
    pub fn unread_before_held(&self) -> Vec<(u64, ObjectName)> {
        let held = self.held.first_key_value().map(|(place, _)| *place);
        let firsts = [&self.small, &self.large].into_iter().filter_map(BTreeMap::first_key_value);
        let before = firsts.filter(|(place, _)| held.is_none_or(|held| **place < held));
        let mut before: Vec<_> = before.map(|(place, name)| (*place, name.clone())).collect();
        before.sort_by_key(|(place, _)| *place);
        before
    }
}
