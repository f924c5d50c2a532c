//! CAs that others took the place of: what stays of them, on the real API server.

use crate::bed::{Bed, Ca, SOON, shared, unique};
use crate::renewal::{anchors, fingerprint, leaf, renew, request_one, wait_for_another};
use crate::self_signed::self_signed;
use serde_json::json;
use std::process::Command;
use tcs_testkit::document::shell_blocks;
use tcs_testkit::process::{run, wait_for};
use tcs_testkit::repository;

/// RFC 5280 (4.1.2.5): a certificate with no well-defined end.
fn without_end(bed: &Bed) -> Ca {
    let dir = bed.dir.join(unique("no-end"));
    std::fs::create_dir_all(&dir).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let mut parameters = rcgen::CertificateParams::new(vec![]).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, "without end");
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters.not_before = rcgen::date_time_ymd(2026, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(9999, 12, 31) + std::time::Duration::from_secs(86_399);
    let ca = Ca { key: dir.join("key.pem"), certificate: dir.join("cert.pem") };
    std::fs::write(&ca.key, key.serialize_pem()).unwrap();
    std::fs::write(&ca.certificate, parameters.self_signed(&key).unwrap().pem()).unwrap();
    let mut openssl = Command::new("openssl");
    let printed = run(openssl.args(["x509", "-noout", "-enddate", "-in"]).arg(&ca.certificate)).unwrap();
    assert_eq!(printed.trim(), "notAfter=Dec 31 23:59:59 9999 GMT");
    ca
}

#[test]
fn review_l1_a_ca_without_end_is_shown_so_is_renewed_and_stays_in_the_bundle() {
    let bed = shared();
    let issuer = bed.issuer("no-end");
    issuer.deliver_until_ready(&without_end(bed));
    let (first, before) = (fingerprint(&issuer), leaf(&request_one(&issuer)));
    assert_eq!(issuer.object()["status"]["ca"]["notAfter"], "9999-12-31T23:59:59Z");
    assert!(issuer.readiness().2.contains("until 9999-12-31T23:59:59Z"));
    let sealed = bed.get(&["secret", "-n", "tcs-issuer", &issuer.sealed_secret()]);
    assert_eq!(sealed["metadata"]["annotations"]["tcs.intel.com/ca-not-after"], "9999-12-31T23:59:59Z");

    renew(&issuer, "now");
    issuer.wait_reason("Renewing");
    issuer.deliver(&bed.p256_ca());
    wait_for_another(&issuer, &first);
    issuer.wait_reason("Ready");
    let after = leaf(&request_one(&issuer));
    let check = || {
        assert_eq!(anchors(&issuer), 2);
        issuer.accepts(&[&before, &after]);
        let previous = &issuer.object()["status"]["previousCas"];
        assert_eq!(previous[0]["fingerprint"], *first);
        assert_eq!(previous[0]["notAfter"], "9999-12-31T23:59:59Z");
    };
    check();
    // At later passes, too.
    issuer.kubectl(&["patch"], &["--type=merge", "-p", r#"{"spec":{"labels":{"team":"other"}}}"#]);
    wait_for(SOON, "a pass", || {
        Ok((issuer.ca_secret()["metadata"]["labels"]["team"] == "other").then_some(()))
    })
    .unwrap();
    check();
}

#[test]
fn review_m4_a_replaced_key_is_kept_sealed_and_brought_back_as_the_page_says() {
    let bed = Bed::new();
    let issuer = self_signed(&bed, "my-ca", &json!({"rotationPolicy": "Always"}));
    issuer.wait_reason("Ready");
    let (first, before) = (fingerprint(&issuer), leaf(&request_one(&issuer)));
    let sealed = issuer.sealed_secret();
    let present = bed.get(&["secret", "-n", "tcs-issuer", &sealed]);
    renew(&issuer, "now");
    let second = wait_for_another(&issuer, &first);
    let after = leaf(&request_one(&issuer));

    let earlier = bed.get(&["secret", "-n", "tcs-issuer", &format!("{sealed}.{first}")]);
    assert_eq!((&earlier["type"], &earlier["data"]), (&present["type"], &present["data"]));
    for field in ["labels", "annotations"] {
        assert_eq!(earlier["metadata"][field], present["metadata"][field]);
    }
    let end = &issuer.object()["status"]["previousCas"][0]["notAfter"];
    assert_eq!(&earlier["metadata"]["annotations"]["tcs.intel.com/ca-not-after"], end);

    let page = std::fs::read_to_string(repository().join("docs/renewal.md")).unwrap();
    let page = page.split_once("## Bring an earlier CA back").unwrap().1;
    let [look, back] = <[String; 2]>::try_from(shell_blocks(page)).unwrap();
    let look = look.replace("-n sandbox", &format!("-n {}", issuer.namespace));
    // Here no pods end, but processes.
    let (stop, start) = back.split_at(back.find("kubectl get secret").unwrap());
    let shell = |script: &str| {
        let script = format!("set -euo pipefail\n{look}\nFINGERPRINT={first}\n{script}");
        run(bed.stack.shell().current_dir(&bed.dir).arg("-c").arg(script)).unwrap()
    };
    let listed = shell(stop);
    assert!(
        listed.contains(&format!("{sealed}.{first}")) && listed.contains(end.as_str().unwrap()),
        "{listed}"
    );
    wait_for(SOON, "the service to end", || {
        Ok((bed.node.pid("tcs-issuer").is_none() && bed.node.pid("tcs-enclave").is_none()).then_some(()))
    })
    .unwrap();
    shell(start);
    assert_eq!(wait_for_another(&issuer, &second), first);
    issuer.wait_reason("Ready");
    let again = leaf(&request_one(&issuer));
    assert_eq!(anchors(&issuer), 2);
    issuer.accepts(&[&before, &after, &again]);
    let put_back = bed.get(&["secret", "-n", "tcs-issuer", &sealed]);
    assert_eq!(put_back["data"], present["data"]);
    assert!(issuer.events().contains(&format!("to {first}")));

    // With the issuer everything goes.
    issuer.kubectl(&["delete"], &[]);
    wait_for(SOON, "the sealed keys to go", || {
        let of_it = bed.kubectl(&["get", "secrets", "-n", "tcs-issuer", "-o", "name"]);
        Ok((!of_it.contains(&sealed)).then_some(()))
    })
    .unwrap();
}
