//! Which requests wait for what.

use std::collections::HashMap;
use std::sync::Mutex;

/// Why each request waits, by its UID, so that one reason is announced in one Event.
#[derive(Default)]
pub struct AnnouncedWaits(Mutex<HashMap<String, &'static str>>);

impl AnnouncedWaits {
    /// Records why a request waits. Returns whether the reason is new.
    pub fn start(&self, uid: &str, reason: &'static str) -> bool {
        self.0.lock().is_ok_and(|mut waits| waits.insert(uid.to_owned(), reason) != Some(reason))
    }

    /// The request does not wait any longer.
    pub fn end(&self, uid: &str) {
        if let Ok(mut waits) = self.0.lock() {
            waits.remove(uid);
        }
    }
}
