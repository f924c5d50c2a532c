//! The service serves only while the admission policies that limit it are in force.

use crate::bed::{Bed, Issuer, SOON, http_get, issuer_object, unique};
use crate::signing::{Csr, request};
use serde_json::{Value, json};
use tcs_testkit::process::wait_for;

const REASON: &str = "AdmissionPolicyNotEnforced";
const APPLY: &str = "kubectl apply -f deployment/tcs_issuer.yaml";
const POLICY: &str = "validatingadmissionpolicy";
const BINDING: &str = "validatingadmissionpolicybinding";

/// A way to weaken a policy, and what the service has to say about it.
struct Case {
    object: [&'static str; 2],
    /// A JSON Patch of the object; `None` deletes it.
    patch: Option<Value>,
    says: &'static str,
}

fn cases() -> Vec<Case> {
    let secrets = "tcs-issuer-secrets";
    let patch =
        |op: &str, path: &str, value: Value| Some(json!([{ "op": op, "path": path, "value": value }]));
    let narrowed = json!({ "namespaceSelector": { "matchLabels": { "nowhere": "" } } });
    vec![
        Case {
            object: [POLICY, secrets],
            patch: None,
            says: "ValidatingAdmissionPolicy tcs-issuer-secrets is missing",
        },
        Case {
            object: [BINDING, secrets],
            patch: None,
            says: "ValidatingAdmissionPolicyBinding tcs-issuer-secrets is missing",
        },
        Case {
            object: [BINDING, secrets],
            patch: patch("replace", "/spec/validationActions", json!(["Audit"])),
            says: "spec.validationActions[0] should be `\"Deny\"` and is `\"Audit\"`",
        },
        Case {
            object: [POLICY, secrets],
            patch: patch("replace", "/spec/failurePolicy", json!("Ignore")),
            says: "spec.failurePolicy should be `\"Fail\"` and is `\"Ignore\"`",
        },
        Case {
            object: [POLICY, secrets],
            patch: patch("replace", "/spec/matchConditions/0/expression", json!("false")),
            says: "spec.matchConditions[0].expression",
        },
        Case {
            object: [POLICY, secrets],
            patch: patch("add", "/spec/matchConditions/-", json!({ "name": "never", "expression": "false" })),
            says: "spec.matchConditions[1] should be absent",
        },
        Case {
            object: [POLICY, secrets],
            patch: patch("replace", "/spec/validations/3/expression", json!("true")),
            says: "spec.validations[3].expression",
        },
        Case {
            object: [POLICY, secrets],
            patch: patch("replace", "/spec/variables/2/expression", json!("true")),
            says: "spec.variables[2].expression",
        },
        Case {
            object: [BINDING, secrets],
            patch: patch("add", "/spec/matchResources", narrowed),
            says: "spec.matchResources should be absent",
        },
        Case {
            object: [POLICY, "tcs-issuer-tokens"],
            patch: patch("replace", "/spec/validations/0/expression", json!("true")),
            says: "ValidatingAdmissionPolicy tcs-issuer-tokens was changed",
        },
        Case {
            object: [BINDING, "tcs-issuer-sealed-keys"],
            patch: None,
            says: "ValidatingAdmissionPolicyBinding tcs-issuer-sealed-keys is missing",
        },
    ]
}

impl Case {
    fn break_it(&self, bed: &Bed) {
        match &self.patch {
            None => bed.kubectl(&[&["delete"], &self.object[..]].concat()),
            Some(patch) => bed.kubectl(
                &[&["patch"], &self.object[..], &["--type=json", "-p", &patch.to_string()]].concat(),
            ),
        };
    }
}

/// Runs the commands that a message names, as an administrator does who reads it.
fn follow(bed: &Bed, message: &str) {
    let commands = message.match_indices("kubectl ").map(|(at, _)| &message[at..]);
    for command in commands {
        let end = command.find(". ").unwrap_or(command.len());
        let words: Vec<&str> = command[..end].split_whitespace().skip(1).collect();
        bed.kubectl(&words);
    }
}

fn readyz(bed: &Bed) -> String {
    bed.node.address(":8081").and_then(|address| http_get(&address, "/readyz")).unwrap_or_default()
}

fn metric(bed: &Bed) -> String {
    let text = http_get(&bed.node.address(":8080").unwrap(), "/metrics").unwrap();
    text.lines().find(|line| line.starts_with("tcs_admission_policies_ok ")).unwrap_or_default().to_owned()
}

/// What must not change while nothing is served.
fn recorded(issuer: &Issuer<'_>) -> Value {
    let mut status = issuer.object()["status"].clone();
    status.as_object_mut().unwrap().remove("conditions");
    status
}

#[test]
fn review_l9_nothing_is_served_without_the_admission_policies_and_all_again_with_them() {
    let bed = Bed::new();
    let ready = bed.cluster_issuer("guarded", &json!({ "secretName": "guarded-ca", "selfSign": true }));
    ready.wait_reason("Ready");
    let waiting = bed.issuer("waiting");
    waiting.wait_reason("AwaitingKey");
    waiting.wait_attestation();
    let before = [recorded(&ready), recorded(&waiting)];
    let attestation = waiting.attestation().unwrap()["metadata"]["uid"].clone();
    let controller = bed.node.pid("tcs-issuer");
    assert_eq!(metric(&bed), "tcs_admission_policies_ok 1");

    for case in cases() {
        let what = case.says;
        case.break_it(&bed);
        let message = ready.wait_reason(REASON);
        assert!(message.contains(what) && message.contains(APPLY), "{what}: {message}");
        assert_eq!(ready.readiness().0, "False");
        assert!(waiting.wait_reason(REASON).contains(what), "{what}");
        let probe = readyz(&bed);
        assert!(probe.contains(" 503 ") && probe.contains(what) && probe.contains(APPLY), "{what}: {probe}");
        assert_eq!(metric(&bed), "tcs_admission_policies_ok 0", "{what}");

        // Nothing is signed, nothing is written, no offer is made.
        let csr = Csr::create(&bed, &ready.signer(), &request(&bed, &[]), &json!({})).approve();
        csr.event_says(REASON, what);
        csr.untouched();
        let mut object = issuer_object(&waiting.namespace, &unique("late"));
        object["spec"]["selfSign"] = json!(true);
        bed.apply(&object);
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let late = Issuer { bed: &bed, namespace: waiting.namespace.clone(), name };
        late.wait_reason(REASON);
        assert_eq!(late.ca_secret(), Value::Null, "{what}");
        assert_eq!([recorded(&ready), recorded(&waiting)], before, "{what}");
        assert_eq!(waiting.attestation().unwrap()["metadata"]["uid"], attestation, "{what}");

        // The commands that the message names mend it, without a restart.
        follow(&bed, &message);
        csr.certificate();
        late.wait_reason("Ready");
        ready.wait_reason("Ready");
        waiting.wait_reason("AwaitingKey");
        wait_for(SOON, "the controller to be ready", || Ok(bed.ready().then_some(()))).unwrap();
        assert_eq!(metric(&bed), "tcs_admission_policies_ok 1", "{what}");
        assert_eq!([recorded(&ready), recorded(&waiting)], before, "{what}");
    }
    assert_eq!(bed.node.pid("tcs-issuer"), controller, "it was not restarted");
}

/// A controller that starts while a policy is missing serves nobody, and forgets nobody.
#[test]
fn review_l9_a_controller_that_starts_without_the_policies_waits_for_them() {
    let bed = Bed::new();
    let issuer = bed.cluster_issuer("restarted", &json!({ "secretName": "restarted-ca", "selfSign": true }));
    issuer.wait_reason("Ready");
    let before = recorded(&issuer);
    let sealed = issuer.sealed_secret();
    let gone = bed.issuer("gone");
    gone.wait_attestation();
    bed.kubectl(&["delete", POLICY, "tcs-issuer-secrets"]);
    issuer.wait_reason(REASON);
    bed.crash("tcs-issuer");
    bed.crash("tcs-enclave");
    wait_for(SOON, "the new controller to say what is missing", || {
        Ok(readyz(&bed).contains("tcs-issuer-secrets is missing").then_some(()))
    })
    .unwrap();
    // The sweep waits, too.
    gone.kubectl(&["delete"], &[]);
    let csr = Csr::create(&bed, &issuer.signer(), &request(&bed, &[]), &json!({})).approve();
    csr.event(REASON);
    assert!(gone.attestation().is_some(), "nothing is deleted either");
    assert!(bed.try_get(&["secret", "-n", "tcs-issuer", &sealed]).is_some());

    bed.kubectl(&["apply", "-f", "deployment/tcs_issuer.yaml"]);
    csr.certificate();
    issuer.wait_reason("Ready");
    assert_eq!(recorded(&issuer), before);
    wait_for(SOON, "the sweep", || Ok(gone.attestation().is_none().then_some(()))).unwrap();
}
