//! CAs that were replaced: what is kept of them, on a real API server.

use crate::support::ca::Ca;
use crate::support::csr::issue;
use crate::support::issuer::Issuer;
use crate::support::objects::new_key_at_renewal;
use crate::support::openssl;
use crate::support::test_cluster::{TestCluster, shared};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt as _;
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair};
use serde_json::json;
use std::time::Duration;
use tcs_api::sealed;
use tcs_testkit::document::shell_blocks;
use tcs_testkit::process::run;
use tcs_testkit::repository;

/// The notAfter of a certificate without a well-defined end (RFC 5280, section 4.1.2.5).
const NO_END: &str = "9999-12-31T23:59:59Z";

fn ca_without_end(cluster: &TestCluster) -> Ca {
    let key = KeyPair::generate().unwrap();
    let mut parameters = CertificateParams::new(vec![]).unwrap();
    parameters.distinguished_name = DistinguishedName::new();
    parameters.distinguished_name.push(DnType::CommonName, "without end");
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(9999, 12, 31) + Duration::from_secs(86_399);
    let certificate = parameters.self_signed(&key).unwrap().pem();
    let ca = Ca::of_pem(cluster, &key.serialize_pem(), &certificate);
    let printed = openssl::print(&ca.certificate, &["-enddate"]);
    assert_eq!(printed.trim(), "notAfter=Dec 31 23:59:59 9999 GMT");
    ca
}

#[test]
fn case_p02_review_l1_a_ca_without_end_is_shown_so_is_renewed_and_stays_in_the_bundle() {
    let cluster = shared();
    let issuer = Issuer::delivered(cluster, "no-end");
    issuer.deliver_until_ready(&ca_without_end(cluster));
    let (first, before) = (issuer.ca(), issue(&issuer));
    assert_eq!(issuer.status().ca.unwrap().not_after, NO_END);
    assert!(issuer.message().contains(&format!("until {NO_END}")));
    assert_eq!(issuer.await_sealed_secret().annotations()[sealed::NOT_AFTER], NO_END);

    issuer.renew("now");
    issuer.await_reason("Renewing");
    issuer.deliver(&Ca::p256(cluster));
    issuer.await_ca_other_than(&first);
    issuer.await_reason("Ready");
    let after = issue(&issuer);
    let check = || {
        assert_eq!(issuer.anchors(), 2);
        issuer.accepts(&[&before, &after]);
        let previous = &issuer.status().previous_cas[0];
        assert_eq!((previous.fingerprint.as_str(), previous.not_after.as_str()), (first.as_str(), NO_END));
    };
    check();
    // It stays when the controller reconciles the issuer again.
    issuer.patch(&json!({"spec": {"labels": {"team": "other"}}}));
    cluster.wait_until("the issuer to be reconciled", || {
        issuer
            .ca_secret()
            .is_some_and(|secret| secret.labels().get("team").is_some_and(|team| team == "other"))
    });
    check();
}

#[test]
fn review_m4_a_replaced_key_is_kept_sealed_and_brought_back_as_the_page_says() {
    let cluster = TestCluster::new();
    let issuer = Issuer::self_signed(&cluster, "my-ca", Some(new_key_at_renewal()));
    issuer.await_reason("Ready");
    let (first, before) = (issuer.ca(), issue(&issuer));
    let present = issuer.await_sealed_secret();
    issuer.renew("now");
    let second = issuer.await_ca_other_than(&first);
    let after = issue(&issuer);
    check_earlier_secret(&issuer, &first, &present);

    bring_back(&issuer, &first);
    assert_eq!(issuer.await_ca_other_than(&second), first);
    issuer.await_reason("Ready");
    let again = issue(&issuer);
    assert_eq!(issuer.anchors(), 2);
    issuer.accepts(&[&before, &after, &again]);
    assert_eq!(issuer.await_sealed_secret().data, present.data);
    assert!(issuer.await_event("CAReplaced").contains(&format!("to {first}")));

    // With the issuer, all its sealed keys are deleted.
    let sealed = issuer.sealed_secret_name();
    issuer.delete();
    cluster.wait_until("the sealed keys to go", || {
        !cluster.kubectl(&["get", "secrets", "-n", "tcs-issuer", "-o", "name"]).contains(&sealed)
    });
}

/// The Secret with the key of an earlier CA is the one that was present before, under another name.
fn check_earlier_secret(issuer: &Issuer<'_>, fingerprint: &str, present: &Secret) {
    let name = sealed::previous_name(&issuer.uid(), fingerprint);
    let earlier = issuer.cluster.service_secret(&name).unwrap();
    assert_eq!((&earlier.type_, &earlier.data), (&present.type_, &present.data));
    assert_eq!(earlier.labels(), present.labels());
    assert_eq!(earlier.annotations(), present.annotations());
    assert_eq!(earlier.annotations()[sealed::NOT_AFTER], issuer.status().previous_cas[0].not_after);
}

/// Runs the commands of docs/renewal.md that bring an earlier CA back.
fn bring_back(issuer: &Issuer<'_>, fingerprint: &str) {
    let cluster = issuer.cluster;
    let page = std::fs::read_to_string(repository().join("docs/renewal.md")).unwrap();
    let page = page.split_once("## Bring an earlier CA back").unwrap().1;
    let [look, back] = <[String; 2]>::try_from(shell_blocks(page)).unwrap();
    let look = look.replace("-n sandbox", &format!("-n {}", issuer.namespace));
    // The commands do not wait for the end of the programs, because there are no pods here.
    let (stop, start) = back.split_at(back.find("kubectl get secret").unwrap());
    let shell = |script: &str| {
        let script = format!("set -euo pipefail\n{look}\nFINGERPRINT={fingerprint}\n{script}");
        run(cluster.stack.shell().current_dir(&cluster.dir).arg("-c").arg(script)).unwrap()
    };
    let listed = shell(stop);
    let earlier = sealed::previous_name(&issuer.uid(), fingerprint);
    assert!(listed.contains(&earlier), "{listed}");
    assert!(listed.contains(&issuer.status().previous_cas[0].not_after), "{listed}");
    cluster.await_service_end();
    shell(start);
}
