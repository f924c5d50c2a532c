use super::*;
use crate::requests::csr::KubernetesCsr;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use kube::api::{ObjectList, WatchEvent};
use kube::core::PartialObjectMeta;
use serde_json::json;
use tcs_api::v1alpha1::{QuoteAttestation, TCSIssuer};

const BEYOND: &str = "9999-12-31T23:59:59Z";

fn issuer(name: &str) -> Value {
    json!({
        "apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSIssuer",
        "metadata": {
            "name": name, "namespace": "sandbox", "uid": format!("uid-of-{name}"), "resourceVersion": "7",
            "labels": {"tcs.intel.com/issuer-name": "blue", "team": "red"}, "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": {"secretName": "its-secret"},
    })
}

fn with(mut object: Value, pointer: &str, value: Value) -> Value {
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    object.pointer_mut(parent).unwrap()[field] = value;
    object
}

/// Reads an object from its text, as the API server sends it.
fn read<K: DeserializeOwned + Resource<DynamicType = ()> + Kept>(
    object: &Value,
) -> Result<K, Box<Unreadable>> {
    serde_json::from_str::<Guarded<K>>(&object.to_string()).unwrap().read()
}

fn unreadable(object: &Value) -> Unreadable {
    *read::<TCSIssuer>(object).unwrap_err()
}

#[test]
fn review_h1_times_in_managed_fields_are_not_decoded() {
    let managed = json!([{"manager": "x", "operation": "Update", "time": BEYOND}]);
    let object = with(issuer("poison"), "/metadata/managedFields", managed);
    serde_json::from_str::<TCSIssuer>(&object.to_string()).unwrap_err();
    let read = read::<TCSIssuer>(&object).unwrap();
    assert_eq!((read.name_any().as_str(), read.metadata.managed_fields), ("poison", None));
    // Only in the metadata: elsewhere a field of that name belongs to the object.
    let secret = json!({"metadata": {"name": "s"}, "data": {"managedFields": "AA=="}});
    let secret = super::tests::read::<Secret>(&secret).unwrap();
    assert_eq!(secret.data.unwrap().get("managedFields").unwrap().0, [0]);
}

#[test]
fn review_h1_nesting_beyond_the_parsers_limit_is_skipped() {
    for place in
        ["metadata\":{\"name\":\"deep\",\"managedFields", "metadata\":{\"name\":\"deep\"},\"status\":{\"more"]
    {
        let nested = format!("{}0{}", "{\"f:a\":".repeat(9_000), "}".repeat(9_000));
        let text = format!("{{\"{place}\":{nested}}},\"spec\":{{\"secretName\":\"s\"}}}}");
        let list = format!("{{\"apiVersion\":\"v1\",\"kind\":\"L\",\"items\":[{text},{text}]}}");
        let unguarded = serde_json::from_str::<ObjectList<TCSIssuer>>(&list);
        assert_eq!(unguarded.is_err(), place.contains("managedFields"), "{place}");
        let list: ObjectList<Guarded<TCSIssuer>> = serde_json::from_str(&list).unwrap();
        assert!(list.into_iter().all(|object| object.read().is_ok()), "{place}");
        let event = format!("{{\"type\":\"ADDED\",\"object\":{text}}}");
        let event: WatchEvent<Guarded<TCSIssuer>> = serde_json::from_str(&event).unwrap();
        assert!(matches!(event, WatchEvent::Added(object) if object.is_readable()), "{place}");
    }
}

#[test]
fn review_h1_one_bad_object_of_three_is_reported_and_the_others_are_read() {
    let bad = with(issuer("bad"), "/spec/secretName", json!(5));
    let list = json!({
        "apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSIssuerList", "metadata": {"resourceVersion": "9"},
        "items": [issuer("a"), bad, issuer("z")],
    });
    let list: ObjectList<Guarded<TCSIssuer>> = serde_json::from_str(&list.to_string()).unwrap();
    let read: Vec<_> = list.into_iter().map(Guarded::read).collect();
    let names: Vec<_> = read.iter().flatten().map(kube::ResourceExt::name_any).collect();
    assert_eq!(names, ["a", "z"]);
    let bad = read[1].as_ref().unwrap_err();
    assert_eq!(
        bad.to_string(),
        "TCSIssuer sandbox/bad cannot be read: spec.secretName: found integer, expected a string"
    );
    let metadata = &bad.metadata;
    assert_eq!(metadata.uid.as_deref(), Some("uid-of-bad"));
    assert_eq!(metadata.resource_version.as_deref(), Some("7"));
    let labels = metadata.labels.as_ref().unwrap();
    assert_eq!((labels.len(), labels["tcs.intel.com/issuer-name"].as_str()), (1, "blue"));
    assert!(metadata.creation_timestamp.is_none(), "times are not text");
}

#[test]
fn review_h1_metadata_that_is_not_text_is_left_out() {
    let bad = unreadable(&with(issuer("x"), "/metadata/uid", json!(7)));
    assert_eq!((bad.metadata.uid, bad.metadata.name.as_deref()), (None, Some("x")));
    for metadata in [json!(null), json!("text"), json!([1]), json!({"name": {}})] {
        let bad = unreadable(&with(issuer("x"), "/metadata", metadata));
        assert_eq!((bad.name(), bad.metadata.uid.as_ref()), ("", None));
    }
    for object in [json!(null), json!(3), json!("text"), json!([])] {
        assert_eq!(unreadable(&object).metadata, ObjectMeta::default(), "{object}");
    }
}

#[test]
fn review_h1_errors_name_the_field_and_never_its_content() {
    const HUSH: &str = "hush,\" expected \u{1b}[31m`hush`, expected hush";
    let secret = |data: Value| json!({"metadata": {"name": "s"}, "data": data});
    let error_of = |data: Value| read::<Secret>(&secret(data)).unwrap_err().error;
    for data in
        [json!(HUSH), json!({"a": HUSH}), json!({"a": [HUSH]}), json!([HUSH]), json!({"a": {HUSH: 1}})]
    {
        let error = error_of(data);
        assert!(error.starts_with("data"), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
    let metadata = |field: &str| with(issuer("x"), &format!("/metadata/{field}"), json!(HUSH));
    for field in ["deletionTimestamp", "labels", "generation", "annotations"] {
        let error = unreadable(&metadata(field)).error;
        assert!(error.starts_with(&format!("metadata.{field}: ")) && !error.contains("hush"), "{error}");
    }
    let missing = with(issuer("x"), "/spec", json!({}));
    assert_eq!(unreadable(&missing).error, "spec: the field secretName is missing");
    // However long the name is, and whatever characters it contains.
    let name = format!("\u{1b}[2J\n{}", "n".repeat(5_000));
    let labels = json!({"tcs.intel.com/issuer-name": 5});
    let error =
        unreadable(&with(with(issuer("x"), "/metadata/labels", labels), "/metadata/name", json!(name)));
    let text = error.to_string();
    assert!(text.chars().count() < 3 * MAX_ERROR, "{}", text.len());
    assert!(!text.contains(char::is_control), "{text}");
}

#[test]
fn review_h1_metadata_alone_is_guarded_too() {
    let secret = json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": {"name": "s", "managedFields": [{"time": BEYOND}]},
    });
    assert!(Guarded::<PartialObjectMeta<Secret>>::metadata_api());
    assert_eq!(read::<PartialObjectMeta<Secret>>(&secret).unwrap().name_any(), "s");
    let bad = with(secret, "/metadata/labels", json!([]));
    let bad = read::<PartialObjectMeta<Secret>>(&bad).unwrap_err();
    assert_eq!((bad.kind.as_str(), bad.name()), ("Secret", "s"));
}

#[test]
fn review_m2_only_what_the_service_uses_of_the_metadata_of_an_issuer_is_decoded() {
    let large = "x".repeat(256 << 10);
    let renew = format!("{}{large}", "\u{20ac}".repeat(63));
    let mut object = issuer("x");
    object["metadata"].as_object_mut().unwrap().extend(
        json!({
            "annotations": {"other": large, "tcs.intel.com/renew": renew, "tcs.intel.com/new-ca": "ab"},
            "ownerReferences": [{"uid": large}], "finalizers": [large], "generateName": large,
            "managedFields": [{"fieldsV1": {"f:a": large}}], "generation": 3,
        })
        .as_object()
        .unwrap()
        .clone(),
    );
    object["metadata"]["labels"][large.as_str()] = json!("v");
    let read = read::<TCSIssuer>(&object).unwrap();
    let cut = read.annotations()["tcs.intel.com/renew"].clone();
    assert_eq!((cut.chars().count(), cut.starts_with(&"\u{20ac}".repeat(63))), (kept::MAX_ANNOTATION, true));
    assert_eq!(read.annotations()["tcs.intel.com/new-ca"], "ab");
    assert_eq!(read.annotations().len(), 2, "foreign ones are not kept, even cut");
    assert_eq!(read.name_any(), "x");
    let small = serde_json::to_string(&read).unwrap();
    assert!(small.len() < 1024, "{small}");
    assert_eq!((read.uid().as_deref(), read.metadata.generation), (Some("uid-of-x"), Some(3)));
    // What is written back as it was read is kept as it is.
    let mut attestation = object.clone();
    attestation["spec"] = json!({"publicKey": "", "quote": ""});
    for field in ["ownerReferences", "managedFields"] {
        attestation["metadata"].as_object_mut().unwrap().remove(field);
    }
    let whole = super::tests::read::<QuoteAttestation>(&attestation).unwrap();
    assert_eq!((whole.annotations().len(), whole.labels().len()), (3, 3));
    assert_eq!((whole.annotations()["other"].len(), whole.finalizers().len()), (large.len(), 1));
}

#[test]
fn an_object_is_written_as_it_was_read_and_an_unreadable_one_never() {
    let object = json!({
        "apiVersion": "tcs.intel.com/v1alpha1", "kind": "QuoteAttestation", "spec": {"publicKey": "YQ==", "quote": "Yg=="},
        "metadata": {"name": "x", "labels": {"team": "red"}, "annotations": {"other": "y"}, "finalizers": ["f/g"]},
    });
    let read: Guarded<QuoteAttestation> = serde_json::from_value(object.clone()).unwrap();
    let typed: QuoteAttestation = serde_json::from_value(object).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&typed).unwrap());
    let bad: Guarded<TCSIssuer> = serde_json::from_value(with(issuer("x"), "/spec", json!(1))).unwrap();
    serde_json::to_value(&bad).unwrap_err();
}

/// A kind that is decoded in one step is read as it would be by the other way, byte by byte.
#[test]
fn requests_are_read_alike_in_one_step_and_in_two() {
    let whole = json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {
            "name": "r", "namespace": "n", "generateName": "r-", "uid": "u", "resourceVersion": "5", "selfLink": "/s",
            "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z", "deletionTimestamp": "2026-01-02T00:00:00Z",
            "deletionGracePeriodSeconds": 30, "labels": {"l": "1"}, "annotations": {"a": "2"}, "finalizers": ["f"],
            "ownerReferences": [{"apiVersion": "v1", "kind": "K", "name": "o", "uid": "p"}],
        },
        "spec": {"request": "cGVt", "signerName": "example.com/s", "usages": ["server auth"]},
        "status": {"conditions": [{"type": "Approved", "status": "True", "lastUpdateTime": BEYOND}]},
    });
    let managed = json!([{"manager": "x", "operation": "Update", "time": BEYOND, "fieldsV1": {"f:a": {}}}]);
    let read: KubernetesCsr = read(&with(whole.clone(), "/metadata/managedFields", managed)).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), whole);

    // Too deep for one step.
    let nested = format!("{}0{}", "{\"f:a\":".repeat(9_000), "}".repeat(9_000));
    let text = whole.to_string().replace("{\"l\":\"1\"}", &format!("{{\"l\":\"1\"}},\"more\":{nested}"));
    let list = format!("{{\"apiVersion\":\"v1\",\"kind\":\"L\",\"items\":[{text}]}}");
    let list: ObjectList<Guarded<KubernetesCsr>> = serde_json::from_str(&list).unwrap();
    assert_eq!(list.items[0].clone().read().unwrap(), read);

    let wrong = with(whole, "/spec/usages", json!("server auth"));
    let error = super::tests::read::<KubernetesCsr>(&wrong).unwrap_err();
    assert_eq!(error.error, "spec.usages: found string, expected a sequence");
    assert_eq!(error.metadata.uid.as_deref(), Some("u"));
}
