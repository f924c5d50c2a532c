use super::*;
use serde_json::{Value, json};

/// The CRD of a kind as it is written to the file.
fn crd(kind: &str) -> Value {
    let crd = crds().into_iter().find(|crd| crd.spec.names.kind == kind).unwrap();
    serde_json::to_value(crd).unwrap()
}

fn schema(kind: &str) -> Value {
    crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
}

fn columns(kind: &str) -> Vec<(String, i64)> {
    let crd = crd(kind);
    let columns = crd["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap();
    let column =
        |c: &Value| (c["name"].as_str().unwrap().to_owned(), c["priority"].as_i64().unwrap_or_default());
    columns.iter().map(column).collect()
}

/// Every object in a JSON tree.
fn objects(value: &Value) -> Vec<&serde_json::Map<String, Value>> {
    match value {
        Value::Object(map) => std::iter::once(map).chain(map.values().flat_map(objects)).collect(),
        Value::Array(list) => list.iter().flat_map(objects).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn names_scopes_and_versions() {
    for (kind, plural, scope) in [
        ("QuoteAttestation", "quoteattestations", "Namespaced"),
        ("TCSIssuer", "tcsissuers", "Namespaced"),
        ("TCSClusterIssuer", "tcsclusterissuers", "Cluster"),
    ] {
        let crd = crd(kind);
        assert_eq!(crd["metadata"]["name"], format!("{plural}.tcs.intel.com"));
        assert_eq!(crd["spec"]["scope"], scope);
        assert_eq!(crd["spec"]["versions"][0]["name"], "v1alpha1");
        assert_eq!(crd["spec"]["versions"][0]["subresources"], json!({ "status": {} }));
        assert_eq!(crd["spec"]["names"].get("shortNames"), None);
    }
}

#[test]
fn kubectl_prints_what_the_document_shows() {
    let wide: Vec<_> =
        columns("QuoteAttestation").into_iter().filter(|(_, priority)| *priority == 0).collect();
    assert_eq!(wide, vec![("Age".to_owned(), 0)]);
    for kind in ["TCSIssuer", "TCSClusterIssuer"] {
        let (narrow, wide): (Vec<_>, Vec<_>) =
            columns(kind).into_iter().partition(|(_, priority)| *priority == 0);
        assert_eq!(narrow, ["Age", "Ready", "Reason", "Message"].map(|name| (name.to_owned(), 0)));
        assert_eq!(wide, [("Confirmed".to_owned(), 1)]);
    }
}

#[test]
fn a_quote_attestations_conditions_are_an_open_atomic_list() {
    let conditions = &schema("QuoteAttestation")["properties"]["status"]["properties"]["conditions"];
    for object in objects(conditions) {
        for key in ["enum", "required", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "default"] {
            assert!(!object.contains_key(key), "{key} in {object:?}");
        }
    }
    let fields = conditions["items"]["properties"].as_object().unwrap();
    assert_eq!(fields.keys().collect::<Vec<_>>(), ["lastUpdateTime", "message", "reason", "status", "type"]);
    assert!(fields.values().all(|field| field["nullable"] == true), "null is what Go writers emit");
}

#[test]
fn an_issuers_conditions_are_a_map() {
    let conditions = &schema("TCSIssuer")["properties"]["status"]["properties"]["conditions"];
    assert_eq!(conditions["x-kubernetes-list-type"], "map");
    assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]));
}

#[test]
fn an_issuers_rules_are_there_for_both_kinds() {
    for kind in ["TCSIssuer", "TCSClusterIssuer"] {
        let schema = schema(kind);
        assert_eq!(schema["x-kubernetes-validations"][0]["rule"], "self.metadata.name.size() <= 63");
        let self_sign = &schema["properties"]["spec"]["properties"]["selfSign"];
        assert_eq!(self_sign["default"], true);
        assert_eq!(self_sign["x-kubernetes-validations"][0]["rule"], "self == oldSelf");
        assert_eq!(schema["properties"]["spec"]["required"], json!(["secretName"]));
    }
}

#[test]
fn the_union_schema_requires_only_what_all_versions_have() {
    let schema = schema("QuoteAttestation");
    let spec = &schema["properties"]["spec"];
    assert_eq!(spec["required"], json!(["publicKey", "quote"]));
    let fields: Vec<_> = spec["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "nonce",
        "publicKey",
        "quote",
        "quoteVersion",
        "secretName",
        "serviceId",
        "signerName",
        "signerNames",
        "type",
    ];
    assert_eq!(fields, expected);
    for field in ["nonce", "publicKey", "quote"] {
        assert_eq!(spec["properties"][field]["format"], "byte", "{field}");
    }
}

#[test]
fn every_string_and_list_that_users_write_is_bounded() {
    for kind in ["QuoteAttestation", "TCSIssuer"] {
        let schema = schema(kind);
        let status = schema["properties"]["status"].clone();
        let parts = if kind == "QuoteAttestation" {
            vec![&schema["properties"]["spec"], &status]
        } else {
            vec![&schema["properties"]["spec"]]
        };
        for object in parts.into_iter().flat_map(objects) {
            let bounded = match object.get("type").and_then(Value::as_str) {
                Some("string") => {
                    object.contains_key("maxLength")
                        || object.contains_key("enum")
                        || object.get("format") == Some(&json!("date-time"))
                }
                Some("array") => object.contains_key("maxItems"),
                Some("object") if object.contains_key("additionalProperties") => {
                    object.contains_key("maxProperties")
                }
                _ => true,
            };
            assert!(bounded, "{object:?}");
        }
    }
}

#[test]
fn w_d14_the_documents_status_and_a_go_writers_null_are_read() {
    let status: QuoteAttestationStatus = serde_json::from_value(json!({
        "conditions": [
            { "type": "Init", "status": "True", "reason": "TCSReconcile", "message": "", "lastUpdateTime": null },
            { "type": "CASecretReady", "status": "true" },
            {},
        ],
        "secrets": { "tcsissuer.tcs.intel.com/sandbox.external-ca":
            { "secretName": "wrapped-key", "secretType": "KMRA" } },
    }))
    .unwrap();
    assert!(crate::conditions::is_true(&status.conditions, crate::conditions::CA_SECRET_READY));
    let entry = &status.secrets["tcsissuer.tcs.intel.com/sandbox.external-ca"];
    assert_eq!((entry.secret_name.as_str(), entry.secret_type.as_deref()), ("wrapped-key", Some("KMRA")));
}

#[test]
fn absent_values_are_not_written_as_null() {
    assert_eq!(serde_json::to_value(IssuerStatus::default()).unwrap(), json!({}));
    assert_eq!(serde_json::to_value(QuoteAttestationStatus::default()).unwrap(), json!({}));
    assert_eq!(serde_json::to_value(QuoteCondition::default()).unwrap(), json!({}));
    let spec = serde_json::to_value(QuoteAttestationSpec::default()).unwrap();
    assert_eq!(spec, json!({ "quote": "", "publicKey": "" }));
}

#[test]
fn an_issuer_of_the_document_is_read_and_self_sign_defaults_to_true() {
    let spec: IssuerSpec =
        serde_json::from_value(json!({ "secretName": "external-ca-secret", "selfSign": false })).unwrap();
    assert!(!spec.self_sign);
    let spec: ClusterIssuerSpec = serde_json::from_value(json!({ "secretName": "x" })).unwrap();
    assert!(spec.0.self_sign);
}

#[test]
fn a_refused_delivery_is_known_by_offer_and_secret() {
    let refused = RefusedDelivery {
        offer: "0a".into(),
        secret_uid: "u".into(),
        secret_resource_version: "7".into(),
        code: "KeyMismatch".into(),
        message: "why".into(),
        accepted_formats: vec![WrapFormat::KmraV1],
    };
    assert!(refused.is_same_delivery(&RefusedDelivery { code: String::new(), ..refused.clone() }));
    assert!(
        !refused
            .is_same_delivery(&RefusedDelivery { secret_resource_version: "8".into(), ..refused.clone() })
    );
    assert!(!refused.is_same_delivery(&RefusedDelivery { secret_uid: "v".into(), ..refused.clone() }));
    assert!(!refused.is_same_delivery(&RefusedDelivery { offer: "0b".into(), ..refused.clone() }));
}

/// An older CRD allowed `null`. It is not read as the absence of a rule, in any field of the schema.
#[test]
fn review_l5_a_rule_that_is_null_is_not_read_as_none() {
    let schema = schema("TCSIssuer");
    let policy = &schema["properties"]["spec"]["properties"]["policy"];
    let rules: Vec<_> = policy["properties"].as_object().unwrap().keys().collect();
    assert_eq!(rules.len(), 11);
    for rule in rules {
        for spec in [
            json!({ "secretName": "x", "policy": { rule: null } }),
            json!({ "secretName": "x", "ca": { "policy": { rule: null } } }),
        ] {
            let read = serde_json::from_value::<IssuerSpec>(spec.clone());
            assert!(read.is_err_and(|error| error.to_string().contains("null")), "{spec}");
        }
    }
    for blank in [
        json!({ "secretName": "x", "policy": null }),
        json!({ "secretName": "x", "ca": null }),
        json!({ "secretName": "x", "delivery": null }),
        json!({ "secretName": "x", "ca": { "policy": null } }),
    ] {
        assert!(serde_json::from_value::<ClusterIssuerSpec>(blank.clone()).is_err(), "{blank}");
    }
    let empty = json!({ "secretName": "x", "policy": { "dnsNames": [] } });
    let read: IssuerSpec = serde_json::from_value(empty).unwrap();
    assert_eq!(read.policy.unwrap().dns_names, Some(TextList::default()));
}

/// What is not understood is not taken for permission of every format.
#[test]
fn delivery_formats_are_known_names_or_the_issuer_is_unreadable() {
    let read = |delivery: Value| {
        serde_json::from_value::<IssuerSpec>(
            json!({ "secretName": "x", "selfSign": false, "delivery": delivery }),
        )
    };
    let formats = |delivery| read(delivery).unwrap().delivery.unwrap().formats;
    assert_eq!(formats(json!({})), None);
    assert_eq!(formats(json!({ "formats": ["kmra-v1"] })), Some(vec![WrapFormat::KmraV1]));
    let names = WrapFormat::ALL.map(WrapFormat::as_str);
    assert_eq!(formats(json!({ "formats": names })), Some(WrapFormat::ALL.to_vec()));
    for delivery in [
        json!(null),
        json!({ "formats": null }),
        json!({ "formats": "kmra-v1" }),
        json!({ "formats": ["kmra-v2"] }),
        json!({ "formats": ["KMRA-V1"] }),
        json!({ "formats": ["kmra-v1", null] }),
        json!({ "format": ["kmra-v1"] }),
    ] {
        assert!(read(delivery.clone()).is_err(), "{delivery}");
    }
    let schema = schema("TCSClusterIssuer");
    let spec = &schema["properties"]["spec"];
    assert_eq!(spec["properties"]["delivery"]["properties"]["formats"]["items"]["enum"], json!(names));
    let refused = &schema["properties"]["status"]["properties"]["refusedDelivery"];
    assert_eq!(refused["properties"]["acceptedFormats"]["items"]["enum"], json!(names));
    assert!(!refused["required"].as_array().unwrap().contains(&json!("acceptedFormats")));
    let rules = spec["x-kubernetes-validations"].as_array().unwrap();
    assert!(rules.iter().any(|rule| rule["rule"] == "!has(self.delivery) || !self.selfSign"));
}

/// A rule of a newer CRD that this controller does not know.
#[test]
fn review_l3_a_rule_that_is_not_known_makes_the_issuer_unreadable() {
    for spec in [
        json!({ "secretName": "x", "policy": { "dnsSuffixes": ["a"] } }),
        json!({ "secretName": "x", "ca": { "policy": { "dnsSuffixes": ["a"] } } }),
    ] {
        let read = serde_json::from_value::<IssuerSpec>(spec);
        assert!(read.is_err_and(|error| error.to_string().contains("dnsSuffixes")));
    }
}

/// The rule that refuses null counts the fields, so it must name all of them. They must be nullable, or the
/// API server drops null silently.
#[test]
fn review_l5_the_crds_refuse_blank_fields() {
    for kind in ["TCSIssuer", "TCSClusterIssuer"] {
        let schema = schema(kind);
        let spec = &schema["properties"]["spec"];
        let ca = &spec["properties"]["ca"];
        let delivery = &spec["properties"]["delivery"];
        for object in [spec, ca, delivery, &spec["properties"]["policy"], &ca["properties"]["policy"]] {
            let rules = object["x-kubernetes-validations"].as_array().unwrap();
            let validation = rules
                .iter()
                .find(|rule| rule["rule"].as_str().is_some_and(|rule| rule.starts_with("size(")))
                .unwrap();
            // Only the lists of a policy may be empty.
            let advises_empty = validation["message"].as_str().unwrap().contains("write []");
            assert_eq!(advises_empty, object["properties"].get("dnsNames").is_some(), "{validation}");
            let rule = validation["rule"].as_str().unwrap();
            let fields = object["properties"].as_object().unwrap();
            assert_eq!(rule.matches("has(").count(), fields.len());
            assert!(fields.keys().all(|field| rule.contains(&format!("has(self.{field})"))), "{rule}");
        }
        assert_eq!(delivery["properties"]["formats"]["nullable"], true);
        for field in ["ca", "delivery", "policy"] {
            assert_eq!(spec["properties"][field]["nullable"], true);
        }
        for policy in [&spec["properties"]["policy"], &ca["properties"]["policy"]] {
            let fields = policy["properties"].as_object().unwrap();
            assert!(fields.values().all(|field| field["nullable"] == true));
        }
    }
}
