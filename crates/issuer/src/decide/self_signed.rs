//! Self-signed issuers: when a CA is made, and when one is not.

use super::clock::{LOOK_AGAIN, retry_after};
use super::{Pass, Plan};
use crate::issuer::Issuer;
use crate::policy;
use tcs_api::{annotations, reasons};
use tcs_enclave_rpc::{CaSubject, GenerateCa, Identity, RefusalCode};

/// What the original's self-signed CAs were called.
const COMMON_NAME: &str = "SGX self-signed root certificate authority";
const ORGANIZATION: &str = "Intel(R) Corporation";
/// The original knew RSA-3072 only, whose signatures cost fifty times as much.
const KEY_ALGORITHM: &str = "ECDSA-P256";
/// The original's year.
const LIFETIME_DAYS: u32 = 365;

impl Pass<'_> {
    /// The enclave holds nothing of this issuer, and nothing could be restored.
    ///
    /// A CA is made for an issuer that never had one. Whoever had one is not given another silently (W-D2): everyone who
    /// trusts the old one would have to trust the new one first.
    pub(super) fn vacant(self, identity: &Identity) -> Plan {
        let (issuer, old) = (self.seen.issuer, self.status.ca.as_ref().map(|ca| ca.fingerprint.clone()));
        // A clock that is wrong, or a full enclave: the key is not lost, and no other CA is offered in its place.
        if let (Some(old), Some(again)) = (&old, self.restore_again()) {
            let message = format!("{}. It is tried again", self.lost(old));
            return Plan { requeue: Some(again), ..self.not_ready(reasons::KEY_LOST, &message) };
        }
        if let Some(old) = old.filter(|old| !allows_new_ca(issuer, old)) {
            let message = format!("{}. {}", self.lost(&old), self.after_loss(&old));
            return self.not_ready(reasons::KEY_LOST, &message);
        }
        if !identity.sealing && !issuer.spec().ca.as_ref().is_some_and(|ca| ca.allow_ephemeral) {
            return self.not_ready(
                reasons::NO_SEALING,
                "the platform cannot seal a CA key, so it would end with the enclave's process; set spec.ca.allowEphemeral: true to accept that, or selfSign: false in a new issuer and deliver a CA key",
            );
        }
        if let Some(refusal) = self.seen.refusal {
            let again = retry_after(refusal.code.as_str());
            let advice = if again.is_some() { "it is tried again" } else { "correct spec.ca" };
            let message = format!("the enclave does not make this CA: {refusal}; {advice}");
            return Plan { requeue: again, ..self.not_ready(reasons::CA_REFUSED, &message) };
        }
        if let Some(why) = self.waits_for_clock() {
            return Plan { requeue: Some(LOOK_AGAIN), ..self.not_ready(reasons::CLOCK_UNVERIFIED, &why) };
        }
        Plan { generate: Some(request(issuer, self.now.as_second())), ..Plan::default() }
    }

    /// What to do about a key that is lost. Of an older blob than the newest the enclave forgets nothing but by a restart.
    fn after_loss(&self, old: &str) -> String {
        if self.seen.restore_refusal.is_some_and(|refusal| refusal.code == RefusalCode::SealedBlobOld) {
            return "Put the newest back, or restart the service to use this one (docs/renewal.md)".into();
        }
        format!(
            "If it cannot come back, have a NEW CA made, which everyone must trust anew: kubectl annotate {} {}={old}",
            self.seen.issuer.for_kubectl(),
            annotations::NEW_CA,
        )
    }
}

/// Whether a reason is one of an issuer that waits for its CA to be made.
pub fn waits(reason: &str) -> bool {
    [reasons::NO_SEALING, reasons::CA_REFUSED, reasons::CLOCK_UNVERIFIED].contains(&reason)
}

/// The annotation names the very CA that was lost: one that was left there from an earlier loss allows nothing.
fn allows_new_ca(issuer: &Issuer, old: &str) -> bool {
    issuer.annotation(annotations::NEW_CA) == Some(old)
}

/// The CA that the spec asks for.
pub fn request(issuer: &Issuer, now: i64) -> GenerateCa {
    let spec = issuer.spec().ca.clone().unwrap_or_default();
    GenerateCa {
        issuer_uid: issuer.uid(),
        subject: CaSubject {
            common_name: spec.common_name.unwrap_or_else(|| COMMON_NAME.into()),
            organizations: spec.organizations.unwrap_or_else(|| vec![ORGANIZATION.into()]),
            organizational_units: spec.organizational_units,
            countries: spec.countries,
            localities: spec.localities,
            provinces: spec.provinces,
        },
        key_algorithm: spec.key_algorithm.unwrap_or_else(|| KEY_ALGORITHM.into()),
        lifetime: u64::from(spec.lifetime_days.unwrap_or(LIFETIME_DAYS)).saturating_mul(86_400),
        path_length: Some(spec.max_path_len.unwrap_or(0)),
        now,
        policy: spec.policy.as_ref().map(policy::message),
    }
}
