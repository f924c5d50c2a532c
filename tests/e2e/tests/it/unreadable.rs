//! Objects that cannot be decoded, and objects that only we can decode: each harms itself only, before the service starts, while it
//! runs and after a crash. The first test changes the CRDs, so it has a stack of its own.

use crate::bed::{Bed, Issuer, SOON, certificate_text, encode, http_get, pipe, shared, unique};
use crate::self_signed::self_signed;
use crate::signing::{Csr, request};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use tcs_testkit::process::{run, wait_for};

/// More than a day after the last time that `jiff` holds: the last second that Go writes.
const BEYOND: &str = "9999-12-31T23:59:59Z";
const HUSH: &[u8] = b"what a Secret holds is not for the log";
/// The namespace of the issuers here, and the signer of the one that is stored as an earlier CRD allowed it.
const NAMESPACE: &str = "unreadable";
const OLD_SIGNER: &str = "tcsissuer.tcs.intel.com/unreadable.old";
const CRDS: [(&str, &str); 3] = [
    ("tcsissuers", "TCSIssuer"),
    ("tcsclusterissuers", "TCSClusterIssuer"),
    ("quoteattestations", "QuoteAttestation"),
];

/// An object of a kind as an honest client makes it.
fn object(kind: &str, name: &str) -> Value {
    let api_version = match kind {
        "CertificateSigningRequest" => "certificates.k8s.io/v1",
        "Secret" => "v1",
        _ => "tcs.intel.com/v1alpha1",
    };
    let mut object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name}});
    match kind {
        "TCSIssuer" | "TCSClusterIssuer" => {
            object["spec"] = json!({"secretName": format!("{name}-ca"), "selfSign": true});
        }
        "QuoteAttestation" => {
            object["spec"] = json!({"quote": "cXVvdGU=", "publicKey": "a2V5", "signerName": "example.com/a"});
        }
        "CertificateSigningRequest" => {
            object["spec"] = json!({"request": "", "signerName": OLD_SIGNER, "usages": ["server auth"]});
        }
        _ => object["data"] = json!({"field": encode(HUSH)}),
    }
    object
}

/// With an entry of somebody's, at a time beyond ours, for a field that the object lacks: such an entry outlives the making of the object.
fn with_managed_field(object: &Value, field: &[u8]) -> Vec<u8> {
    let mut object = object.clone();
    object["metadata"]["managedFields"] = json!([managed_field(&object["apiVersion"], &json!("@"))]);
    let text = object.to_string();
    let parts: Vec<&[u8]> = text.split("\"@\"").map(str::as_bytes).collect();
    parts.join(field)
}

fn managed_field(api_version: &Value, field: &Value) -> Value {
    json!({
        "manager": "somebody", "operation": "Update", "apiVersion": api_version, "time": BEYOND,
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:more": field}, "f:data": {"f:more": field}},
    })
}

/// As large as the API server takes it.
fn large(kind: &str, name: &str, request: &[u8]) -> Value {
    let mut object = object(kind, name);
    match kind {
        "CertificateSigningRequest" => {
            let text = "text before a PEM block\n".repeat(50_000);
            object["spec"]["request"] = json!(encode(&[text.as_bytes(), request].concat()));
        }
        "Secret" => object["data"]["field"] = json!(encode(&vec![b'h'; 1024 * 1024 - 5])),
        _ => object["metadata"]["annotations"] = json!({"large": "a".repeat(255 * 1024)}),
    }
    object
}

/// Makes an object exactly as it is written, as somebody; the API server's answer, which need not be UTF-8.
fn create(bed: &Bed, kubeconfig: &Path, kind: &str, object: &[u8]) -> Result<String, String> {
    let collection = match kind {
        "TCSIssuer" => format!("/apis/tcs.intel.com/v1alpha1/namespaces/{NAMESPACE}/tcsissuers"),
        "TCSClusterIssuer" => "/apis/tcs.intel.com/v1alpha1/tcsclusterissuers".into(),
        "QuoteAttestation" => "/apis/tcs.intel.com/v1alpha1/namespaces/tcs-issuer/quoteattestations".into(),
        "CertificateSigningRequest" => "/apis/certificates.k8s.io/v1/certificatesigningrequests".into(),
        _ => "/api/v1/namespaces/tcs-issuer/secrets".to_owned(),
    };
    let file = bed.dir.join(unique("object"));
    fs::write(&file, object).unwrap();
    let mut kubectl = bed.stack.cluster.kubectl_as(kubeconfig);
    let output = kubectl.args(["create", "--raw", &collection, "-f"]).arg(file).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Of each watched kind one with a time beyond ours, one nested too deep, one that is not UTF-8, and one as large as can be; those of
/// a namespace by its editor.
fn plant(bed: &Bed, when: &str, editor: &Path) {
    let request = request(bed, &[]);
    let admin = bed.stack.cluster.admin_kubeconfig();
    let nested = format!("{}{{}}{}", "{\"f:a\":".repeat(3_000), "}".repeat(3_000));
    let fields: [(&str, &[u8]); 3] =
        [("time", b"{}"), ("deep", nested.as_bytes()), ("bytes", b"{\"f:\xff\xfe\":{}}")];
    for kind in ["TCSIssuer", "TCSClusterIssuer", "QuoteAttestation", "CertificateSigningRequest", "Secret"] {
        let somebody = if kind == "TCSIssuer" { editor } else { &admin };
        for (stem, field) in fields {
            let mut honest = object(kind, &format!("{stem}-{when}"));
            if kind == "CertificateSigningRequest" {
                honest["spec"]["request"] = json!(encode(&request));
            }
            let made = create(bed, somebody, kind, &with_managed_field(&honest, field)).unwrap();
            assert!(made.contains(BEYOND), "{stem} of {kind}: the API server keeps the time");
        }
        let large = large(kind, &format!("large-{when}"), &request).to_string();
        create(bed, somebody, kind, large.as_bytes()).unwrap();
    }
}

/// Lets the API server store what fits no type, as an earlier CRD may have, and puts the CRDs back.
fn with_lax_crds(bed: &Bed, store: impl FnOnce()) {
    let is_strict = |(_, kind): &(&str, &str)| {
        let mut wrong = object(kind, "probe");
        wrong["spec"]["publicKey"] = json!(5);
        let create = ["create", "--dry-run=server", "-n", "tcs-issuer", "-f", "-"];
        pipe(bed.stack.cluster.kubectl().args(create), &wrong.to_string()).is_err()
    };
    let settle = |strict: bool| {
        wait_for(SOON, "the CRDs to take effect", || {
            Ok(CRDS.iter().all(|crd| is_strict(crd) == strict).then_some(()))
        })
        .unwrap();
    };
    for (plural, _) in CRDS {
        let patch = json!([{
            "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema",
            "value": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        }]);
        let name = format!("{plural}.tcs.intel.com");
        bed.kubectl(&["patch", "customresourcedefinition", &name, "--type=json", "-p", &patch.to_string()]);
    }
    settle(false);
    store();
    for (plural, _) in CRDS {
        bed.kubectl(&["replace", "-f", &format!("deployment/crds/tcs.intel.com_{plural}.yaml")]);
    }
    settle(true);
}

/// What is kept of issuers that cannot be read: names of Secrets in the service's namespace.
struct Old {
    sealed: Vec<String>,
}

impl Old {
    /// Stores an issuer of each kind that fits no type, with what a controller kept for each, and what it kept for one that is gone.
    fn store(bed: &Bed) -> Self {
        for namespace in ["tcs-issuer", NAMESPACE] {
            bed.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
        }
        bed.kubectl(&["apply", "-f", "deployment/crds/"]);
        let admin = bed.stack.cluster.admin_kubeconfig();
        let make = |kind: &str, object: &Value| {
            let made = create(bed, &admin, kind, object.to_string().as_bytes()).unwrap();
            serde_json::from_str::<Value>(&made).unwrap()
        };
        let mut sealed = Vec::new();
        with_lax_crds(bed, || {
            for (_, kind) in CRDS {
                let mut old = object(kind, "old");
                let field = if kind == "QuoteAttestation" { "quote" } else { "secretName" };
                old["spec"][field] = json!(5);
                let old = make(kind, &old);
                if kind != "QuoteAttestation" {
                    sealed.push(format!("tcs-sealed-{}", old["metadata"]["uid"].as_str().unwrap()));
                }
            }
        });
        let ours = |uid: &str| json!({"app.kubernetes.io/managed-by": "tcs-issuer", "tcs.intel.com/issuer-uid": uid});
        for name in sealed.iter().map(String::as_str).chain(["tcs-sealed-gone"]) {
            let uid = name.trim_start_matches("tcs-sealed-");
            let mut secret = object("Secret", name);
            secret["metadata"]["labels"] = ours(uid);
            secret["type"] = json!("tcs.intel.com/sealed-ca");
            make("Secret", &secret);
            let mut attestation = object("QuoteAttestation", &format!("kept.{uid}"));
            attestation["metadata"]["labels"] = ours(uid);
            make("QuoteAttestation", &attestation);
        }
        Self { sealed }
    }

    /// Nothing of them is swept.
    fn is_kept(&self, bed: &Bed) {
        for name in &self.sealed {
            let uid = name.trim_start_matches("tcs-sealed-");
            bed.kubectl(&["get", "secret", "-n", "tcs-issuer", name]);
            bed.kubectl(&[
                "get",
                "quoteattestations.tcs.intel.com",
                "-n",
                "tcs-issuer",
                &format!("kept.{uid}"),
            ]);
        }
        bed.kubectl(&["get", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer", "old"]);
    }
}

/// An editor of the issuers' namespace.
fn editor(bed: &Bed) -> PathBuf {
    bed.kubectl(&["create", "serviceaccount", "editor", "-n", NAMESPACE]);
    let account = format!("--serviceaccount={NAMESPACE}:editor");
    bed.kubectl(&["create", "rolebinding", "editor", "-n", NAMESPACE, "--clusterrole=edit", &account]);
    let editor = bed.stack.cluster.service_account_kubeconfig(NAMESPACE, "editor").unwrap();
    let may = ["auth", "can-i", "create", "tcsissuers.tcs.intel.com", "-n", NAMESPACE];
    wait_for(SOON, "the editor's rights", || {
        Ok(run(bed.stack.cluster.kubectl_as(&editor).args(may)).is_ok().then_some(()))
    })
    .unwrap();
    editor
}

fn issuer<'a>(bed: &'a Bed, name: &str) -> Issuer<'a> {
    Issuer { bed, namespace: NAMESPACE.into(), name: name.into() }
}

fn ask<'a>(issuer: &Issuer<'a>) -> Csr<'a> {
    Csr::create(issuer.bed, &issuer.signer(), &request(issuer.bed, &[]), &json!({})).approve()
}

/// The controller is ready, serves others, and counts what it cannot read.
fn serves(healthy: &Issuer<'_>, old: &Old, unreadable: [usize; 3]) {
    let bed = healthy.bed;
    wait_for(SOON, "the controller to be ready", || Ok(bed.ready().then_some(())))
        .unwrap_or_else(|error| panic!("{error:#}\n{}", bed.log("tcs-issuer")));
    ask(healthy).certificate();
    let kinds = ["TCSIssuer", "TCSClusterIssuer", "QuoteAttestation"];
    let counts = [unreadable.as_slice(), &[0, 0]].concat();
    let kinds = kinds.into_iter().chain(["CertificateSigningRequest", "Secret"]);
    for (kind, count) in kinds.zip(counts) {
        let line = format!("tcs_unreadable_objects{{kind=\"{kind}\"}} {count}\n");
        let text = || bed.node.address(":8080").and_then(|address| http_get(&address, "/metrics"));
        wait_for(SOON, &line, || Ok(text().filter(|text| text.contains(&line))))
            .unwrap_or_else(|error| panic!("{error:#}\n{:?}", text()));
    }
    old.is_kept(bed);
}

/// A sweep was made from its beginning to its end: what is left of a second issuer goes only after the sweep for the first.
fn sweep(bed: &Bed) {
    for _ in 0..2 {
        let doomed = bed.issuer("doomed");
        doomed.wait_attestation();
        doomed.kubectl(&["delete"], &[]);
        wait_for(SOON, "the sweep", || Ok(doomed.attestation().is_none().then_some(()))).unwrap();
    }
}

#[test]
fn review_h1_one_bad_object_harms_itself_only() {
    // Before the service starts.
    let bed = Bed::bare();
    let old = Old::store(&bed);
    plant(&bed, "before", &bed.stack.cluster.admin_kubeconfig());
    let bed = bed.up();
    let healthy = self_signed(&bed, "healthy", &Value::Null);
    healthy.wait_reason("Ready");
    serves(&healthy, &old, [1, 1, 1]);
    wait_for(SOON, "what is left of a deleted issuer to be swept", || {
        Ok(bed.try_get(&["secret", "-n", "tcs-issuer", "tcs-sealed-gone"]).is_none().then_some(()))
    })
    .unwrap();
    old.is_kept(&bed);
    let old_issuer = issuer(&bed, "old");
    let waiting = ask(&old_issuer);
    let says = "TCSIssuer unreadable/old cannot be read: spec.secretName: found integer, expected a string";
    waiting.event_says("WaitingForIssuerReadable", says);
    // Its owner, who does not see the log, is told.
    wait_for(SOON, "an Event about the issuer", || {
        let events = bed.kubectl(&["get", "events", "-n", "unreadable", "-o", "json"]);
        Ok((events.contains("ObjectUnreadable") && events.contains(says)).then_some(()))
    })
    .unwrap();

    // While it runs; also an issuer that is served already, and one that waits for its key.
    plant(&bed, "while", &editor(&bed));
    let turned = self_signed(&bed, "turned", &Value::Null);
    turned.wait_reason("Ready");
    let (fingerprint, sealed) = (turned.fingerprint(), turned.sealed_secret());
    let robbed = bed.issuer("robbed");
    robbed.wait_attestation();
    with_lax_crds(&bed, || {
        turned.kubectl(&["patch"], &["--type=merge", "-p", "{\"spec\":{\"secretName\":5}}"]);
        let patch = ["--type=merge", "-p", "{\"spec\":{\"secretName\":5}}"];
        let attestation = ["patch", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer"];
        bed.kubectl(&[&attestation[..], &[&robbed.attestation_name()], &patch].concat());
    });
    serves(&healthy, &old, [2, 1, 2]);
    let stopped = ask(&turned);
    stopped.event_says("WaitingForIssuerReadable", "/turned cannot be read: spec.secretName");
    wait_for(SOON, "an Event about the issuer", || {
        Ok(robbed.events().contains("ObjectUnreadable").then_some(()))
    })
    .unwrap();

    // After a crash.
    bed.crash("tcs-issuer");
    serves(&healthy, &old, [2, 1, 2]);
    sweep(&bed);
    old.is_kept(&bed);
    bed.kubectl(&["get", "secret", "-n", "tcs-issuer", &sealed]);
    for when in ["before", "while"] {
        for stem in ["time", "deep", "bytes", "large"] {
            let name = format!("{stem}-{when}");
            let reason = "jsonpath={.status.conditions[?(@.type==\"Ready\")].reason}";
            let issuer = ["get", "tcsissuers.tcs.intel.com", "-n", NAMESPACE, &name, "-o", reason];
            wait_for(SOON, &name, || Ok((bed.kubectl(&issuer) == "Ready").then_some(()))).unwrap();
        }
    }

    // Mended, they are served by the same process.
    let process = bed.node.pid("tcs-issuer");
    turned.kubectl(&["patch"], &["--type=merge", "-p", "{\"spec\":{\"secretName\":\"turned-secret\"}}"]);
    stopped.certificate();
    assert_eq!(turned.fingerprint(), fingerprint);
    old_issuer.kubectl(&["patch"], &["--type=merge", "-p", "{\"spec\":{\"secretName\":\"old-secret\"}}"]);
    waiting.certificate();
    for when in ["before", "while"] {
        let large = Csr { bed: &bed, name: format!("large-{when}") }.approve();
        large.certificate();
    }
    serves(&healthy, &old, [0, 1, 2]);
    assert_eq!(bed.node.pid("tcs-issuer"), process);
    let log = bed.log("tcs-issuer");
    assert!(!log.contains(&encode(HUSH)[..20]), "{log}");
    assert!(log.contains("TCSIssuer unreadable/old cannot be read"), "{log}");
}

#[test]
fn review_h1_what_a_pass_reads_may_have_times_beyond_ours() {
    let bed = shared();
    let issuer = bed.issuer("beyond");
    let patch = |resource: &str, name: &str, api_version: &str| {
        let get = [resource, "-n", "tcs-issuer", name, "--show-managed-fields"];
        let mut fields = bed.get(&get)["metadata"]["managedFields"].clone();
        fields.as_array_mut().unwrap().push(managed_field(&json!(api_version), &json!({})));
        let patch = json!({"metadata": {"managedFields": fields}}).to_string();
        bed.kubectl(&["patch", resource, "-n", "tcs-issuer", name, "--type=merge", "-p", &patch]);
        assert!(bed.get(&get)["metadata"]["managedFields"].to_string().contains(BEYOND), "{resource}");
    };
    issuer.wait_attestation();
    let name = issuer.attestation_name();
    patch("quoteattestations.tcs.intel.com", &name, "tcs.intel.com/v1alpha1");
    let ca = bed.p256_ca();
    issuer.put_secret(Some(&issuer.wrap(&ca.key)), Some(&certificate_text(&ca.certificate)));
    patch("secret", &issuer.secret(), "v1");
    issuer.patch_status(&issuer.secret(), "KMRA");
    issuer.wait_reason("Ready");
    wait_for(SOON, "the QuoteAttestation to go", || Ok(issuer.attestation().is_none().then_some(())))
        .unwrap();
    ask(&issuer).certificate();
}

#[test]
fn review_l1_a_request_approved_at_the_end_of_time_is_served_and_keeps_its_times_objects() {
    let bed = shared();
    let issuer = self_signed(bed, "far", &Value::Null);
    issuer.wait_reason("Ready");
    let approve = |signer: &str, more: &Value| {
        let csr = Csr::create(bed, signer, &request(bed, &[]), more);
        let mut object = bed.get(&["csr", &csr.name]);
        object["status"] = json!({"conditions": [{
            "type": "Approved", "status": "True", "reason": "Far", "message": "approved",
            "lastUpdateTime": BEYOND, "lastTransitionTime": BEYOND,
        }]});
        let path = format!("/apis/certificates.k8s.io/v1/certificatesigningrequests/{}/approval", csr.name);
        pipe(bed.stack.cluster.kubectl().args(["replace", "--raw", &path, "-f", "-"]), &object.to_string())
            .unwrap();
        csr
    };
    let keeps_its_times = |csr: &Csr<'_>| {
        let approved = csr.condition("Approved").unwrap();
        assert_eq!(
            (&approved["lastUpdateTime"], &approved["lastTransitionTime"]),
            (&json!(BEYOND), &json!(BEYOND))
        );
    };
    let served = approve(&issuer.signer(), &json!({}));
    served.certificate();
    keeps_its_times(&served);
    let refused = approve(&issuer.signer(), &json!({"usages": ["cert sign"]}));
    assert_eq!(refused.failure(), "UsageForbidden");
    keeps_its_times(&refused);
}
