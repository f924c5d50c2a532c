//! The service serves only while the admission policies that limit it are in force.

use crate::support::csr::Csr;
use crate::support::issuer::Issuer;
use crate::support::objects::issuer_object;
use crate::support::test_cluster::{CONTROLLER, ENCLAVE, TestCluster};
use crate::support::wait::unique;
use kube::ResourceExt as _;
use serde_json::{Value, json};
use tcs_api::v1alpha1::IssuerStatus;
use tcs_testkit::http;

const REASON: &str = "AdmissionPolicyNotEnforced";
const APPLY: &str = "kubectl apply -f deployment/access.yaml";
const POLICY: &str = "validatingadmissionpolicy";
const BINDING: &str = "validatingadmissionpolicybinding";

/// A way to weaken a policy, and what the service says about it.
struct Case {
    object: [&'static str; 2],
    /// A JSON Patch of the object; `None` deletes it.
    patch: Option<Value>,
    says: &'static str,
}

impl Case {
    fn break_it(&self, cluster: &TestCluster) {
        match &self.patch {
            None => cluster.kubectl(&[&["delete"], &self.object[..]].concat()),
            Some(patch) => {
                let options = ["--type=json", "-p", &patch.to_string()];
                cluster.kubectl(&[&["patch"], &self.object[..], &options].concat())
            }
        };
    }
}

fn cases() -> Vec<Case> {
    let secrets = "tcs-issuer-secrets";
    let deleted = |kind, name, says| Case { object: [kind, name], patch: None, says };
    let patched = |kind, name, op: &str, path: &str, value: Value, says| {
        let patch = json!([{ "op": op, "path": path, "value": value }]);
        Case { object: [kind, name], patch: Some(patch), says }
    };
    let policy = |op, path, value, says| patched(POLICY, secrets, op, path, value, says);
    let binding = |op, path, value, says| patched(BINDING, secrets, op, path, value, says);
    let never = json!({ "name": "never", "expression": "false" });
    let narrowed = json!({ "namespaceSelector": { "matchLabels": { "nowhere": "" } } });
    vec![
        deleted(POLICY, secrets, "ValidatingAdmissionPolicy tcs-issuer-secrets is missing"),
        deleted(BINDING, secrets, "ValidatingAdmissionPolicyBinding tcs-issuer-secrets is missing"),
        deleted(
            BINDING,
            "tcs-issuer-sealed-keys",
            "ValidatingAdmissionPolicyBinding tcs-issuer-sealed-keys is missing",
        ),
        binding(
            "replace",
            "/spec/validationActions",
            json!(["Audit"]),
            "spec.validationActions[0] should be `\"Deny\"` and is `\"Audit\"`",
        ),
        policy(
            "replace",
            "/spec/failurePolicy",
            json!("Ignore"),
            "spec.failurePolicy should be `\"Fail\"` and is `\"Ignore\"`",
        ),
        policy(
            "replace",
            "/spec/matchConditions/0/expression",
            json!("false"),
            "spec.matchConditions[0].expression",
        ),
        policy("add", "/spec/matchConditions/-", never, "spec.matchConditions[1] should be absent"),
        policy("replace", "/spec/validations/3/expression", json!("true"), "spec.validations[3].expression"),
        policy("replace", "/spec/variables/2/expression", json!("true"), "spec.variables[2].expression"),
        binding("add", "/spec/matchResources", narrowed, "spec.matchResources should be absent"),
        patched(
            POLICY,
            "tcs-issuer-tokens",
            "replace",
            "/spec/validations/0/expression",
            json!("true"),
            "ValidatingAdmissionPolicy tcs-issuer-tokens was changed",
        ),
    ]
}

/// Runs the commands that a message names, as an administrator who reads it does.
fn follow(cluster: &TestCluster, message: &str) {
    let commands = message.match_indices("kubectl ").map(|(at, _)| &message[at..]);
    for command in commands {
        let end = command.find(". ").unwrap_or(command.len());
        let words: Vec<&str> = command[..end].split_whitespace().skip(1).collect();
        cluster.kubectl(&words);
    }
}

fn readyz(cluster: &TestCluster) -> String {
    cluster.node.address(":8081").and_then(|address| http::get(&address, "/readyz")).unwrap_or_default()
}

fn metric(cluster: &TestCluster) -> String {
    let metrics = cluster.metrics().unwrap();
    metrics.lines().find(|line| line.starts_with("tcs_admission_policies_ok ")).unwrap_or_default().to_owned()
}

/// The status without its conditions, which must not change while nothing is served.
fn recorded(issuer: &Issuer<'_>) -> IssuerStatus {
    IssuerStatus { conditions: Vec::new(), last_confirmed: None, ..issuer.status() }
}

/// A ready issuer and one that waits for its key, with what must not change while nothing is served.
struct Fixture<'a> {
    ready: Issuer<'a>,
    waiting: Issuer<'a>,
    recorded: [IssuerStatus; 2],
    attestation: Option<String>,
}

impl<'a> Fixture<'a> {
    fn new(cluster: &'a TestCluster) -> Self {
        let ready = Issuer::self_signed_of_cluster(cluster, "guarded");
        ready.await_reason("Ready");
        let waiting = Issuer::delivered(cluster, "waiting");
        waiting.await_reason("AwaitingKey");
        let attestation = waiting.await_attestation().uid();
        let recorded = [recorded(&ready), recorded(&waiting)];
        Self { ready, waiting, recorded, attestation }
    }

    fn assert_unchanged(&self, what: &str) {
        assert_eq!([recorded(&self.ready), recorded(&self.waiting)], self.recorded, "{what}");
        assert_eq!(self.waiting.attestation().unwrap().uid(), self.attestation, "{what}");
    }

    /// The conditions, the probe and the metric say what is wrong; the message of the condition.
    fn await_message(&self, what: &str) -> String {
        let message = self.ready.await_reason(REASON);
        assert!(message.contains(what) && message.contains(APPLY), "{what}: {message}");
        assert!(!self.ready.is_ready(), "{what}");
        assert!(self.waiting.await_reason(REASON).contains(what), "{what}");
        let probe = readyz(self.ready.cluster);
        assert!(probe.contains(" 503 ") && probe.contains(what) && probe.contains(APPLY), "{what}: {probe}");
        assert_eq!(metric(self.ready.cluster), "tcs_admission_policies_ok 0", "{what}");
        message
    }

    fn await_service(&self, what: &str) {
        self.ready.await_reason("Ready");
        self.waiting.await_reason("AwaitingKey");
        self.ready.cluster.await_controller();
        assert_eq!(metric(self.ready.cluster), "tcs_admission_policies_ok 1", "{what}");
        self.assert_unchanged(what);
    }
}

#[test]
fn review_l9_nothing_is_served_without_the_admission_policies_and_all_again_with_them() {
    let cluster = TestCluster::new();
    let fixture = Fixture::new(&cluster);
    let controller = cluster.node.pid(CONTROLLER);
    assert_eq!(metric(&cluster), "tcs_admission_policies_ok 1");
    for case in cases() {
        let what = case.says;
        case.break_it(&cluster);
        let message = fixture.await_message(what);
        // Nothing is signed, nothing is written, and no offer is made.
        let csr = Csr::approved(&fixture.ready);
        csr.await_event_with(REASON, what);
        csr.assert_untouched();
        let mut object = issuer_object(&fixture.waiting.namespace, &unique("late"));
        object.spec.self_sign = true;
        let late = Issuer::create(&cluster, &object);
        late.await_reason(REASON);
        assert_eq!(late.ca_secret(), None, "{what}");
        fixture.assert_unchanged(what);

        // The commands that the message names mend it, without a restart.
        follow(&cluster, &message);
        csr.certificate();
        late.await_reason("Ready");
        fixture.await_service(what);
    }
    assert_eq!(cluster.node.pid(CONTROLLER), controller, "it was not restarted");
}

/// A controller that starts while a policy is missing serves no issuer and deletes nothing.
#[test]
fn review_l9_a_controller_that_starts_without_the_policies_waits_for_them() {
    let cluster = TestCluster::new();
    let issuer = Issuer::self_signed_of_cluster(&cluster, "restarted");
    issuer.await_reason("Ready");
    let before = recorded(&issuer);
    let sealed = issuer.await_sealed_secret().name_any();
    let deleted = Issuer::delivered(&cluster, "deleted");
    deleted.await_attestation();
    cluster.kubectl(&["delete", POLICY, "tcs-issuer-secrets"]);
    issuer.await_reason(REASON);
    cluster.crash(CONTROLLER);
    cluster.crash(ENCLAVE);
    cluster.wait_until("the new controller to say what is missing", || {
        readyz(&cluster).contains("tcs-issuer-secrets is missing")
    });
    // Garbage collection waits, too.
    deleted.delete();
    let csr = Csr::approved(&issuer);
    csr.await_event(REASON);
    assert!(deleted.attestation().is_some(), "nothing is deleted either");
    assert!(cluster.service_secret(&sealed).is_some());

    cluster.kubectl(&["apply", "-f", "deployment/access.yaml"]);
    csr.certificate();
    issuer.await_reason("Ready");
    assert_eq!(recorded(&issuer), before);
    deleted.await_no_attestation();
}
