//! The profiles of the request APIs, each rule by its id in docs/conformance.md.

use crate::issuance::openssl_accepts;
use crate::property::{asked, given, names_are_critical};
use crate::{Ca, DAY, NOW, ca, params, plain, request, vectors};
use rcgen::{ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use tcs_x509::{CertificateProfile, CertificateRequest, Error, IssuedCertificate, Usage, issue};
use x509_cert::der::Decode as _;

const PROFILES: [CertificateProfile; 3] =
    [CertificateProfile::KubernetesCsr, CertificateProfile::CertManager, CertificateProfile::PodCertificate];

fn through(
    profile: CertificateProfile,
    ca: &Ca,
    request: &CertificateRequest,
    usages: &[Usage],
    lifetime: Option<u64>,
) -> Result<IssuedCertificate, Error> {
    let mut params = params(request, usages, lifetime);
    params.profile = profile;
    issue(&params, &ca.chain(), ca)
}

fn request_with(change: impl FnOnce(&mut rcgen::CertificateParams)) -> CertificateRequest {
    CertificateRequest::from_der(&request(change)).unwrap()
}

#[test]
fn a15_duration_default_and_cap() {
    let (ca, request) = (ca(&rcgen::PKCS_ECDSA_P256_SHA256), plain());
    let window = |lifetime| {
        let leaf = through(CertificateProfile::CertManager, &ca, &request, &[], lifetime).unwrap();
        openssl_accepts(&ca, &leaf.der);
        (leaf.not_before - NOW, leaf.not_after - NOW)
    };
    assert_eq!(window(None), (0, 90 * DAY), "2160 hours");
    assert_eq!(window(Some(3600)), (0, 3600), "nothing is back-dated");
    assert_eq!(window(Some(9 * 3600)), (0, 9 * 3600));
    assert_eq!(window(Some(10_000 * 3600)), (0, 365 * DAY), "cut, and documented");
    let short = through(CertificateProfile::CertManager, &ca, &request, &[], Some(599));
    assert_eq!(short.unwrap_err(), Error::LifetimeInvalid);
    let mut last = params(&request, &[], None);
    (last.profile, last.now) = (CertificateProfile::CertManager, ca.chain().not_after() - DAY);
    assert_eq!(issue(&last, &ca.chain(), &ca).unwrap().not_after, ca.chain().not_after());
    last.now = ca.chain().not_after();
    assert_eq!(issue(&last, &ca.chain(), &ca).unwrap_err(), Error::CaExpired);
}

#[test]
fn a16_usages_and_ca_flag() {
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let verdict = |request: &CertificateRequest, usages: &[Usage]| {
        through(CertificateProfile::CertManager, &ca, request, usages, None)
            .map(|leaf| openssl_accepts(&ca, &leaf.der))
    };
    // Without usages: digital signature and key encipherment, even if the request itself names them.
    let text = verdict(&plain(), &[]).unwrap();
    assert!(text.contains("Digital Signature, Key Encipherment\n"), "{text}");
    let own = |bits: &[KeyUsagePurpose], extended: &[ExtendedKeyUsagePurpose]| {
        request_with(|params| {
            params.key_usages = bits.to_vec();
            params.extended_key_usages = extended.to_vec();
        })
    };
    let (signature, encipherment) = (KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment);
    assert!(verdict(&own(&[signature, encipherment], &[]), &[]).is_ok());
    // Usages in the request itself must be those of the spec, for both kinds if there is one.
    let (server, client) = (ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth);
    let spec = [Usage::DigitalSignature, Usage::ServerAuth, Usage::ClientAuth];
    assert!(verdict(&own(&[signature], &[server.clone(), client.clone()]), &spec).is_ok());
    assert!(verdict(&own(&[signature], &[client.clone(), server.clone()]), &spec).is_ok(), "in any order");
    for other in [
        own(&[], &[server.clone(), client.clone()]),
        own(&[signature], &[]),
        own(&[signature], std::slice::from_ref(&server)),
        own(&[signature], &[server.clone(), client.clone(), ExtendedKeyUsagePurpose::Any]),
        own(&[signature, encipherment], &[server.clone(), client.clone()]),
        own(
            &[signature],
            &[server, client, ExtendedKeyUsagePurpose::Other(vec![1, 3, 6, 1, 4, 1, 54392, 1])],
        ),
    ] {
        assert_eq!(verdict(&other, &spec).unwrap_err(), Error::ExtensionMismatch);
        // The Kubernetes profile ignores them (B07).
        assert!(through(CertificateProfile::KubernetesCsr, &ca, &other, &spec, None).is_ok());
    }
    let unreadable = request_with(|params| {
        let junk = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 37], b"\x04\x00".to_vec());
        params.custom_extensions = vec![junk];
    });
    assert_eq!(verdict(&unreadable, &[]).unwrap_err(), Error::ExtensionMismatch);
    // A CA certificate is not issued unless the issuer allows it (`sub_ca.rs`).
    let wants_ca = request_with(|params| params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    assert_eq!(verdict(&wants_ca, &[]).unwrap_err().code(), "RequestForCa");
    assert_eq!(verdict(&plain(), &[Usage::CertSign]).unwrap_err(), Error::UsageForbidden);
    assert!(verdict(&request_with(|params| params.is_ca = IsCa::ExplicitNoCa), &[]).is_ok());
}

/// Vectors with everything that a subject and its names can contain, including other names.
#[test]
fn a17_subject_and_sans_copied_exactly() {
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (mut accepted, mut critical) = (0, [0; 2]);
    for (name, der, _) in vectors::requests() {
        let Ok(request) = CertificateRequest::from_der(&der) else { continue };
        // Another rule covers usages in the request itself.
        let Ok(leaf) = through(CertificateProfile::CertManager, &ca, &request, &[], None) else { continue };
        accepted += 1;
        let asked = asked(&der);
        assert_eq!(given(&leaf.der), asked, "{name}");
        let empty = asked.subject == [0x30, 0x00];
        assert_eq!(names_are_critical(&leaf.der), asked.names.map(|_| empty), "{name}");
        critical[usize::from(empty)] += usize::from(asked.names.is_some());
    }
    assert!(accepted > 30 && critical.iter().all(|count| *count > 0), "{accepted} {critical:?}");
}

#[test]
fn d02_issue_sets_all_fields_consistently() {
    let (ca, der) = (ca(&rcgen::PKCS_ECDSA_P256_SHA256), request(|_| {}));
    let request = CertificateRequest::from_der(&der).unwrap();
    let window = |lifetime| {
        let leaf = through(CertificateProfile::PodCertificate, &ca, &request, &[], lifetime).unwrap();
        openssl_accepts(&ca, &leaf.der);
        assert_eq!(given(&leaf.der), asked(&der));
        // The description of the certificate agrees with its contents.
        let read = x509_cert::Certificate::from_der(&leaf.der).unwrap();
        let validity = read.tbs_certificate().validity();
        let seconds =
            |time: &x509_cert::time::Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap();
        let (from, until) = (seconds(&validity.not_before), seconds(&validity.not_after));
        assert_eq!((from, until), (leaf.not_before, leaf.not_after));
        let refresh = leaf.begin_refresh_at.unwrap();
        assert!((from + 600..=until - 600).contains(&refresh), "{} of {}", refresh - from, until - from);
        (from - NOW, until - from)
    };
    // Backdated by less than five minutes, with the whole validity within what was requested.
    assert_eq!(window(Some(3600)), (-60, 3600));
    assert_eq!(window(Some(7200)), (-60, 7200));
    assert_eq!(window(None), (-60, DAY));
    assert_eq!(window(Some(u64::MAX)), (-60, 91 * DAY), "maxExpirationSeconds goes to 7862400");
    for other in [CertificateProfile::KubernetesCsr, CertificateProfile::CertManager] {
        assert_eq!(through(other, &ca, &request, &[], None).unwrap().begin_refresh_at, None);
    }
    let short = through(CertificateProfile::PodCertificate, &ca, &request, &[], Some(3599));
    assert_eq!(short.unwrap_err(), Error::LifetimeInvalid);
    // The request is not at fault if the CA ends within the hour. A CA that began just now still gives an
    // hour.
    let mut last = params(&request, &[], None);
    (last.profile, last.now) = (CertificateProfile::PodCertificate, ca.chain().not_after() - 3540);
    let leaf = issue(&last, &ca.chain(), &ca).unwrap();
    assert_eq!(leaf.not_after - leaf.not_before, 3600);
    last.now += 1;
    assert_eq!(issue(&last, &ca.chain(), &ca).unwrap_err(), Error::CaEndsSoon);
    (last.now, last.earliest, last.lifetime) = (ca.chain().not_before(), 0, Some(3600));
    let leaf = issue(&last, &ca.chain(), &ca).unwrap();
    assert_eq!((leaf.not_before, leaf.not_after - leaf.not_before), (last.now, 3600));
}

/// A request that one profile refuses, the others refuse with the same reason. What they issue differs only
/// in its times.
#[test]
fn x01_same_request_same_verdict() {
    let ca = ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let usages = [Usage::DigitalSignature, Usage::ServerAuth];
    let (mut accepted, mut refused) = (0, 0);
    for (name, der, _) in vectors::requests() {
        let Ok(request) = CertificateRequest::from_der(&der) else { continue };
        let [one, two, three] = PROFILES.map(|profile| through(profile, &ca, &request, &usages, Some(7200)));
        if two == Err(Error::ExtensionMismatch) {
            assert!(one.is_ok() && three.is_ok(), "{name}: A16 is cert-manager's rule alone");
            continue;
        }
        let differing = |leaf: &IssuedCertificate| {
            let leaf = x509_cert::Certificate::from_der(&leaf.der).unwrap();
            let tbs = leaf.tbs_certificate();
            (tbs.subject().clone(), tbs.subject_public_key_info().clone(), tbs.extensions().cloned())
        };
        match (one, two, three) {
            (Ok(one), Ok(two), Ok(three)) => {
                assert_eq!(differing(&one), differing(&two), "{name}");
                assert_eq!(differing(&one), differing(&three), "{name}");
                accepted += 1;
            }
            (Err(one), Err(two), Err(three)) => {
                assert_eq!((one.clone(), one), (two, three), "{name}");
                refused += 1;
            }
            other => panic!("{name}: {other:?}"),
        }
    }
    assert!(accepted > 30 && refused > 0, "{accepted}, {refused}");
}
