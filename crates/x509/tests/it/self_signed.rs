use crate::{DAY, NOW, sign_with};
use rcgen::{KeyPair, PublicKeyData as _};
use std::process::Command;
use tcs_x509::{CaChain, CaSubject, Error, LONGEST_CA_LIFETIME, SHORTEST_CA_LIFETIME, SelfSignedCa, Signer};

struct Key(KeyPair);

impl Signer for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(sign_with(&self.0, message))
    }
}

fn make<'a>(change: impl FnOnce(&mut SelfSignedCa<'a>)) -> Result<CaChain, Error> {
    let key = Key(KeyPair::generate().unwrap());
    // Outlives whatever the test lends.
    let spki: &'static [u8] = key.0.subject_public_key_info().leak();
    let mut ask = SelfSignedCa {
        subject: CaSubject { common_name: "CA", ..CaSubject::default() },
        spki,
        lifetime: 365 * 86_400,
        path_length: Some(0),
        now: NOW,
        serial: [7; 16],
        clock_floor: NOW - 10 * DAY,
    };
    change(&mut ask);
    ask.sign(&key)
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
    let chain = make(|ask| {
        ask.subject = CaSubject {
            common_name: "My root",
            organizations: &organizations,
            organizational_units: &units,
            countries: &countries,
            localities: &localities,
            provinces: &provinces,
        };
    });
    let chain = chain.unwrap();
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
    assert!(make(|ask| ask.path_length = None).unwrap().issuing().is_self_issued());
}

#[test]
fn lifetimes_and_clocks_have_their_bounds() {
    for good in [SHORTEST_CA_LIFETIME, LONGEST_CA_LIFETIME] {
        assert!(make(|ask| ask.lifetime = good).is_ok());
    }
    for wrong in [0, SHORTEST_CA_LIFETIME - 1, LONGEST_CA_LIFETIME + 1, u64::MAX] {
        assert_eq!(make(|ask| ask.lifetime = wrong).err(), Some(Error::CaLifetimeInvalid));
    }
    assert_eq!(make(|ask| ask.clock_floor = NOW + 1).err(), Some(Error::ClockTooEarly));
    assert_eq!(make(|ask| ask.clock_floor = NOW - 5).unwrap().not_before(), NOW - 5);
    assert_eq!(make(|ask| ask.now = i64::MAX).err(), Some(Error::CaLifetimeInvalid));
}

#[test]
fn names_outside_x520_and_reserved_ones_are_refused() {
    let one = |text: &str| vec![text.to_owned()];
    let forbidden = |error: Option<Error>| matches!(error, Some(Error::IdentityForbidden(_)));
    let long = "x".repeat(65);
    for name in ["", "  ", &long, "a\nb", "a\0b", "system:masters", " System:node:a"] {
        assert!(forbidden(make(|ask| ask.subject.common_name = name).err()), "{name:?}");
        if name != long {
            let (all, values) = (one(name), one(name));
            assert!(forbidden(make(|ask| ask.subject.organizations = &all).err()), "{name:?}");
            assert!(forbidden(make(|ask| ask.subject.provinces = &values).err()), "{name:?}");
        }
    }
    assert!(make(|ask| ask.subject.common_name = &long[1..]).is_ok());
    for country in ["D", "DEU", "D1", "Ä"] {
        let countries = one(country);
        assert!(forbidden(make(|ask| ask.subject.countries = &countries).err()), "{country}");
    }
    let many = vec!["O".to_owned(); 17];
    assert!(forbidden(make(|ask| ask.subject.organizations = &many).err()));
}

#[test]
fn a_key_that_is_not_the_certificates_and_a_zero_serial_are_refused() {
    let other = KeyPair::generate().unwrap().subject_public_key_info();
    assert_eq!(make(|ask| ask.spki = &other).err(), Some(Error::Signing));
    assert_eq!(make(|ask| ask.serial = [0; 16]).err(), Some(Error::Encoding));
    assert!(make(|ask| ask.spki = b"\x30\x00").is_err());
}
