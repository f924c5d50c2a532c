//! Restarts at every step (acceptance 1.6). These tests disturb everything, so they have a stack of their own.

use crate::bed::{Bed, SOON, certificate_text};
use crate::signing::{Csr, request};
use serde_json::json;
use tcs_testkit::process::wait_for;

#[test]
fn w_r1_w_d10_restarts_lose_nothing_and_say_what_they_cost() {
    let bed = Bed::new();
    let issuer = bed.issuer("restart");
    let ca = bed.p256_ca();

    // The controller between any two steps: same offer, same attestation.
    let before = issuer.wait_attestation();
    issuer.wait_reason("AwaitingKey");
    bed.crash("tcs-issuer");
    wait_for(SOON, "the controller", || Ok(bed.ready().then_some(()))).unwrap();
    let after = issuer.wait_attestation();
    assert_eq!(before["metadata"]["uid"], after["metadata"]["uid"]);
    assert_eq!(before["spec"], after["spec"]);

    // A refused delivery is not tried again by a new controller.
    let wrapped = issuer.wrap(&ca.key);
    let other = bed.p256_ca();
    issuer.put_secret(Some(&wrapped), Some(&certificate_text(&other.certificate)));
    issuer.patch_status(&issuer.secret(), "KMRA");
    issuer.wait_reason("KeyRejected");
    let refused = issuer.object()["status"]["refusedDelivery"].clone();
    assert!(refused.is_object());
    bed.crash("tcs-issuer");
    wait_for(SOON, "the controller", || Ok(bed.ready().then_some(()))).unwrap();
    assert_eq!(issuer.object()["status"]["refusedDelivery"], refused);
    assert_eq!(issuer.readiness().1, "KeyRejected");

    // Someone deletes or alters the attestation: the same offer comes back.
    let name = issuer.attestation_name();
    bed.kubectl(&["delete", "quoteattestations.tcs.intel.com", "-n", "tcs-issuer", &name]);
    wait_for(SOON, "the attestation to come back", || {
        Ok(issuer.attestation().filter(|now| now["metadata"]["uid"] != before["metadata"]["uid"]))
    })
    .unwrap();
    assert_eq!(issuer.wait_attestation()["spec"], before["spec"]);
    let alteration = json!({"spec": {"quote": crate::bed::encode(b"c3dhcHBlZA=="), "publicKey": crate::bed::encode(b"theirs")}});
    bed.kubectl(&[
        "patch",
        "quoteattestations.tcs.intel.com",
        "-n",
        "tcs-issuer",
        &name,
        "--type=merge",
        "-p",
        &alteration.to_string(),
    ]);
    wait_for(SOON, "the attestation to be restored", || {
        Ok(issuer.attestation().filter(|now| now["spec"] == before["spec"]))
    })
    .unwrap();

    // The enclave while pending: a new offer, and still AwaitingKey.
    bed.crash("tcs-enclave");
    let renewed = wait_for(SOON, "a new offer", || {
        Ok(issuer.attestation().filter(|now| now["spec"]["publicKey"] != before["spec"]["publicKey"]))
    })
    .unwrap();
    assert_ne!(renewed["metadata"]["uid"], after["metadata"]["uid"], "a new offer is a new object");
    issuer.wait_reason("AwaitingKey");

    // The controller between any two steps of a delivery.
    let wrapped = issuer.wrap(&ca.key);
    bed.crash("tcs-issuer");
    issuer.put_secret(Some(&wrapped), Some(&certificate_text(&ca.certificate)));
    bed.crash("tcs-issuer");
    issuer.patch_status(&issuer.secret(), "KMRA");
    bed.crash("tcs-issuer");
    issuer.wait_reason("Ready");

    // Ready; the controller restarts: still Ready, the Secret untouched.
    let fingerprint = issuer.object()["status"]["ca"]["fingerprint"].clone();
    let secret = bed.get(&["secret", "-n", &issuer.namespace, "restart-secret"]);
    bed.crash("tcs-issuer");
    wait_for(SOON, "the controller", || Ok(bed.ready().then_some(()))).unwrap();
    let csr = Csr::create(&bed, &issuer.signer(), &request(&bed, &[]), &json!({})).approve();
    csr.certificate();
    let same = bed.get(&["secret", "-n", &issuer.namespace, "restart-secret"]);
    assert_eq!((&secret["metadata"]["uid"], &secret["data"]), (&same["metadata"]["uid"], &same["data"]));

    // Ready; the enclave restarts: the sealed key comes back, and everything goes on under the same CA.
    let sealed = issuer.sealed_secret();
    bed.crash("tcs-enclave");
    let csr = Csr::create(&bed, &issuer.signer(), &request(&bed, &[]), &json!({})).approve();
    csr.certificate();
    assert_eq!(issuer.readiness().1, "Ready");
    assert_eq!(issuer.object()["status"]["ca"]["fingerprint"], fingerprint);
    assert!(issuer.attestation().is_none());

    // What was sealed is gone or damaged, and the enclave restarts: KeyLost with a new offer, said in condition and Event;
    // the Secret survives.
    bed.damage_before_restart(&issuer, &sealed);
    let message = issuer.wait_reason("KeyLost");
    assert!(message.contains(fingerprint.as_str().unwrap()), "{message}");
    assert!(message.contains("SealedBlobInvalid"), "{message}");
    issuer.wait_attestation();
    assert!(issuer.events().contains("KeyLost"));
    let waiting = Csr::create(&bed, &issuer.signer(), &request(&bed, &[]), &json!({})).approve();
    waiting.event("WaitingForIssuerReady");
    let same = bed.get(&["secret", "-n", &issuer.namespace, "restart-secret"]);
    assert_eq!(secret["data"], same["data"]);
    issuer.deliver_until_ready(&ca);
    assert_eq!(issuer.object()["status"]["ca"]["fingerprint"], fingerprint);
    waiting.certificate();
    // What is kept now opens again.
    bed.crash("tcs-enclave");
    Csr::create(&bed, &issuer.signer(), &request(&bed, &[]), &json!({})).approve().certificate();

    // An issuer deleted while the service is down leaves nothing either.
    let doomed = bed.issuer("doomed");
    doomed.wait_attestation();
    bed.kubectl(&["delete", "deployment", "-n", "tcs-issuer", "tcs-issuer"]);
    wait_for(SOON, "the service to end", || {
        Ok((bed.node.pid("tcs-issuer").is_none() && bed.node.pid("tcs-enclave").is_none()).then_some(()))
    })
    .unwrap();
    bed.kubectl(&["delete", "tcsissuers.tcs.intel.com", "-n", &doomed.namespace, "doomed"]);
    bed.kubectl(&["apply", "-f", "deployment/tcs_issuer.yaml"]);
    wait_for(SOON, "the orphan to be swept", || Ok(doomed.attestation().is_none().then_some(()))).unwrap();
}
