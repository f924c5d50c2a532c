//! What the certificates contain.

use crate::support::ca::Ca;
use crate::support::certificate_request::{CertificateRequest, NewRequest, shared_with_crd};
use crate::support::issuer::Issuer;
use crate::support::openssl::{self, lifetime, request};
use serde_json::{Value, json};
use tcs_api::v1alpha1::{CaSpec, PolicySpec};
use tcs_testkit::repository;

const DAY: i64 = 86_400;

#[test]
fn a15_duration_default_and_cap() {
    let long = CaSpec { lifetime_days: Some(3650), ..CaSpec::default() };
    let issuer = Issuer::self_signed(shared_with_crd(), "a15", Some(long));
    issuer.await_reason("Ready");
    let cluster = issuer.cluster;
    let pem = request(cluster, &[]);
    let with = |duration: &str| {
        NewRequest::new(&issuer, "", &pem).with("duration", duration).create(cluster).approve()
    };
    let plain = CertificateRequest::approved(&issuer);
    assert_eq!(lifetime(&plain.certificate_file()), 90 * DAY, "the default");
    assert_eq!(lifetime(&with("1h30m").certificate_file()), 5400);
    assert_eq!(lifetime(&with("87600h").certificate_file()), 365 * DAY, "the maximum");
    for wrong in ["5m", "0s", "-1h", "90d", ""] {
        assert_eq!(with(wrong).invalid(), "LifetimeInvalid", "{wrong}");
    }
    // No certificate outlives its CA.
    let short = Issuer::delivered(cluster, "a15-short");
    let ca = Ca::with(cluster, &openssl::P256, &["-days", "10"]);
    short.deliver_until_ready(&ca);
    let end = |certificate: &std::path::Path| openssl::print(certificate, &["-enddate"]);
    let leaf = CertificateRequest::approved(&short).certificate_file();
    assert_eq!(end(&leaf), end(&ca.certificate));
}

#[test]
fn a16_usages_and_ca_flag() {
    let cluster = shared_with_crd();
    let issuer = Issuer::self_signed_ready(cluster, "a16");
    let usages = |issuer: &Issuer<'static>, options: &[&str], usages: Value| {
        let new = NewRequest::new(issuer, "", &request(cluster, options)).with("usages", usages);
        new.create(cluster).approve()
    };
    let plain = openssl::text(&CertificateRequest::approved(&issuer).certificate_file());
    assert!(plain.contains("Digital Signature, Key Encipherment\n"), "{plain}");
    assert!(!plain.contains("Extended Key Usage") && plain.contains("CA:FALSE"), "{plain}");
    let client = usages(&issuer, &[], json!(["signing", "client auth"]));
    let client = openssl::text(&client.certificate_file());
    assert!(client.contains("Digital Signature\n") && client.contains("TLS Web Client"), "{client}");

    // What the PKCS #10 request says must agree with the spec.
    let agrees = ["-addext", "keyUsage=digitalSignature", "-addext", "extendedKeyUsage=clientAuth"];
    usages(&issuer, &agrees, json!(["client auth", "digital signature"])).certificate();
    assert_eq!(usages(&issuer, &agrees, json!(["server auth"])).invalid(), "ExtensionMismatch");
    let unknown = NewRequest::new(&issuer, "", &request(cluster, &[])).with("usages", json!(["x"]));
    let refused = cluster.try_kubectl_with(&["create"], &unknown.object()).unwrap_err();
    assert!(refused.to_string().contains("Unsupported value"), "{refused}");

    let ca = |issuer: &Issuer<'static>, options: &[&str]| {
        let new = NewRequest::new(issuer, "", &request(cluster, options)).with("isCA", true);
        new.create(cluster).approve()
    };
    assert_eq!(ca(&issuer, &[]).invalid(), "RequestForCa");
    let policy = PolicySpec { ca_depth: Some(1), ..PolicySpec::default() };
    let deep = CaSpec { max_path_len: Some(2), policy: Some(policy), ..CaSpec::default() };
    let deep = Issuer::self_signed(cluster, "a16-deep", Some(deep));
    deep.await_reason("Ready");
    let below = openssl::text(&ca(&deep, &[]).certificate_file());
    assert!(below.contains("CA:TRUE") && below.contains("Certificate Sign"), "{below}");
    assert_eq!(ca(&deep, &["-addext", "basicConstraints=CA:FALSE"]).invalid(), "ExtensionMismatch");
    let only_inside = request(cluster, &["-addext", "basicConstraints=critical,CA:TRUE"]);
    let only_inside = NewRequest::new(&deep, "", &only_inside).create(cluster).approve();
    assert_eq!(only_inside.invalid(), "RequestForCa");
}

#[test]
fn a17_subject_and_sans_copied_exactly() {
    let issuer = Issuer::self_signed_ready(shared_with_crd(), "a17");
    let cluster = issuer.cluster;
    let names = "subjectAltName=DNS:a.example,IP:10.1.2.3,URI:spiffe://td.example/a,email:a@b.example";
    let other = "subjectAltName=otherName:1.3.6.1.4.1.311.20.2.3;UTF8:upn@b.example,DNS:b.example";
    for (subject, names, critical) in
        [("/O=org/OU=b/OU=a/CN=x", names, false), ("/", names, true), ("/CN=x", other, false)]
    {
        let (_, csr) = openssl::key_and_request(cluster, &["-subj", subject, "-addext", names]);
        let pem = std::fs::read(&csr).unwrap();
        let leaf = NewRequest::new(&issuer, "", &pem).create(cluster).approve().certificate_file();
        let part = |of: &std::path::Path, tool: &str| openssl::names(of, tool);
        assert_eq!(part(&leaf, "x509"), part(&csr, "req"), "{subject} {names}");
        let text = openssl::text(&leaf);
        assert_eq!(text.contains("Subject Alternative Name: critical"), critical, "{text}");
    }
    let pem = String::from_utf8(request(cluster, &[])).unwrap();
    let signature = openssl::request_with_wrong_signature(pem.as_bytes());
    for (wrong, code) in [
        (signature.as_bytes(), "RequestSignatureInvalid"),
        (b"no PEM", "RequestMalformed"),
        (pem.repeat(2).as_bytes(), "RequestMalformed"),
    ] {
        let request = NewRequest::new(&issuer, "", wrong).create(cluster).approve();
        assert_eq!(request.invalid(), code);
    }
}

#[test]
fn a18_chain_order_leaf_first_no_root() {
    let cluster = shared_with_crd();
    let issuer = Issuer::delivered(cluster, "a18");
    let (ca, [issuing, middle, root]) = Ca::below_two(cluster);
    issuer.deliver_until_ready(&ca);
    let request = CertificateRequest::approved(&issuer);
    let pem = request.certificate();
    let blocks: Vec<_> = pem.split_inclusive("-----END CERTIFICATE-----\n").collect();
    let der = |pem: &str| pem_rfc7468::decode_vec(pem.as_bytes()).unwrap().1;
    assert_eq!(blocks.len(), 3, "the leaf and two intermediates, without the root");
    assert_eq!([der(blocks[1]), der(blocks[2])], [issuing.der().to_vec(), middle.der().to_vec()]);
    let anchor = cluster.new_file("root", root.pem());
    let intermediates = cluster.new_file("intermediates", blocks[1..].concat());
    openssl::verify_strict(&anchor, &[&intermediates], &request.certificate_file()).unwrap();
}

/// <https://github.com/cert-manager/cert-manager/issues/3274>
#[test]
fn case_n1_usages_of_the_pkcs_10_request_that_differ_from_the_spec_are_refused() {
    let issuer = Issuer::self_signed_ready(shared_with_crd(), "n1");
    let cluster = issuer.cluster;
    let inside = |options: &[&str], spec: Value| {
        let new = NewRequest::new(&issuer, "", &request(cluster, options)).with("usages", spec);
        new.create(cluster).approve()
    };
    let key_usage = ["-addext", "keyUsage=critical,digitalSignature,keyEncipherment"];
    let extended = ["-addext", "extendedKeyUsage=serverAuth"];
    let both = [key_usage, extended].concat();
    let all = json!(["digital signature", "key encipherment", "server auth"]);
    inside(&both, all.clone()).certificate();
    inside(&key_usage, json!([])).certificate();
    for (options, spec) in [
        (&key_usage[..], all.clone()),
        (&extended, all),
        (&both, json!(["digital signature", "key encipherment"])),
        (&both, json!(["digital signature", "key encipherment", "server auth", "client auth"])),
        (&both, json!(["digital signature", "server auth"])),
        (&both, json!([])),
    ] {
        let request = inside(options, spec.clone());
        assert_eq!(request.invalid(), "ExtensionMismatch", "{options:?} {spec}");
        assert_eq!(request.field("certificate"), None);
    }
}

/// <https://github.com/cert-manager/cert-manager/issues/7645>
#[test]
fn case_n3_a_cross_signed_ca_publishes_one_linear_chain() {
    let cluster = shared_with_crd();
    let issuer = Issuer::delivered(cluster, "n3");
    let read = |name: &str| {
        std::fs::read_to_string(repository().join("crates/x509/tests/data/cases").join(name)).unwrap()
    };
    issuer.deliver_until_ready(&Ca::of_pem(cluster, &read("cross.key"), &read("cross.crt")));
    let request = CertificateRequest::approved(&issuer);
    let pem = request.certificate();
    let blocks: Vec<_> = pem.split_inclusive("-----END CERTIFICATE-----\n").collect();
    let files: Vec<_> = blocks.iter().map(|block| cluster.new_file("block", block)).collect();
    let name = |file: &std::path::Path, which: &str| {
        openssl::print(file, &[which]).split_once('=').unwrap().1.to_owned()
    };
    for pair in files.windows(2) {
        assert_eq!(name(&pair[0], "-issuer"), name(&pair[1], "-subject"), "{pem}");
    }
    for (number, file) in files.iter().enumerate() {
        assert!(number == 0 || name(file, "-issuer") != name(file, "-subject"), "no root: {pem}");
        assert!(blocks[number + 1..].iter().all(|other| *other != blocks[number]), "each once");
    }
    let intermediates = cluster.new_file("intermediates", blocks[1..].concat());
    openssl::verify_below(&issuer.bundle(), &intermediates, &files[0]);
    assert_eq!(request.field("ca").unwrap().matches("BEGIN CERTIFICATE").count(), 1);
}
