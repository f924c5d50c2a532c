//! Names and type of the Secrets with sealed CA keys are reserved for the service.

use crate::support::api_server::{create, key_owner, kubectl, write_as};
use crate::support::wait::DEADLINE;
use serde_json::{Value, json};
use tcs_testkit::process::wait_for;

const UID: &str = "11111111-1111-1111-1111-111111111111";

fn secret(metadata: &Value, kind: &str) -> Value {
    let mut secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": kind, "metadata": metadata,
        "data": { "sealed-ca": "AAAA" },
    });
    secret["metadata"]["namespace"] = json!("tcs-issuer");
    secret
}

/// A Secret of another type with such a name would keep an issuer in `SealedKeyNotKept`.
#[test]
fn review_l4_the_key_owner_takes_no_name_and_no_type_of_a_sealed_key() {
    let owner = key_owner("key-owner-squats");
    let name = format!("tcs-sealed-{UID}");
    let sealed = "tcs.intel.com/sealed-ca";
    for (what, squatted) in [
        ("the name", secret(&json!({ "name": name }), "Opaque")),
        ("the name of any issuer", secret(&json!({ "name": "tcs-sealed-x" }), "Opaque")),
        ("a name that is generated", secret(&json!({ "generateName": "tcs-sealed-" }), "Opaque")),
        ("the type", secret(&json!({ "name": "wrapped-key" }), sealed)),
        ("both", secret(&json!({ "name": name }), sealed)),
        // The certificate of a cluster issuer is published in this namespace, too.
        ("the name of a CA certificate", secret(&json!({ "name": "mesh-ca" }), "Opaque")),
        ("a name that is generated, of any kind", secret(&json!({ "generateName": "mesh-" }), "Opaque")),
    ] {
        wait_for(DEADLINE, what, || {
            let refused = write_as(&owner, &["create"], &squatted).err();
            // If two policies refuse, the API server names either. One policy refuses the type alone.
            let names = |policy: &str, error: &String| error.contains(&format!("'{policy}'"));
            Ok(refused.filter(|error| {
                names("tcs-issuer-sealed-keys", error)
                    || (what != "the type" && names("tcs-issuer-tokens", error))
            }))
        })
        .unwrap();
    }
    // The step of the walk-through, and that of an administrator who restores a backup.
    let delivered = secret(&json!({ "name": "wrapped-key" }), "Opaque");
    write_as(&owner, &["create"], &delivered).unwrap();
    write_as(&owner, &["replace"], &delivered).unwrap();
    let backup = secret(&json!({ "name": name }), sealed);
    create(&backup).unwrap();
    let error = write_as(&owner, &["replace"], &backup).unwrap_err();
    assert!(error.contains("orbidden"), "{error}");
    kubectl(&["delete", "secret", "wrapped-key", &name, "-n", "tcs-issuer"]);
}
