use super::*;

/// The manifest's object as the API server returns it: with defaults, metadata and status.
fn stored(kind: ObjectKind, name: &str) -> (Expected, Value) {
    let expected = expected().unwrap().into_iter().find(|one| one.kind == kind && one.name == name).unwrap();
    let mut spec = expected.spec.clone();
    if kind == ObjectKind::Policy {
        let constraints = spec["matchConstraints"].as_object_mut().unwrap();
        constraints.entry("matchPolicy").or_insert(json!("Equivalent"));
        constraints.entry("namespaceSelector").or_insert(json!({}));
        constraints.entry("objectSelector").or_insert(json!({}));
    }
    let object = json!({
        "metadata": { "name": name, "generation": 1, "managedFields": [{ "time": "9999-12-31T23:59:59Z" }] },
        "spec": spec,
        "status": { "observedGeneration": 1 },
    });
    (expected, object)
}

/// The field, its expected value, and the value that was found.
fn changed(kind: ObjectKind, change: impl FnOnce(&mut Value)) -> Option<(String, String, String, bool)> {
    let (expected, mut object) = stored(kind, OWN_POLICY);
    change(&mut object["spec"]);
    match compare(&expected, Some(&object)) {
        Ok(()) => None,
        Err(PolicyFault::Changed { field, expected, found, superfluous, .. }) => {
            Some((field, expected, found, superfluous))
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn review_l9_the_manifest_has_each_policy_with_its_binding() {
    let all = expected().unwrap();
    let names =
        |kind| all.iter().filter(|one| one.kind == kind).map(|one| one.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names(ObjectKind::Policy), [OWN_POLICY, "tcs-issuer-tokens", "tcs-issuer-sealed-keys"]);
    assert_eq!(names(ObjectKind::Binding), names(ObjectKind::Policy));
    for one in &all {
        let (expected, object) = stored(one.kind, &one.name);
        assert_eq!(compare(&expected, Some(&object)), Ok(()), "{}", one.name);
        match one.kind {
            ObjectKind::Policy => assert_eq!(one.spec["failurePolicy"], "Fail"),
            ObjectKind::Binding => assert_eq!(
                (&one.spec["policyName"], &one.spec["validationActions"]),
                (&json!(one.name), &json!(["Deny"]))
            ),
        }
    }
}

#[test]
fn review_l9_what_is_missing_or_going_is_missing() {
    let (expected, mut object) = stored(ObjectKind::Policy, OWN_POLICY);
    let missing = Err(PolicyFault::Missing { kind: ObjectKind::Policy, name: OWN_POLICY.into() });
    assert_eq!(compare(&expected, None), missing);
    object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    assert_eq!(compare(&expected, Some(&object)), missing);
    assert!(matches!(compare(&expected, Some(&json!({}))), Err(PolicyFault::Changed { .. })));
}

#[test]
fn review_l9_every_change_of_what_a_policy_checks_is_seen_and_named() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str, bool); 15] = [
        (|spec| spec["failurePolicy"] = json!("Ignore"), "spec.failurePolicy", false),
        (
            |spec| spec["paramKind"] = json!({ "apiVersion": "v1", "kind": "ConfigMap" }),
            "spec.paramKind",
            true,
        ),
        (
            |spec| spec["matchConditions"][0]["expression"] = json!("false"),
            "spec.matchConditions[0].expression",
            false,
        ),
        (
            |spec| {
                spec["matchConditions"]
                    .as_array_mut()
                    .unwrap()
                    .push(json!({ "name": "x", "expression": "false" }));
            },
            "spec.matchConditions[1]",
            true,
        ),
        (|spec| spec["variables"][1]["expression"] = json!("true"), "spec.variables[1].expression", false),
        (|spec| spec["variables"].as_array_mut().unwrap().truncate(3), "spec.variables[3]", false),
        (
            |spec| spec["validations"][3]["expression"] = json!("true"),
            "spec.validations[3].expression",
            false,
        ),
        (|spec| spec["validations"] = json!([]), "spec.validations[0]", false),
        (
            |spec| spec["matchConstraints"]["resourceRules"][0]["operations"] = json!(["CREATE", "UPDATE"]),
            "spec.matchConstraints.resourceRules[0].operations[2]",
            false,
        ),
        (
            |spec| spec["matchConstraints"]["resourceRules"][0]["scope"] = json!("Cluster"),
            "spec.matchConstraints.resourceRules[0].scope",
            false,
        ),
        (
            |spec| spec["matchConstraints"]["excludeResourceRules"] = json!([{ "resources": ["secrets"] }]),
            "spec.matchConstraints.excludeResourceRules",
            true,
        ),
        (
            |spec| spec["matchConstraints"]["namespaceSelector"] = json!({ "matchLabels": { "a": "b" } }),
            "spec.matchConstraints.namespaceSelector.matchLabels",
            true,
        ),
        (
            |spec| {
                spec["matchConstraints"]["objectSelector"]["matchExpressions"] =
                    json!([{ "key": "a", "operator": "Exists" }]);
            },
            "spec.matchConstraints.objectSelector.matchExpressions",
            true,
        ),
        (
            |spec| spec["matchConstraints"]["matchPolicy"] = json!("Exact"),
            "spec.matchConstraints.matchPolicy",
            false,
        ),
        (|spec| spec["ofALaterVersion"] = json!(true), "spec.ofALaterVersion", true),
    ];
    for (change, field, superfluous) in cases {
        let (found_field, .., found_superfluous) = changed(ObjectKind::Policy, change).expect(field);
        assert_eq!((found_field.as_str(), found_superfluous), (field, superfluous));
    }
}

#[test]
fn review_l9_every_way_to_weaken_a_binding_is_seen_and_named() {
    type Change = fn(&mut Value);
    let cases: [(Change, &str); 8] = [
        (|spec| spec["validationActions"] = json!(["Audit"]), "spec.validationActions[0]"),
        (|spec| spec["validationActions"] = json!(["Warn", "Audit"]), "spec.validationActions[0]"),
        (|spec| spec["validationActions"] = json!([]), "spec.validationActions[0]"),
        (|spec| spec["policyName"] = json!("another"), "spec.policyName"),
        (|spec| spec["paramRef"] = json!({ "name": "x" }), "spec.paramRef"),
        (
            |spec| spec["matchResources"] = json!({ "namespaceSelector": { "matchLabels": { "a": "b" } } }),
            "spec.matchResources",
        ),
        (
            |spec| spec["matchResources"] = json!({ "objectSelector": { "matchLabels": { "a": "b" } } }),
            "spec.matchResources",
        ),
        (
            |spec| spec["matchResources"] = json!({ "excludeResourceRules": [{ "resources": ["*"] }] }),
            "spec.matchResources",
        ),
    ];
    for (change, field) in cases {
        assert_eq!(changed(ObjectKind::Binding, change).expect(field).0, field);
    }
}

#[test]
fn review_l9_what_checks_nothing_may_differ() {
    assert_eq!(
        changed(ObjectKind::Policy, |spec| {
            spec["validations"][0]["message"] = json!("in another language");
            spec["validations"][1]["messageExpression"] = json!("'x'");
            spec["auditAnnotations"] = json!([{ "key": "a", "valueExpression": "'b'" }]);
            spec["paramKind"] = Value::Null;
        }),
        None
    );
    assert_eq!(
        changed(ObjectKind::Binding, |spec| {
            spec["validationActions"] = json!(["Audit", "Deny"]);
            spec["matchResources"] =
                json!({ "matchPolicy": "Equivalent", "namespaceSelector": {}, "objectSelector": {} });
        }),
        None
    );
}

#[test]
fn review_l9_a_fault_says_what_was_expected_and_found_and_what_to_do() {
    let (expected, mut object) = stored(ObjectKind::Policy, OWN_POLICY);
    object["spec"]["failurePolicy"] = json!("Ignore");
    let message = compare(&expected, Some(&object)).unwrap_err().to_string();
    let wanted = "ValidatingAdmissionPolicy tcs-issuer-secrets was changed: spec.failurePolicy should be `\"Fail\"` and is `\"Ignore\"`. ";
    assert!(
        message.starts_with(wanted) && message.contains("kubectl apply -f deployment/access.yaml"),
        "{message}"
    );
    assert!(!message.contains("kubectl delete"), "{message}");

    // Applying the manifest does not remove what somebody else added.
    let (expected, mut object) = stored(ObjectKind::Binding, OWN_POLICY);
    object["spec"]["matchResources"] = json!({ "namespaceSelector": { "matchLabels": { "a": "b" } } });
    let message = compare(&expected, Some(&object)).unwrap_err().to_string();
    assert!(
        message.contains("kubectl delete validatingadmissionpolicybinding tcs-issuer-secrets"),
        "{message}"
    );

    // Of long expressions only the part that differs is shown.
    let (_, wanted, found, _) = changed(ObjectKind::Policy, |spec| {
        let text = spec["variables"][3]["expression"].as_str().unwrap().replace("== 0", "== 1");
        spec["variables"][3]["expression"] = json!(format!("{text}{}", " ".repeat(10_000)));
    })
    .unwrap();
    assert!(wanted.contains("== 0") || found.contains("== 1"), "{wanted} / {found}");
    assert!(wanted.len() < 200 && found.len() < 200, "{wanted} / {found}");
}
