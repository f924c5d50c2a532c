//! The `QuoteAttestation` of an offer: building, comparing, its conditions of ours.

use super::AttestationStep;
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

/// What the seed-era service published as `spec.quoteVersion`.
const QUOTE_VERSION: &str = "ECDSA Quote 3";

/// The object that publishes an offer.
pub fn build(issuer: &Issuer, offer: &Offer, simulated: bool) -> QuoteAttestation {
    let public_key = tcs_pem::encode("PUBLIC KEY", offer.public_key.as_slice());
    let spec = QuoteAttestationSpec {
        // The field holds text: the document decodes once and hands the rest, base64, to km-attest.
        quote: ByteString(STANDARD.encode(offer.evidence.as_slice()).into_bytes()),
        quote_version: Some(QUOTE_VERSION.into()),
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

/// What makes the object found into the one wanted.
///
/// The public key and the quote tell offers apart: an object with others, whoever made it, keeps no status
/// (W-S6); an object of this offer whose other fields were altered is put back and keeps the key owner's entries.
pub fn compare(found: Option<&QuoteAttestation>, wanted: QuoteAttestation) -> AttestationStep {
    let Some(found) = found else { return AttestationStep::Create(Box::new(wanted)) };
    let same_offer = found.spec.public_key == wanted.spec.public_key && found.spec.quote == wanted.spec.quote;
    if !same_offer || found.metadata.deletion_timestamp.is_some() {
        return AttestationStep::Recreate(Box::new(wanted));
    }
    let labelled = wanted.labels().iter().all(|(key, value)| found.labels().get(key) == Some(value));
    if found.spec == wanted.spec && labelled {
        return AttestationStep::Keep;
    }
    let mut restored = found.clone();
    restored.spec = wanted.spec;
    restored.metadata.labels.get_or_insert_default().extend(wanted.metadata.labels.unwrap_or_default());
    AttestationStep::Restore(Box::new(restored))
}

/// The key owner's entry for this issuer, under either spelling of its signer name.
pub fn entry_for<'a>(status: &'a QuoteAttestationStatus, issuer: &Issuer) -> Option<&'a SecretEntry> {
    issuer.spellings().iter().find_map(|spelling| status.secrets.get(spelling))
}

/// `Init`, so that the key owner's JSON Patch finds a list to append to.
pub fn init_condition(now: Timestamp) -> QuoteCondition {
    let message = "Object status initialized";
    condition(conditions::INIT, "True", reasons::TCS_RECONCILE, message, now)
}

/// `KeyAccepted`=False: what was delivered was refused.
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

/// Makes the status carry these conditions of ours; whether that changed anything.
///
/// The list is shared with people who send JSON patches: entries of other types stay as and where they are. Of an
/// own type the last entry counts, so that one is renewed. A `KeyAccepted` that no longer holds is taken out.
pub fn merge_conditions(status: &mut QuoteAttestationStatus, wanted: &[QuoteCondition]) -> bool {
    let mut changed = false;
    for want in wanted {
        let Some(have) = status.conditions.iter_mut().rfind(|have| have.type_ == want.type_) else {
            status.conditions.push(want.clone());
            changed = true;
            continue;
        };
        // The time alone is no news.
        let same = have.status == want.status && have.reason == want.reason && have.message == want.message;
        if !same {
            have.clone_from(want);
            changed = true;
        }
    }
    let refused = wanted.iter().any(|want| want.type_.as_deref() == Some(conditions::KEY_ACCEPTED));
    if !refused {
        let before = status.conditions.len();
        status.conditions.retain(|have| have.type_.as_deref() != Some(conditions::KEY_ACCEPTED));
        changed |= status.conditions.len() != before;
    }
    changed
}
