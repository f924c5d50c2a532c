//! Issuers for tests.

use super::{Found, Issuer};
use serde_json::json;

/// An issuer with this reason.
#[must_use]
#[expect(clippy::missing_panics_doc, reason = "only tests call it")]
pub fn issuer(ready: &str, reason: &str, self_sign: bool) -> Issuer {
    let object = json!({
        "metadata": {"name": "ca", "namespace": "sandbox", "generation": 1},
        "spec": {"secretName": "s", "selfSign": self_sign},
        "status": {"conditions": [{
            "type": "Ready", "status": ready, "reason": reason, "message": format!("about {reason}"),
            "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
        }]},
    });
    let Found::Readable(issuer) = Found::read(false, object) else { panic!("it can be read") };
    *issuer
}
