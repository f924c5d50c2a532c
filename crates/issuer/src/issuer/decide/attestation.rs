//! The `QuoteAttestation` of an offer: what it contains, how it is compared, and the service's conditions in
//! it.

use super::plan::AttestationStep;
use crate::issuer::Issuer;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;
use tcs_api::v1alpha1::{
    QuoteAttestation, QuoteAttestationSpec, QuoteAttestationStatus, QuoteCondition, SecretEntry,
};
use tcs_api::{SERVICE_NAMESPACE, conditions, labels, reasons};
use tcs_enclave_rpc::Offer;

/// The object that publishes an offer.
pub fn build(issuer: &Issuer, offer: &Offer, simulated: bool) -> QuoteAttestation {
    let public_key = tcs_pem::encode("PUBLIC KEY", offer.public_key.as_slice());
    let spec = QuoteAttestationSpec {
        // The field contains text: the walk-through decodes it once and passes the result, which is base64,
        // to km-attest.
        quote: ByteString(STANDARD.encode(offer.evidence.as_slice()).into_bytes()),
        quote_version: Some(quote_version(&offer.evidence_kind).into()),
        service_id: Some("tcs-issuer".into()),
        public_key: ByteString(public_key.into_bytes()),
        signer_names: vec![issuer.signer_name()],
        ..QuoteAttestationSpec::default()
    };
    let mut all = issuer.all_labels();
    if simulated {
        all.insert(labels::SIMULATED.into(), "true".into());
    }
    QuoteAttestation {
        metadata: ObjectMeta {
            name: Some(issuer.attestation_name()),
            namespace: Some(SERVICE_NAMESPACE.into()),
            labels: Some(all),
            ..ObjectMeta::default()
        },
        spec,
        status: None,
    }
}

/// `spec.quoteVersion` of a kind of evidence. The original TCS issuer published `ECDSA Quote 3` for an SGX
/// quote; other evidence is named by its kind.
fn quote_version(evidence_kind: &str) -> &str {
    match evidence_kind {
        "sgx-quote-v3" => "ECDSA Quote 3",
        other => other,
    }
}

/// The step that turns the object found into the wanted one.
///
/// An offer is recognized by its public key and its quote. The status of an object with another key or quote,
/// whoever created it, is not kept (`docs/conformance.md`, W-S6). If only other fields of an object of this
/// offer were changed, they are restored, and the key owner's entries stay.
pub fn compare(found: Option<&QuoteAttestation>, wanted: QuoteAttestation) -> AttestationStep {
    let Some(found) = found else { return AttestationStep::Create(Box::new(wanted)) };
    let same_offer = found.spec.public_key == wanted.spec.public_key && found.spec.quote == wanted.spec.quote;
    if !same_offer || found.metadata.deletion_timestamp.is_some() {
        return AttestationStep::Recreate(Box::new(wanted));
    }
    let has_labels = wanted.labels().iter().all(|(key, value)| found.labels().get(key) == Some(value));
    if found.spec == wanted.spec && has_labels {
        return AttestationStep::Keep;
    }
    let mut restored = found.clone();
    restored.spec = wanted.spec;
    restored.metadata.labels.get_or_insert_default().extend(wanted.metadata.labels.unwrap_or_default());
    AttestationStep::Restore(Box::new(restored))
}

/// The name of the Secret in the key owner's entry, if the key owner says that the Secret exists.
#[must_use]
pub fn named_secret<'a>(attestation: &'a QuoteAttestation, issuer: &Issuer) -> Option<&'a str> {
    let status = attestation.status.as_ref()?;
    if !conditions::is_true(&status.conditions, conditions::CA_SECRET_READY) {
        return None;
    }
    Some(entry_for(status, issuer)?.secret_name.as_str())
}

/// The key owner's entry for this issuer, under either spelling of its signer name.
pub fn entry_for<'a>(status: &'a QuoteAttestationStatus, issuer: &Issuer) -> Option<&'a SecretEntry> {
    issuer.spellings().iter().find_map(|spelling| status.secrets.get(spelling))
}

/// The condition `Init`, without which the key owner's JSON Patch would find no list to append to.
pub fn init_condition(now: Timestamp) -> QuoteCondition {
    let message = "Object status initialized";
    condition(conditions::INIT, "True", reasons::TCS_RECONCILE, message, now)
}

/// The condition `KeyAccepted`=False: the delivery was refused.
pub fn key_accepted_false(code: &str, message: &str, now: Timestamp) -> QuoteCondition {
    condition(conditions::KEY_ACCEPTED, "False", code, message, now)
}

fn condition(kind: &str, status: &str, reason: &str, message: &str, now: Timestamp) -> QuoteCondition {
    QuoteCondition {
        type_: Some(kind.into()),
        status: Some(status.into()),
        reason: Some(reason.into()),
        message: Some(message.into()),
        last_update_time: Some(now.to_string()),
    }
}

/// Sets the service's conditions in the status. Returns whether the status changed.
///
/// The list is shared with people who send JSON patches, so entries of other types stay unchanged and in
/// their place. The last entry of a type counts, so that one is updated. A `KeyAccepted` that does not apply
/// any longer is removed.
pub fn merge_conditions(status: &mut QuoteAttestationStatus, wanted: &[QuoteCondition]) -> bool {
    let mut changed = false;
    for condition in wanted {
        let Some(current) = status.conditions.iter_mut().rfind(|current| current.type_ == condition.type_)
        else {
            status.conditions.push(condition.clone());
            changed = true;
            continue;
        };
        // A new time alone is no change.
        let same = current.status == condition.status
            && current.reason == condition.reason
            && current.message == condition.message;
        if !same {
            current.clone_from(condition);
            changed = true;
        }
    }
    let refused = wanted.iter().any(|condition| condition.type_.as_deref() == Some(conditions::KEY_ACCEPTED));
    if !refused {
        let before = status.conditions.len();
        status.conditions.retain(|current| current.type_.as_deref() != Some(conditions::KEY_ACCEPTED));
        changed |= status.conditions.len() != before;
    }
    changed
}
