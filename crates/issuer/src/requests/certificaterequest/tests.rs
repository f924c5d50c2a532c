use super::*;
use k8s_openapi::ByteString;
use kube::Resource as _;
use serde_json::{Value, json};
use std::path::Path;

const NOW: &str = "2026-12-01T06:00:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn object(spec: &Value, status: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "cert-manager.io/v1", "kind": "CertificateRequest",
        "metadata": {
            "name": "r", "namespace": "sandbox", "uid": "u", "resourceVersion": "5", "generation": 1,
            "creationTimestamp": "2026-12-01T05:00:00Z", "annotations": {"a": "b"},
        },
        "spec": {
            "request": "cGVt", "issuerRef": {"group": "tcs.intel.com", "kind": "TCSIssuer", "name": "ca"},
            "username": "u", "groups": ["g"], "extra": {"k": ["v"]}, "uid": "n",
        },
        "status": status,
    });
    object["spec"].as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object
}

fn read(object: &Value) -> CertificateRequest {
    serde_json::from_str::<Guarded<CertificateRequest>>(&object.to_string()).unwrap().read().unwrap()
}

/// A request with this spec and these conditions, given by type, status and reason.
fn request(spec: &Value, conditions: &[[&str; 3]]) -> CertificateRequest {
    let conditions = conditions.iter().map(|[type_, status, reason]| {
        json!({"type": type_, "status": status, "reason": reason, "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z"})
    });
    read(&object(spec, &json!({"conditions": conditions.collect::<Vec<_>>()})))
}

const APPROVED: [&str; 3] = ["Approved", "True", "R"];
const DENIED: [&str; 3] = ["Denied", "True", "R"];

fn document(write: StatusWrite) -> Value {
    let StatusWrite::Apply(document) = write else { panic!("{write:?}") };
    serde_json::from_str(document.get()).unwrap()
}

fn condition<'a>(document: &'a Value, type_: &str) -> Option<&'a Value> {
    document["status"]["conditions"].as_array()?.iter().find(|condition| condition["type"] == type_)
}

#[test]
fn a01_matches_issuer_ref_exactly() {
    let of = |reference: Value| {
        let request = request(&json!({"issuerRef": reference}), &[APPROVED]);
        (request.triage(), request.signer())
    };
    let namespaced = SignerName::Namespaced { namespace: "sandbox".into(), name: "a.b".into() };
    let cluster = SignerName::Cluster { name: "a.b".into() };
    for (reference, signer) in [
        (json!({"group": "tcs.intel.com", "kind": "TCSIssuer", "name": "a.b"}), &namespaced),
        (json!({"group": "tcs.intel.com", "kind": "", "name": "a.b"}), &namespaced),
        (json!({"group": "tcs.intel.com", "name": "a.b"}), &namespaced),
        (json!({"group": "tcs.intel.com", "kind": null, "name": "a.b"}), &namespaced),
        (json!({"group": "tcs.intel.com", "kind": "TCSClusterIssuer", "name": "a.b"}), &cluster),
    ] {
        let expected = (Triage::Sign(signer.clone()), Some(signer.clone()));
        assert_eq!(of(reference.clone()), expected, "{reference}");
    }
    for reference in [
        json!({"name": "a.b"}),
        json!({"kind": "TCSIssuer", "name": "a.b"}),
        json!({"group": "", "kind": "TCSIssuer", "name": "a.b"}),
        json!({"group": "TCS.intel.com", "kind": "TCSIssuer", "name": "a.b"}),
        json!({"group": "x.tcs.intel.com", "kind": "TCSIssuer", "name": "a.b"}),
        json!({"group": "cert-manager.io", "kind": "TCSIssuer", "name": "a.b"}),
        json!({"group": "tcs.intel.com", "kind": "tcsissuer", "name": "a.b"}),
        json!({"group": "tcs.intel.com", "kind": "TCSIssuers", "name": "a.b"}),
        json!({"group": "tcs.intel.com", "kind": "Issuer", "name": "a.b"}),
    ] {
        assert_eq!(of(reference.clone()), (Triage::Ignore, None), "{reference}");
    }
    // No issuer can have such a name, so that nothing would end the wait for it.
    for name in ["", "A", "a/b", "a..b", "a b", &"a".repeat(300)] {
        let reference = json!({"group": "tcs.intel.com", "name": name});
        let Triage::Refuse(failure) = of(reference).0 else { panic!("{name}") };
        assert_eq!((failure.reason, failure.is_invalid), ("RequestMalformed", true), "{name}");
    }
}

#[test]
fn a02_a03_a04_what_is_not_approved_or_has_its_result_is_left_alone() {
    let triage = |conditions: &[[&str; 3]]| request(&json!({}), conditions).triage();
    assert!(matches!(triage(&[APPROVED]), Triage::Sign(_)));
    for waiting in
        [["Ready", "False", "Pending"], ["Ready", "Unknown", "Initializing"], ["Ready", "False", "x"]]
    {
        assert!(matches!(triage(&[waiting, APPROVED]), Triage::Sign(_)), "{waiting:?}");
        assert!(matches!(triage(&[APPROVED, waiting, DENIED]), Triage::Refuse(_)), "{waiting:?}");
    }
    assert_eq!(triage(&[]), Triage::Ignore);
    for no_answer in ["False", "Unknown", "true"] {
        assert_eq!(triage(&[["Approved", no_answer, "R"]]), Triage::Ignore, "{no_answer}");
        assert_eq!(triage(&[["Denied", no_answer, "R"]]), Triage::Ignore, "{no_answer}");
    }
    for denied in [&[DENIED][..], &[DENIED, APPROVED], &[APPROVED, DENIED]] {
        let Triage::Refuse(failure) = triage(denied) else { panic!("{denied:?}") };
        assert_eq!((failure.reason, failure.is_invalid), ("Denied", false));
    }
    for ended in [
        ["Ready", "True", "Issued"],
        ["Ready", "True", "x"],
        ["Ready", "False", "Failed"],
        ["Ready", "False", "Denied"],
    ] {
        assert_eq!(triage(&[APPROVED, ended]), Triage::Ignore, "{ended:?}");
        assert_eq!(triage(&[DENIED, ended]), Triage::Ignore, "{ended:?}");
    }
    let conditions = json!([{"type": "Approved", "status": "True"}]);
    let with = |certificate: &str| {
        read(&object(&json!({}), &json!({"conditions": conditions, "certificate": certificate}))).triage()
    };
    assert_eq!(with("Yw=="), Triage::Ignore);
    assert!(matches!(with(""), Triage::Sign(_)));
    assert_eq!(read(&object(&json!({}), &json!(null))).triage(), Triage::Ignore);
}

/// Only cert-manager's webhook forbids it.
#[test]
fn a02_an_approval_does_not_cover_a_spec_that_was_changed() {
    let mut changed = object(&json!({}), &json!({"conditions": [{"type": "Approved", "status": "True"}]}));
    changed["metadata"]["generation"] = json!(2);
    let Triage::Refuse(failure) = read(&changed).triage() else { panic!("it would be signed") };
    assert_eq!(failure.reason, "RequestMalformed");
    changed["metadata"].as_object_mut().unwrap().remove("generation");
    assert!(matches!(read(&changed).triage(), Triage::Sign(_)));
}

#[test]
fn a05_a06_a08_what_waits_says_why_and_says_it_once() {
    let fresh = request(&json!({}), &[APPROVED]);
    let started = document(fresh.in_progress(Progress::Started, now()).unwrap().unwrap());
    let expected = json!({
        "type": "Ready", "status": "Unknown", "reason": "Initializing", "lastTransitionTime": NOW,
        "message": "tcs-issuer has started reconciling this CertificateRequest",
    });
    assert_eq!(started["status"], json!({"conditions": [expected]}));
    let waiting = document(fresh.in_progress(Progress::Waiting("no issuer"), now()).unwrap().unwrap());
    let expected = json!({
        "type": "Ready", "status": "False", "reason": "Pending", "lastTransitionTime": NOW,
        "message": "Signing still in progress. Reason: no issuer",
    });
    assert_eq!(waiting["status"], json!({"conditions": [expected]}));

    let mut present = object(&json!({}), &waiting["status"]);
    let next = |present: &Value, progress| read(present).in_progress(progress, now()).unwrap().map(document);
    assert_eq!(next(&present, Progress::Waiting("no issuer")), None, "it says so already");
    assert_eq!(next(&present, Progress::Started), None, "it is not the first thing that is written");
    assert!(next(&present, Progress::Waiting("another")).is_some());
    let retrying = next(&present, Progress::Retrying("no answer")).unwrap();
    let message = &condition(&retrying, "Ready").unwrap()["message"];
    assert_eq!(message, "Failed to sign CertificateRequest, will retry: no answer");
    present["status"] = retrying["status"].clone();
    assert_eq!(next(&present, Progress::Retrying("no answer")), None);
    let long = "x".repeat(10_000);
    let written = next(&present, Progress::Retrying(&long)).unwrap();
    present["status"] = written["status"].clone();
    assert_eq!(next(&present, Progress::Retrying(&long)), None, "a text that was shortened is the same");
}

#[test]
fn a07_a19_a_certificate_is_written_with_its_condition_and_the_ca_if_it_is_to_be() {
    let request = request(&json!({}), &[APPROVED, ["Ready", "False", "Pending"]]);
    let issued = |ca: Option<&str>| {
        let certificate = Certificate { pem: "leaf".into(), ca: ca.map(str::to_owned) };
        document(request.issued(certificate, now()).unwrap())["status"].take()
    };
    let bytes = |text: &str| serde_json::to_value(ByteString(text.into())).unwrap();
    let ready = json!({
        "type": "Ready", "status": "True", "reason": "Issued", "lastTransitionTime": NOW,
        "message": "Succeeded signing the CertificateRequest",
    });
    assert_eq!(issued(None), json!({"conditions": [ready], "certificate": bytes("leaf")}));
    let with_ca = json!({"conditions": [ready], "certificate": bytes("leaf"), "ca": bytes("root")});
    assert_eq!(issued(Some("root")), with_ca);
}

#[test]
fn a03_a10_a12_a_failure_has_its_time_and_says_whether_the_request_is_invalid() {
    let request = request(&json!({}), &[APPROVED]);
    let failed = |failure: &Failure| document(request.failed(failure, now()).unwrap());
    let invalid = failed(&Failure::new(RefusalCode::UsageForbidden, "no".into()));
    assert_eq!(invalid["status"]["failureTime"], NOW);
    let ready = condition(&invalid, "Ready").unwrap();
    assert_eq!((&ready["status"], &ready["reason"]), (&json!("False"), &json!("Failed")));
    assert_eq!(ready["message"], "Failed permanently to sign CertificateRequest: UsageForbidden: no");
    let invalid = condition(&invalid, "InvalidRequest").unwrap();
    assert_eq!((&invalid["status"], &invalid["reason"]), (&json!("True"), &json!("UsageForbidden")));

    for (reason, expected) in [(reasons::DENIED, "Denied"), (reasons::RETRIES_EXHAUSTED, "Failed")] {
        let failure = Failure { reason, message: "m".into(), remedy: None, is_invalid: false };
        let failed = failed(&failure);
        assert_eq!(condition(&failed, "Ready").unwrap()["reason"], expected);
        assert_eq!(condition(&failed, "InvalidRequest"), None, "{reason}");
        assert_eq!(failed["status"]["failureTime"], NOW);
        let (event, _) = CertificateRequest::failure_event(&failure);
        assert_eq!(event, if reason == reasons::DENIED { "Denied" } else { "PermanentError" });
    }
}

#[test]
fn a13_transition_time_follows_status_only() {
    let since = |present: &[[&str; 3]], progress| {
        let write = request(&json!({}), present).in_progress(progress, now()).unwrap().unwrap();
        document(write)["status"]["conditions"][0]["lastTransitionTime"].take()
    };
    let pending = ["Ready", "False", "Pending"];
    assert_eq!(since(&[pending], Progress::Waiting("x")), "2026-01-01T00:00:00Z");
    assert_eq!(since(&[["Ready", "False", "x"]], Progress::Retrying("x")), "2026-01-01T00:00:00Z");
    assert_eq!(since(&[["Ready", "Unknown", "Initializing"]], Progress::Waiting("x")), NOW);
    assert_eq!(since(&[], Progress::Waiting("x")), NOW);
    // A time that our type does not hold, and the API server does, is as good as none.
    let odd = json!([{"type": "Ready", "status": "False", "lastTransitionTime": "9999-12-31T23:59:59Z"}]);
    let odd = read(&object(&json!({}), &json!({"conditions": odd})));
    let write = odd.in_progress(Progress::Waiting("x"), now()).unwrap().unwrap();
    assert_eq!(document(write)["status"]["conditions"][0]["lastTransitionTime"], NOW);
}

#[test]
fn a14_what_is_applied_names_the_object_and_the_version_that_was_checked_and_nothing_of_others() {
    let request = request(&json!({}), &[APPROVED]);
    let document = document(request.in_progress(Progress::Started, now()).unwrap().unwrap());
    let metadata = json!({"name": "r", "namespace": "sandbox", "uid": "u", "resourceVersion": "5"});
    assert_eq!(document["metadata"], metadata);
    assert_eq!(
        (&document["apiVersion"], &document["kind"]),
        (&json!("cert-manager.io/v1"), &json!("CertificateRequest"))
    );
    assert_eq!(condition(&document, "Approved"), None);
    assert_eq!(document.as_object().unwrap().len(), 4, "{document}");
}

#[test]
fn a15_the_duration_is_read_as_go_reads_it() {
    let lifetime = |duration: &str| {
        let parsed = request(&json!({"duration": duration, "request": pem()}), &[APPROVED]).parse();
        parsed.map(|parsed| parsed.lifetime).map_err(|failure| failure.reason)
    };
    for (text, seconds) in [("2160h0m0s", 7_776_000), ("1.5h", 5_400), ("0s", 0), ("-1h", 0)] {
        assert_eq!(lifetime(text), Ok(Some(seconds)), "{text}");
    }
    for wrong in ["", "1", "1 hour", "90d"] {
        assert_eq!(lifetime(wrong), Err("LifetimeInvalid"), "{wrong}");
    }
    assert_eq!(request(&json!({"request": pem()}), &[APPROVED]).parse().unwrap().lifetime, None);
}

/// `spec.request`, which needs to be no request of PKCS #10 here.
fn pem() -> Value {
    let pem = "-----BEGIN CERTIFICATE REQUEST-----\nAQI=\n-----END CERTIFICATE REQUEST-----\n";
    serde_json::to_value(ByteString(pem.into())).unwrap()
}

#[test]
fn a16_usages_and_ca_flag() {
    let parse = |spec: &Value| request(spec, &[APPROVED]).parse().unwrap();
    let plain = parse(&json!({"request": pem()}));
    assert_eq!((plain.csr, plain.usages, plain.is_ca), (vec![1, 2], vec![], false));
    let ca = parse(&json!({"request": pem(), "isCA": true, "usages": ["cert sign", "any"]}));
    assert_eq!((ca.usages, ca.is_ca), (vec!["cert sign".to_owned(), "any".to_owned()], true));
}

#[test]
fn w_r7_base64_with_line_breaks_is_read_and_other_texts_are_refused() {
    let parse = |text: &str| request(&json!({"request": text}), &[APPROVED]).parse();
    let text = pem().as_str().unwrap().to_owned();
    let (start, end) = text.split_at(20);
    assert!(parse(&format!("{start}\r\n{end}\n")).is_ok());
    for wrong in ["", "%", "cGVt", &text[1..]] {
        assert_eq!(parse(wrong).unwrap_err().reason, "RequestMalformed", "{wrong}");
    }
}

#[test]
fn what_is_not_used_takes_no_memory_and_what_is_kept_counts() {
    let plain = object(&json!({}), &json!({}));
    let size_with = |pointer: &str, value: Value| {
        let mut object = plain.clone();
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[field] = value;
        read(&object).memory()
    };
    let long = "x".repeat(100_000);
    let none = read(&plain).memory();
    let condition = |type_: &str| json!([{"type": type_, "status": "True", "message": long}]);
    for (pointer, value) in [
        ("/metadata/annotations", json!({"a": long})),
        ("/metadata/labels", json!({"a": long})),
        ("/metadata/managedFields", json!([{"manager": long}])),
        ("/spec/username", json!(long)),
        ("/spec/groups", json!([long])),
        ("/spec/extra", json!({"k": [long]})),
        ("/status/conditions", condition("Approved")),
        ("/status/ca", json!(long)),
    ] {
        assert_eq!(size_with(pointer, value), none, "{pointer}");
    }
    for (pointer, value) in [
        ("/metadata/name", json!(long)),
        ("/spec/request", json!(long)),
        ("/spec/usages", json!([long])),
        ("/spec/duration", json!(long)),
        ("/spec/issuerRef/name", json!(long)),
        ("/spec/issuerRef/kind", json!(long)),
        ("/spec/issuerRef/group", json!(long)),
        ("/status/conditions", condition("Ready")),
    ] {
        let size = size_with(pointer, value) - none;
        assert!((90_000..110_000).contains(&size), "{pointer}: {size}");
    }
}

/// The schema that the API server has for a field of the kind.
fn schema() -> Value {
    let file = "../testkit/data/cert-manager/cert-manager.io_certificaterequests.yaml";
    let crd = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap();
    serde_saphyr::from_str(&crd).unwrap()
}

#[test]
fn the_fields_are_those_of_cert_managers_crd() {
    let crd = schema();
    let names = &crd["spec"]["names"];
    assert_eq!(crd["spec"]["group"], CertificateRequest::group(&()).as_ref());
    assert_eq!(names["kind"], CertificateRequest::kind(&()).as_ref());
    assert_eq!(names["plural"], CertificateRequest::plural(&()).as_ref());
    assert_eq!(crd["spec"]["scope"], "Namespaced");
    let version = &crd["spec"]["versions"][0];
    assert_eq!(version["name"], CertificateRequest::version(&()).as_ref());
    assert!(version["subresources"]["status"].is_object());
    let fields = &version["schema"]["openAPIV3Schema"]["properties"];
    for (pointer, expected) in [
        ("/spec/properties/request", json!({"type": "string", "format": "byte"})),
        ("/spec/properties/issuerRef/properties/name", json!({"type": "string"})),
        ("/spec/properties/issuerRef/properties/kind", json!({"type": "string"})),
        ("/spec/properties/issuerRef/properties/group", json!({"type": "string"})),
        ("/spec/properties/usages", json!({"type": "array"})),
        ("/spec/properties/usages/items", json!({"type": "string"})),
        ("/spec/properties/duration", json!({"type": "string"})),
        ("/spec/properties/isCA", json!({"type": "boolean"})),
        ("/status/properties/certificate", json!({"type": "string", "format": "byte"})),
        ("/status/properties/ca", json!({"type": "string", "format": "byte"})),
        ("/status/properties/failureTime", json!({"type": "string", "format": "date-time"})),
        // Others keep their conditions when the service applies its own.
        (
            "/status/properties/conditions",
            json!({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
        ),
    ] {
        let field = fields.pointer(pointer).unwrap_or_else(|| panic!("there is no {pointer}"));
        for (key, value) in expected.as_object().unwrap() {
            assert_eq!(&field[key], value, "{pointer}");
        }
    }
    let of_condition = &fields["status"]["properties"]["conditions"]["items"]["properties"];
    let known: Vec<&str> = of_condition.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(known, ["lastTransitionTime", "message", "reason", "status", "type"]);
}
