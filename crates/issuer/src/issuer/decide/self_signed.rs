//! Self-signed issuers whose CA key the enclave does not hold: when a CA is made.

use super::ca_record::allows_new_ca;
use super::clock::{CLOCK_RETRY, retry_after, waits_for_clock};
use super::plan::{Decision, EnclaveStep, Plan};
use super::planner::Planner;
use crate::issuer::{Issuer, policy};
use tcs_api::{annotations, reasons};
use tcs_enclave_rpc::{CaSubject, GenerateCa, Identity, RefusalCode};

/// Common name of the self-signed CAs of the original TCS issuer.
const COMMON_NAME: &str = "SGX self-signed root certificate authority";
/// Organization of the self-signed CAs of the original TCS issuer.
const ORGANIZATION: &str = "Intel(R) Corporation";
/// The original used RSA-3072, whose signatures cost fifty times as much computing time.
const KEY_ALGORITHM: &str = "ECDSA-P256";
/// Lifetime of the self-signed CAs of the original TCS issuer.
const LIFETIME_DAYS: u32 = 365;

/// The enclave holds nothing for this issuer, and nothing could be restored.
///
/// A CA is made for an issuer that never had one. An issuer that had one is not given another silently
/// (`docs/conformance.md`, W-D2): everyone who trusts the old CA would have to trust the new one first.
pub fn decide(planner: Planner<'_>, identity: &Identity) -> Decision {
    let issuer = planner.seen.issuer;
    let old = planner.status.ca.as_ref().map(|ca| ca.fingerprint.clone());
    // If the clock is wrong or the enclave is full, the key is not lost, and no other CA is offered in its
    // place.
    if let (Some(old), Some(requeue)) = (&old, planner.restore_again()) {
        let message = format!("{}. This is tried again", planner.key_lost_message(old));
        return Plan { requeue: Some(requeue), ..planner.not_ready(reasons::KEY_LOST, &message) }.into();
    }
    if let Some(old) = old.filter(|old| !allows_new_ca(issuer, old)) {
        let message = format!("{}. {}", planner.key_lost_message(&old), after_loss(&planner, &old));
        return planner.not_ready(reasons::KEY_LOST, &message).into();
    }
    if !identity.sealing && !issuer.spec().ca.as_ref().is_some_and(|ca| ca.allow_ephemeral) {
        let message = "the platform cannot seal a CA key, so the key would be lost when the enclave \
                       restarts; set spec.ca.allowEphemeral: true to accept that, or create a new issuer \
                       with selfSign: false and deliver a CA key";
        return planner.not_ready(reasons::NO_SEALING, message).into();
    }
    if let Some(refusal) = planner.seen.refusal {
        let requeue = retry_after(refusal.code.as_str());
        let advice = if requeue.is_some() { "this is tried again" } else { "correct spec.ca" };
        let message = format!("the enclave does not make this CA: {refusal}; {advice}");
        return Plan { requeue, ..planner.not_ready(reasons::CA_REFUSED, &message) }.into();
    }
    if let Some(why) = waits_for_clock(planner.seen.clock) {
        let plan = planner.not_ready(reasons::CLOCK_UNVERIFIED, &why);
        return Plan { requeue: Some(CLOCK_RETRY), ..plan }.into();
    }
    Decision::Ask(EnclaveStep::Generate(Box::new(request(issuer, planner.now.as_second()))))
}

/// What to do about a lost key. The enclave refuses a sealed blob that is older than the newest one that it
/// has seen, until it restarts.
fn after_loss(planner: &Planner<'_>, old: &str) -> String {
    if planner.seen.restore_refusal.is_some_and(|refusal| refusal.code == RefusalCode::SealedBlobOld) {
        return "Restore the newest one, or restart the service to use this one (docs/renewal.md)".into();
    }
    format!(
        "If it cannot be restored, have a NEW CA made, which everyone must trust anew: kubectl annotate {} {}={old}",
        planner.seen.issuer.for_kubectl(),
        annotations::NEW_CA,
    )
}

/// Whether this is a reason of an issuer that waits for its CA to be made.
pub fn is_waiting(reason: &str) -> bool {
    [reasons::NO_SEALING, reasons::CA_REFUSED, reasons::CLOCK_UNVERIFIED].contains(&reason)
}

/// The CA that the spec describes.
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
