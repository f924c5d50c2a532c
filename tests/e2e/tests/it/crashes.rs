//! Crashes of the enclave, the controller and both at every step (acceptance 3.3 of the certificate core). A stack of its own.

use crate::bed::{Bed, Issuer, SOON, decode, issuer_object, unique};
use crate::self_signed::self_signed;
use crate::signing::{Csr, request};
use serde_json::{Value, json};
use std::path::PathBuf;
use tcs_testkit::process::wait_for;

const CRASHES: [&[&str]; 3] = [&["tcs-enclave"], &["tcs-issuer"], &["tcs-enclave", "tcs-issuer"]];

type Step = (&'static str, fn(&Issuer<'_>) -> bool);

/// What can be seen of a CA that is being made, one after the other.
const STEPS: [Step; 4] = [
    ("asked for", |_| true),
    ("known", |issuer| issuer.fingerprint().is_some()),
    ("sealed", |issuer| issuer.bed.try_get(&["secret", "-n", "tcs-issuer", &sealed_name(issuer)]).is_some()),
    ("published", |issuer| !issuer.ca_secret().is_null()),
];

fn sealed_name(issuer: &Issuer<'_>) -> String {
    format!("tcs-sealed-{}", issuer.object()["metadata"]["uid"].as_str().unwrap())
}

/// Has a certificate issued, if the key is not lost; what else may be true is only passing.
fn issue(issuer: &Issuer<'_>) -> Option<PathBuf> {
    let bed = issuer.bed;
    let csr = Csr::create(bed, &issuer.signer(), &request(bed, &[]), &json!({})).approve();
    let certificate = wait_for(SOON, "a certificate, or a key that is lost", || {
        if let Some(certificate) = csr.status()["certificate"].as_str() {
            return Ok(Some(Some(decode(certificate))));
        }
        Ok((issuer.readiness().1 == "KeyLost").then_some(None))
    });
    let certificate = certificate.unwrap_or_else(|error| {
        panic!("{error:#}; {:?}\n{}", issuer.readiness(), bed.log("tcs-issuer"));
    })?;
    let path = bed.dir.join(unique("leaf"));
    std::fs::write(&path, certificate).unwrap();
    Some(path)
}

fn allow_new_ca(issuer: &Issuer<'_>, old: &str) {
    issuer.kubectl(&["annotate", "--overwrite"], &[&format!("tcs.intel.com/new-ca={old}")]);
}

#[test]
fn w_d2_no_crash_at_any_step_changes_a_ca_that_somebody_could_know() {
    let bed = Bed::new();
    for (step, reached) in STEPS {
        for crash in CRASHES {
            let issuer = self_signed(&bed, &unique("crashed"), &Value::Null);
            let what = format!("{step}, then {crash:?} ends");
            wait_for(SOON, &what, || Ok(reached(&issuer).then_some(()))).unwrap();
            let known = issuer.fingerprint();
            for container in crash {
                bed.crash(container);
            }
            let leaf = issue(&issuer);
            let now = issuer.fingerprint().expect("it is known before it signs");
            assert!(known.is_none_or(|known| known == now), "{what}");
            let leaf = leaf.unwrap_or_else(|| {
                // The enclave ended before its key was kept. It is said, and there is a way out.
                let kept = ["sealed", "published"].contains(&step);
                assert!(crash.contains(&"tcs-enclave") && !kept, "{what}");
                allow_new_ca(&issuer, &now);
                issuer.wait_reason("Ready");
                assert_ne!(issuer.fingerprint().unwrap(), now, "{what}");
                issue(&issuer).unwrap()
            });
            issuer.accepts(&[&leaf]);
            issuer.kubectl(&["delete"], &["--wait=true"]);
        }
    }
}

#[test]
fn no_crash_in_a_renewal_takes_the_old_anchor_away_or_renews_twice() {
    let bed = Bed::new();
    let other = |issuer: &Issuer<'_>, first: &str| issuer.fingerprint().is_some_and(|now| now != first);
    for waits in [false, true] {
        for crash in CRASHES {
            let what = format!("{waits}, then {crash:?} ends");
            let issuer = self_signed(&bed, &unique("renewed"), &json!({"rotationPolicy": "Always"}));
            issuer.wait_reason("Ready");
            let (first, before) = (issuer.fingerprint().unwrap(), issue(&issuer).unwrap());
            issuer.kubectl(&["annotate", "--overwrite"], &["tcs.intel.com/renew=now"]);
            if waits {
                wait_for(SOON, "another CA", || Ok(other(&issuer, &first).then_some(()))).unwrap();
            }
            for container in crash {
                bed.crash(container);
            }
            wait_for(SOON, "the renewal", || {
                let status = issuer.object()["status"].clone();
                Ok((status["handledRenewal"] == "now" && issuer.readiness().1 == "Ready").then_some(()))
            })
            .unwrap_or_else(|error| panic!("{what}: {error:#}; {:?}", issuer.readiness()));
            let second = issuer.fingerprint().unwrap();
            let after = issue(&issuer).expect(&what);
            assert_ne!(first, second, "{what}");
            issuer.accepts(&[&before, &after]);
            for container in ["tcs-enclave", "tcs-issuer"] {
                bed.crash(container);
            }
            let last = issue(&issuer).expect(&what);
            assert_eq!(issuer.fingerprint().unwrap(), second, "{what}: renewed once");
            issuer.accepts(&[&before, &after, &last]);
            issuer.kubectl(&["delete"], &["--wait=true"]);
        }
    }
}

/// The original kept its keys by namespace and name, and never noticed that the issuer was another one.
#[test]
fn w_r5_an_issuer_made_anew_while_the_service_is_down_inherits_no_key() {
    let bed = Bed::new();
    let own = self_signed(&bed, "own", &Value::Null);
    own.wait_reason("Ready");
    let delivered = bed.issuer("delivered");
    delivered.deliver_until_ready(&bed.p256_ca());
    let (old, sealed) = (own.fingerprint().unwrap(), [own.sealed_secret(), delivered.sealed_secret()]);
    bed.kubectl(&["delete", "deployment", "-n", "tcs-issuer", "tcs-issuer"]);
    wait_for(SOON, "the service to end", || {
        Ok((bed.node.pid("tcs-issuer").is_none() && bed.node.pid("tcs-enclave").is_none()).then_some(()))
    })
    .unwrap();
    for issuer in [&own, &delivered] {
        issuer.kubectl(&["delete"], &["--wait=true"]);
        let mut object = issuer_object(&issuer.namespace, &issuer.name);
        object["spec"]["selfSign"] = json!(issuer.name == "own");
        bed.apply(&object);
    }
    bed.kubectl(&["apply", "-f", "deployment/tcs_issuer.yaml"]);
    // The garbage collector of a cluster that has just begun takes its time with the old issuer's Secret, which is not ours to take.
    wait_for(SOON + SOON, "the old certificate to go", || {
        let published = own.ca_secret();
        let of = &published["metadata"]["labels"]["tcs.intel.com/issuer-uid"];
        Ok((*of == own.object()["metadata"]["uid"]).then_some(()))
    })
    .unwrap();
    own.wait_reason("Ready");
    assert_ne!(own.fingerprint().unwrap(), old);
    delivered.wait_reason("AwaitingKey");
    assert!(delivered.fingerprint().is_none());
    for name in &sealed {
        wait_for(SOON, "the old keys to go", || {
            Ok(bed.try_get(&["secret", "-n", "tcs-issuer", name]).is_none().then_some(()))
        })
        .unwrap();
    }
    own.accepts(&[&issue(&own).unwrap()]);
}
