use crate::{Ca, DAY, NOW, ca, issued, params, plain, request, sign_with};
use rcgen::{DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use std::process::Command;
use tcs_x509::{
    CaChain, CertificateRequest, Error, IssuanceRequest, LONGEST_LIFETIME, Signer, Tbs, Usage, assemble,
    check_tbs, issue, verify_issued,
};

fn refused(change: impl FnOnce(&mut rcgen::CertificateParams)) -> Option<&'static str> {
    let parsed = CertificateRequest::from_der(&request(change));
    parsed
        .and_then(|request| issued(&ca(&rcgen::PKCS_ECDSA_P256_SHA256), &request, None))
        .err()
        .map(Error::code)
}

/// The text form of a certificate that the openssl command accepts under its strict rules.
pub fn openssl_accepts(ca: &Ca, leaf: &[u8]) -> String {
    openssl_verifies(&["-x509_strict", "-attime", &NOW.to_string()], ca, leaf)
}

/// The same under these rules.
pub fn openssl_verifies(rules: &[&str], ca: &Ca, leaf: &[u8]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let (anchor, file) = (dir.path().join("ca.pem"), dir.path().join("leaf.pem"));
    std::fs::write(&anchor, &ca.pem).unwrap();
    std::fs::write(
        &file,
        pem_rfc7468::encode_string("CERTIFICATE", pem_rfc7468::LineEnding::LF, leaf).unwrap(),
    )
    .unwrap();
    let mut verify = Command::new("openssl");
    verify.arg("verify").args(rules).arg("-CAfile").arg(&anchor).arg(&file);
    let output = verify.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&file).output().unwrap();
    String::from_utf8(text.stdout).unwrap()
}

#[test]
fn every_kind_of_ca_key_signs_what_openssl_accepts() {
    let algorithms = [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
        &rcgen::PKCS_RSA_SHA256,
    ];
    for algorithm in algorithms {
        let ca = ca(algorithm);
        let leaf = issued(&ca, &plain(), None).unwrap();
        let text = openssl_accepts(&ca, &leaf.der);
        assert!(text.contains("CA:FALSE") && text.contains("DNS:a.example"), "{text}");
        assert!(
            text.contains("Digital Signature\n") && text.contains("TLS Web Server Authentication"),
            "{text}"
        );
    }
}

#[test]
fn b05_w_d7_lifetime_rules() {
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let window = |lifetime| {
        let leaf = issued(&ca, &plain(), lifetime).unwrap();
        (leaf.not_before - NOW, leaf.not_after - NOW)
    };
    assert_eq!(window(None), (-300, 90 * DAY - 300));
    assert_eq!(window(Some(600)), (-300, 600));
    assert_eq!(window(Some(8 * 3600)), (-300, 8 * 3600 - 300));
    assert_eq!(window(Some(8 * 3600 - 1)), (-300, 8 * 3600 - 1));
    assert_eq!(window(Some(u64::MAX)), (-300, 365 * DAY - 300), "cut to {LONGEST_LIFETIME}");
    assert_eq!(issued(&ca, &plain(), Some(599)).unwrap_err(), Error::LifetimeInvalid);
    assert_eq!(issued(&ca, &plain(), Some(0)).unwrap_err(), Error::LifetimeInvalid);
}

#[test]
fn w_d7_never_past_the_cas_end_nor_before_its_start() {
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let chain = ca.chain();
    let request = plain();
    let at = |now| {
        let mut params = params(&request, &[], Some(30 * 86_400));
        (params.now, params.earliest) = (now, 0);
        issue(&params, &chain, &ca)
    };
    let leaf = at(chain.not_after() - DAY).unwrap();
    assert_eq!(leaf.not_after, chain.not_after());
    assert_eq!(at(chain.not_before()).unwrap().not_before, chain.not_before());
    assert_eq!(at(chain.not_after()).unwrap_err(), Error::CaExpired);
    assert_eq!(at(chain.not_before() - 1).unwrap_err(), Error::ClockTooEarly);
    let mut early = params(&request, &[], None);
    early.earliest = NOW + 1;
    assert_eq!(issue(&early, &chain, &ca).unwrap_err(), Error::ClockTooEarly);
    // Nothing is backdated before the earliest time either.
    early.earliest = NOW - 10;
    assert_eq!(issue(&early, &chain, &ca).unwrap().not_before, NOW - 10);
}

#[test]
fn b07_w_d8_ca_bit_and_signing_usages_are_refused_never_trimmed() {
    let unconstrained = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    assert_eq!(refused(|p| p.is_ca = unconstrained), Some("RequestForCa"));
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        assert_eq!(
            refused(|p| p.key_usages = vec![KeyUsagePurpose::DigitalSignature, usage]),
            Some("UsageForbidden")
        );
    }
    let (ca, request) = (ca(&rcgen::PKCS_ECDSA_P256_SHA256), plain());
    for usage in [Usage::CertSign, Usage::CrlSign] {
        let asked = [Usage::DigitalSignature, usage];
        assert_eq!(
            issue(&params(&request, &asked, None), &ca.chain(), &ca).unwrap_err(),
            Error::UsageForbidden
        );
    }
    // CA:FALSE and other usages in the request are allowed and ignored.
    let others = request_with(|p| {
        p.is_ca = IsCa::ExplicitNoCa;
        p.key_usages = vec![KeyUsagePurpose::KeyAgreement];
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    });
    let leaf = issued(&ca, &others, None).unwrap();
    let text = openssl_accepts(&ca, &leaf.der);
    assert!(!text.contains("Key Agreement") && !text.contains("Code Signing"), "{text}");
}

fn request_with(change: impl FnOnce(&mut rcgen::CertificateParams)) -> CertificateRequest {
    CertificateRequest::from_der(&request(change)).unwrap()
}

/// W-S5: Intel's Trusted Certificate Service copied "SGX Quote has been verified" into certificates for
/// quotes that were not bound to the key.
#[test]
fn w_s5_a_quote_in_a_request_becomes_no_claim_of_the_certificate() {
    const QUOTE: &[u64] = &[1, 3, 6, 1, 4, 1, 54392, 5, 1283];
    const PUBLIC_KEY: &[u64] = &[1, 3, 6, 1, 4, 1, 54392, 5, 1284];
    const NONCE: &[u64] = &[1, 3, 6, 1, 4, 1, 54392, 5, 1547];
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    for quotes in [&[QUOTE][..], &[QUOTE, PUBLIC_KEY, NONCE]] {
        let with_quote = request_with(|p| {
            p.custom_extensions = quotes
                .iter()
                .map(|id| rcgen::CustomExtension::from_oid_content(id, b"\x0c\x04AAAA".to_vec()))
                .collect();
        });
        let text = openssl_accepts(&ca, &issued(&ca, &with_quote, None).unwrap().der);
        assert!(!text.contains("54392"), "{text}");
    }
}

#[test]
fn b06_empty_usages_have_a_default() {
    let (ca, request) = (ca(&rcgen::PKCS_ECDSA_P256_SHA256), plain());
    let leaf = issue(&params(&request, &[], None), &ca.chain(), &ca).unwrap();
    let text = openssl_accepts(&ca, &leaf.der);
    assert!(
        text.contains("Digital Signature, Key Encipherment") && !text.contains("Extended Key Usage"),
        "{text}"
    );
}

#[test]
fn reserved_and_empty_identities_are_refused() {
    let named = |kind: DnType, value: &'static str| {
        move |p: &mut rcgen::CertificateParams| p.distinguished_name.push(kind, value)
    };
    assert_eq!(refused(named(DnType::OrganizationName, "system:masters")), Some("IdentityForbidden"));
    assert_eq!(refused(named(DnType::CommonName, "system:node:n1")), Some("IdentityForbidden"));
    assert_eq!(refused(named(DnType::OrganizationalUnitName, " System:anything")), Some("IdentityForbidden"));
    assert_eq!(refused(named(DnType::OrganizationName, "ecosystem:fine")), None);
    let nobody = |p: &mut rcgen::CertificateParams| {
        p.distinguished_name = rcgen::DistinguishedName::new();
        p.subject_alt_names.clear();
    };
    assert_eq!(refused(nobody), Some("IdentityForbidden"));
    for blank in ["", " "] {
        let blank = |p: &mut rcgen::CertificateParams| {
            p.distinguished_name = rcgen::DistinguishedName::new();
            p.distinguished_name.push(DnType::CommonName, blank);
            p.subject_alt_names.clear();
        };
        assert_eq!(refused(blank), Some("IdentityForbidden"), "attributes that say nothing");
    }
    // An empty subject with an alternative name is an identity, and the SAN is critical then.
    let only_san = request_with(|p| p.distinguished_name = rcgen::DistinguishedName::new());
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let text = openssl_accepts(&ca, &issued(&ca, &only_san, None).unwrap().der);
    assert!(text.contains("X509v3 Subject Alternative Name: critical"), "{text}");
}

#[test]
fn review_l6_no_certificate_makes_its_holder_an_administrator_of_kubeadm() {
    let named = |kind: DnType, value: &'static str| {
        move |p: &mut rcgen::CertificateParams| p.distinguished_name.push(kind, value)
    };
    let forbidden = Some("IdentityForbidden");
    assert_eq!(refused(named(DnType::OrganizationName, "kubeadm:cluster-admins")), forbidden);
    assert_eq!(refused(named(DnType::CommonName, "Kubeadm:x")), forbidden);
    assert_eq!(refused(named(DnType::OrganizationName, "kubeadmin")), None);
}

/// A certificate with the name of the CA and without a key usage could sign CRLs in the name of the CA.
#[test]
fn a_subject_that_is_a_cas_own_is_refused() {
    for name in ["CA", "ca", " CA "] {
        assert_eq!(
            refused(|p| p.distinguished_name.push(DnType::CommonName, name)),
            Some("IdentityForbidden"),
            "{name}"
        );
    }
    assert_eq!(refused(|p| p.distinguished_name.push(DnType::CommonName, "CA 2")), None);
}

/// Names of which each is allowed can be too many together; what is signed can be read.
#[test]
fn a_certificate_that_nobody_could_read_is_not_signed() {
    let names = |count: usize| {
        refused(|p| {
            let name = |number| {
                rcgen::SanType::DnsName(format!("{}.{number}.example", "a".repeat(55)).try_into().unwrap())
            };
            p.subject_alt_names = (0..count).map(name).collect();
        })
    };
    assert_eq!(names(850), None);
    assert_eq!(names(1000), Some("IdentityForbidden"));
}

#[test]
fn b08_serials_are_the_random_bytes_positive_and_never_zero() {
    let (ca, request) = (ca(&rcgen::PKCS_ECDSA_P256_SHA256), plain());
    let mut shown = Vec::new();
    for first in [0x00, 0x01, 0x7f, 0x80, 0xff] {
        let mut params = params(&request, &[], None);
        params.serial[0] = first;
        let text = openssl_accepts(&ca, &issue(&params, &ca.chain(), &ca).unwrap().der);
        assert!(!text.contains("(Negative)"), "{text}");
        shown
            .push(text.lines().skip_while(|line| !line.contains("Serial")).nth(1).unwrap().trim().to_owned());
    }
    assert!(shown[1].starts_with("01:a5") && shown[3].starts_with("80:a5"), "{shown:?}");
    assert_eq!(shown[0].len(), 15 * 3 - 1, "leading zeros are stripped: {shown:?}");
    let mut zero = params(&request, &[], None);
    zero.serial = [0; 16];
    assert!(issue(&zero, &ca.chain(), &ca).is_err());
}

/// Signs other bytes than it was given.
struct Faulty<'a>(&'a Ca);
impl Signer for Faulty<'_> {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut changed = message.to_vec();
        changed[20] ^= 1;
        Ok(sign_with(&self.0.pair, &changed))
    }
}

#[test]
fn b05_times_after_2049_are_generalized() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let mut parameters = crate::parameters("CA");
    parameters.not_after = rcgen::date_time_ymd(2060, 1, 1);
    let certificate = parameters.self_signed(&pair).unwrap();
    let ca = Ca { der: certificate.der().to_vec(), pem: certificate.pem(), pair };
    let request = plain();
    let mut params = params(&request, &[], None);
    // 2049-12-01T00:00:00Z; 90 days later is in 2050.
    params.now = 2_521_929_600;
    let leaf = issue(&params, &ca.chain(), &ca).unwrap();
    let holds = |part: &[u8]| leaf.der.windows(part.len()).any(|window| window == part);
    assert!(holds(b"\x17\x0d491130235500Z\x18\x0f20500228235500Z"));
}

#[test]
fn b07_the_cas_of_the_document_sign_what_openssl_accepts() {
    let dir = tempfile::tempdir().unwrap();
    let made = crate::chain::openssl_ca(dir.path());
    let pair = rcgen::KeyPair::try_from(made.key.as_slice()).unwrap();
    let pem = pem_rfc7468::encode_string("CERTIFICATE", pem_rfc7468::LineEnding::LF, &made.der).unwrap();
    let ca = Ca { der: made.der, pem, pair };
    let request = plain();
    let mut params = params(&request, &[Usage::ServerAuth], None);
    (params.now, params.earliest) = (made.now, 0);
    let leaf = issue(&params, &CaChain::from_delivered(&[&ca.der], made.now).unwrap(), &ca).unwrap();
    // The strict rules do not apply, because they require a key usage in CA certificates, and openssl's
    // default has none.
    let text = openssl_verifies(&["-attime", &made.now.to_string()], &ca, &leaf.der);
    assert!(text.contains("Signature Algorithm: sha256WithRSAEncryption"), "{text}");
    assert!(text.contains("X509v3 Authority Key Identifier"), "{text}");
}

#[test]
fn x02_what_is_checked_is_what_is_signed() {
    let (ca, request) = (ca(&rcgen::PKCS_ECDSA_P256_SHA256), plain());
    let other = plain();
    let tbs = Tbs::build(&params(&request, &[], None), &ca.chain()).unwrap();
    assert!(check_tbs(&tbs, &params(&request, &[], None), &ca.chain()).is_ok());
    // The same bytes with the identity of another request, other usages, another serial number, another CA, a
    // later earliest time.
    let checked = |params: &IssuanceRequest<'_>, ca: &Ca| check_tbs(&tbs, params, &ca.chain());
    assert!(matches!(checked(&params(&other, &[], None), &ca), Err(Error::CheckFailed(_))));
    assert!(matches!(
        checked(&params(&request, &[Usage::ServerAuth], None), &ca),
        Err(Error::CheckFailed(_))
    ));
    let default = [Usage::DigitalSignature, Usage::KeyEncipherment, Usage::ServerAuth];
    assert!(matches!(checked(&params(&request, &default, None), &ca), Err(Error::CheckFailed(_))));
    let mut changed = params(&request, &[], None);
    changed.serial[15] ^= 1;
    assert!(matches!(checked(&changed, &ca), Err(Error::CheckFailed(_))));
    changed = params(&request, &[], None);
    changed.earliest = NOW;
    assert!(matches!(checked(&changed, &ca), Err(Error::CheckFailed(_))));

    assert_eq!(issue(&params(&request, &[], None), &ca.chain(), &Faulty(&ca)).unwrap_err(), Error::Signing);
    let leaf = assemble(&tbs, &ca.chain(), &ca.sign(tbs.der()).unwrap()).unwrap();
    assert_eq!(verify_issued(&leaf, &tbs, &ca.chain()), Ok(()));
    let unchecked = Tbs::build(&params(&other, &[], None), &ca.chain()).unwrap();
    assert_eq!(
        verify_issued(&leaf, &unchecked, &ca.chain()),
        Err(Error::Signing),
        "well signed, and not checked"
    );
    let stranger = crate::ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    assert_eq!(issue(&params(&request, &[], None), &ca.chain(), &stranger).unwrap_err(), Error::Signing);
}
