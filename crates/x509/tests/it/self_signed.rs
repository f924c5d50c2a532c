use crate::{Ca, DAY, NOW, sign_with};
use rcgen::{KeyPair, PublicKeyData as _, SignatureAlgorithm};
use std::process::Command;
use tcs_x509::{CaChain, CaSubject, Error, LONGEST_CA_LIFETIME, SHORTEST_CA_LIFETIME, SelfSignedCa, Signer};

pub struct Key(pub KeyPair);

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(sign_with(&self.0, message))
    }
}

fn make<'a>(change: impl FnOnce(&mut SelfSignedCa<'a>)) -> Result<CaChain, Error> {
    make_named(&CaSubject { common_name: "CA", ..CaSubject::default() }, change)
}

fn make_named<'a>(
    subject: &CaSubject<'_>,
    change: impl FnOnce(&mut SelfSignedCa<'a>),
) -> Result<CaChain, Error> {
    let key = Key(KeyPair::generate().unwrap());
    // Lives longer than whatever the test borrows.
    let spki: &'static [u8] = key.0.subject_public_key_info().leak();
    let mut params = SelfSignedCa {
        subject: subject.to_der()?.leak(),
        spki,
        lifetime: 365 * 86_400,
        path_length: Some(0),
        now: NOW,
        serial: [7; 16],
        earliest: NOW - 10 * DAY,
    };
    change(&mut params);
    params.sign(&key)
}

/// A self-signed CA with a key of this kind.
pub fn root(algorithm: &'static SignatureAlgorithm) -> Ca {
    root_with(algorithm, Some(0))
}

/// The same, with this path length.
pub fn root_with(algorithm: &'static SignatureAlgorithm, path_length: Option<u8>) -> Ca {
    let key = Key(KeyPair::generate_for(algorithm).unwrap());
    let der = signed_at(NOW - DAY, &key, path_length);
    let pem = pem_rfc7468::encode_string("CERTIFICATE", pem_rfc7468::LineEnding::LF, &der).unwrap();
    Ca { pair: key.0, der, pem }
}

/// The certificate of a CA with this key, made at this time; DER.
pub fn signed_at(now: i64, key: &Key, path_length: Option<u8>) -> Vec<u8> {
    let subject = CaSubject { common_name: "Root", ..CaSubject::default() };
    let mut serial = [7; 16];
    serial[8..].copy_from_slice(&now.to_be_bytes());
    let params = SelfSignedCa {
        subject: &subject.to_der().unwrap(),
        spki: &key.0.subject_public_key_info(),
        lifetime: 3650 * 86_400,
        path_length,
        now,
        serial,
        earliest: NOW - 10 * DAY,
    };
    params.sign(key).unwrap().issuing().der().to_vec()
}

/// A CA certificate without a subject key identifier, by rcgen, which adds none to a certificate that it does
/// not take for a CA.
pub fn without_key_id(name: &str, pair: &KeyPair) -> Vec<u8> {
    let mut parameters = crate::parameters(name);
    parameters.is_ca = rcgen::IsCa::NoCa;
    let mut constraints =
        rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 19], b"\x30\x03\x01\x01\xff".to_vec());
    constraints.set_criticality(true);
    parameters.custom_extensions.push(constraints);
    parameters.self_signed(pair).unwrap().der().to_vec()
}

fn openssl(der: &[u8], arguments: &[&str]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, der).unwrap();
    let mut command = Command::new("openssl");
    let output =
        command.args(["x509", "-noout", "-inform", "DER", "-in"]).arg(file.path()).args(arguments).output();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

#[test]
fn the_profile_is_that_of_a_root_as_openssl_reads_it() {
    let (organizations, units) = (vec!["Ä & Co".to_owned(), "B".to_owned()], vec!["Unit".to_owned()]);
    let (countries, localities, provinces) =
        (vec!["DE".to_owned()], vec!["L".to_owned()], vec!["P".to_owned()]);
    let subject = CaSubject {
        common_name: "My root",
        organizations: &organizations,
        organizational_units: &units,
        countries: &countries,
        localities: &localities,
        provinces: &provinces,
    };
    let chain = make_named(&subject, |_| ()).unwrap();
    let text = openssl(chain.issuing().der(), &["-text", "-nameopt", "RFC2253,utf8,-esc_msb"]);
    for line in [
        "Version: 3 (0x2)",
        "07:07:07:07:07:07:07:07:07:07:07:07:07:07:07:07",
        "Signature Algorithm: ecdsa-with-SHA256",
        "CN=My root,ST=P,L=L,OU=Unit,O=B,O=Ä & Co,C=DE",
        "X509v3 Key Usage: critical\n                Certificate Sign, CRL Sign\n",
        "X509v3 Basic Constraints: critical\n                CA:TRUE, pathlen:0\n",
        "X509v3 Subject Key Identifier:",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("Authority Key Identifier") && !text.contains("Extended Key Usage"));
    assert_eq!((chain.not_before(), chain.not_after()), (NOW - 300, NOW + 365 * DAY));
    assert!(make(|params| params.path_length = None).unwrap().issuing().is_self_signed());
}

#[test]
fn lifetimes_and_clocks_have_their_bounds() {
    for good in [SHORTEST_CA_LIFETIME, LONGEST_CA_LIFETIME] {
        assert!(make(|params| params.lifetime = good).is_ok());
    }
    for wrong in [0, SHORTEST_CA_LIFETIME - 1, LONGEST_CA_LIFETIME + 1, u64::MAX] {
        assert_eq!(make(|params| params.lifetime = wrong).err(), Some(Error::CaLifetimeInvalid));
    }
    assert_eq!(make(|params| params.earliest = NOW + 1).err(), Some(Error::ClockTooEarly));
    assert_eq!(make(|params| params.earliest = NOW - 5).unwrap().not_before(), NOW - 5);
    assert_eq!(make(|params| params.now = i64::MAX).err(), Some(Error::CaLifetimeInvalid));
}

#[test]
fn names_outside_x520_and_reserved_ones_are_refused() {
    let one = |text: &str| vec![text.to_owned()];
    let plain = CaSubject { common_name: "CA", ..CaSubject::default() };
    let forbidden =
        |subject: CaSubject<'_>| matches!(make_named(&subject, |_| ()), Err(Error::IdentityForbidden(_)));
    let long = "x".repeat(65);
    for name in ["", "  ", &long, "a\nb", "a\0b", "system:masters", " System:node:a"] {
        assert!(forbidden(CaSubject { common_name: name, ..plain }), "{name:?}");
        if name != long {
            let values = one(name);
            assert!(forbidden(CaSubject { organizations: &values, ..plain }), "{name:?}");
            assert!(forbidden(CaSubject { provinces: &values, ..plain }), "{name:?}");
        }
    }
    assert!(!forbidden(CaSubject { common_name: &long[1..], ..plain }));
    for country in ["D", "DEU", "D1", "Ä"] {
        assert!(forbidden(CaSubject { countries: &one(country), ..plain }), "{country}");
    }
    let many = vec!["O".to_owned(); 17];
    assert!(forbidden(CaSubject { organizations: &many, ..plain }));
    // The name of the certificate that this one follows is checked, too.
    let reserved =
        [b"\x30\x19\x31\x17\x30\x15\x06\x03\x55\x04\x03\x0c\x0e".as_slice(), b"system:masters"].concat();
    assert!(matches!(make(|params| params.subject = &reserved), Err(Error::IdentityForbidden(_))));
    assert_eq!(
        make(|params| params.subject = b"\x30\x00").err(),
        Some(Error::CheckFailed("the subject differs"))
    );
}

#[test]
fn review_l6_a_ca_claims_no_name_of_kubeadm() {
    let value = vec!["kubeadm:cluster-admins".to_owned()];
    let plain = CaSubject { common_name: "CA", ..CaSubject::default() };
    for subject in [
        CaSubject { common_name: &value[0], ..plain },
        CaSubject { organizations: &value, ..plain },
        CaSubject { organizational_units: &value, ..plain },
    ] {
        assert!(matches!(make_named(&subject, |_| ()), Err(Error::IdentityForbidden(_))));
    }
}

#[test]
fn a_key_that_is_not_the_certificates_and_a_zero_serial_are_refused() {
    let other = KeyPair::generate().unwrap().subject_public_key_info();
    assert_eq!(make(|params| params.spki = &other).err(), Some(Error::Signing));
    assert_eq!(make(|params| params.serial = [0; 16]).err(), Some(Error::Encoding));
    assert!(make(|params| params.spki = b"\x30\x00").is_err());
}

#[test]
fn cas_of_one_name_are_told_apart_by_key_identifier_or_need_not_be() {
    let mine = make(|_| ()).unwrap();
    assert!(mine.can_be_told_from(&make(|_| ()).unwrap()), "key identifiers");
    let delivered = |name: &str, with_id: bool, pair: &KeyPair| {
        let der = if with_id {
            crate::parameters(name).self_signed(pair).unwrap().der().to_vec()
        } else {
            without_key_id(name, pair)
        };
        CaChain::from_delivered(&[der], NOW).unwrap()
    };
    let (one, two) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    assert!(delivered("CA", true, &one).can_be_told_from(&delivered("CA", true, &two)));
    assert!(delivered("CA", false, &one).can_be_told_from(&delivered("CA", false, &one)), "the same key");
    assert!(delivered("CA", false, &one).can_be_told_from(&delivered("CA 2", false, &two)));
    assert!(!delivered("CA", false, &one).can_be_told_from(&delivered("CA", false, &two)));
    assert!(!delivered("CA", true, &one).can_be_told_from(&delivered("ca", false, &two)));
}
