//! Key identifiers of CAs, and keys of CAs that sign their next key.

use super::{Key, SERVER, leaf, message, oracles_on_path};
use crate::go::mutate::tlv;
use crate::{NOW, parameters, plain};
use rcgen::{CustomExtension, IsCa, Issuer, KeyPair, SignatureAlgorithm};
use tcs_x509::{CaCertificate, CaChain};

/// A key of a CA.
struct Holder {
    name: &'static str,
    pair: KeyPair,
}

/// What a certificate says of its own key and of its issuer's.
#[derive(Clone, Debug, Default)]
struct Ids {
    own: Option<&'static [u8]>,
    /// The contents of the authority key identifier.
    authority: Option<Vec<u8>>,
}

impl Ids {
    fn new(own: Option<&'static [u8]>, authority: Option<&[u8]>) -> Self {
        Self { own, authority: authority.map(|id| tlv(0x80, id)) }
    }

    fn extensions(&self) -> Vec<CustomExtension> {
        let of = |id: u64, value| CustomExtension::from_oid_content(&[2, 5, 29, id], value);
        let own = self.own.map(|id| of(14, tlv(0x04, id)));
        let authority = self.authority.as_ref().map(|id| of(35, tlv(0x30, id)));
        own.into_iter().chain(authority).collect()
    }
}

impl Holder {
    fn new(name: &'static str) -> Self {
        Self::of(name, &rcgen::PKCS_ECDSA_P256_SHA256)
    }

    fn of(name: &'static str, kind: &'static SignatureAlgorithm) -> Self {
        Self { name, pair: KeyPair::generate_for(kind).unwrap() }
    }

    /// Its CA certificate by this key, with this serial number.
    fn by(&self, issuer: &Self, serial: u8, ids: &Ids) -> Vec<u8> {
        let mut constraints =
            CustomExtension::from_oid_content(&[2, 5, 29, 19], b"\x30\x03\x01\x01\xff".to_vec());
        constraints.set_criticality(true);
        self.certificate(issuer, serial, [vec![constraints], ids.extensions()].concat())
    }

    fn certificate(&self, issuer: &Self, serial: u8, extensions: Vec<CustomExtension>) -> Vec<u8> {
        let mut parameters = parameters(self.name);
        // rcgen adds identifiers of its own to what it takes for a CA.
        (parameters.is_ca, parameters.use_authority_key_identifier_extension) = (IsCa::NoCa, false);
        parameters.key_usages.clear();
        parameters.serial_number = Some(vec![serial].into());
        parameters.custom_extensions = extensions;
        let above = Issuer::new(crate::parameters(issuer.name), &issuer.pair);
        parameters.signed_by(&self.pair, &above).unwrap().der().to_vec()
    }

    /// A leaf that was made without our checks, with the authority key identifier that we would give it.
    fn unchecked_leaf(&self, own: Option<&[u8]>) -> Vec<u8> {
        let leaf = Self::new("leaf");
        leaf.certificate(self, 99, Ids::new(None, own).extensions())
    }

    fn signer(&self) -> Key {
        Key(KeyPair::try_from(self.pair.serialized_der()).unwrap())
    }
}

/// Reads a delivery, and lets the oracles verify a leaf with what is published: the certificates after the
/// leaf, and the anchor.
fn published(issuing: &Holder, delivered: &[&Vec<u8>]) -> Result<(Vec<Vec<u8>>, Vec<u8>), String> {
    let chain = CaChain::from_delivered(delivered, NOW).map_err(|error| error.to_string())?;
    leaf((&chain, &issuing.signer()), &plain(), &SERVER, NOW).unwrap();
    let kept: Vec<&[u8]> = chain.delivered().map(CaCertificate::der).collect();
    assert_eq!(CaChain::from_accepted(&kept).unwrap().anchor().der(), chain.anchor().der());
    Ok((chain.intermediates().map(|ca| ca.der().to_vec()).collect(), chain.anchor().der().to_vec()))
}

const OLD: &[u8] = b"old key";
const NEW: &[u8] = b"new key";
const ISSUING: &[u8] = b"issuing key";
const WRONG: &[u8] = b"another key";

#[test]
fn case_p24_a_new_key_signed_by_the_old_one_is_an_intermediate() {
    let [old, new, issuing] = ["Acme", "Acme", "issuing"].map(Holder::new);
    let root = old.by(&old, 1, &Ids::new(Some(OLD), Some(OLD)));
    let rollover = new.by(&old, 2, &Ids::new(Some(NEW), Some(OLD)));
    let ca = issuing.by(&new, 3, &Ids::new(Some(ISSUING), Some(NEW)));
    let by_old = issuing.by(&old, 4, &Ids::new(Some(ISSUING), Some(OLD)));
    let of = |all: &[&Vec<u8>]| all.iter().map(|der| (*der).clone()).collect::<Vec<_>>();
    assert_eq!(published(&issuing, &[&by_old, &root]), Ok((of(&[&by_old]), root.clone())));
    assert_eq!(published(&issuing, &[&ca, &root, &rollover]), Ok((of(&[&ca, &rollover]), root.clone())));
    assert_eq!(published(&new, &[&rollover, &root]), Ok((of(&[&rollover]), root.clone())));
    assert_eq!(published(&old, &[&root]), Ok((of(&[]), root.clone())));
    // Without the root, the path ends in a certificate that is self-issued and not self-signed.
    assert_eq!(published(&issuing, &[&ca, &rollover]), Ok((of(&[&ca, &rollover]), rollover.clone())));
    assert_eq!(published(&new, &[&rollover]), Ok((of(&[&rollover]), rollover.clone())));
    // A self-signed certificate of the new key is one more way to end, and the shorter one.
    let new_root = new.by(&new, 5, &Ids::new(Some(NEW), None));
    let all = [&ca, &rollover, &root, &new_root];
    assert_eq!(published(&issuing, &all), Ok((of(&[&ca]), new_root.clone())));
    // The old key is of another kind, so that nobody takes the new certificate for a self-signed one.
    let old = Holder::of("Acme", &rcgen::PKCS_RSA_SHA256);
    let (root, rollover) = (old.by(&old, 1, &Ids::default()), new.by(&old, 2, &Ids::default()));
    let ca = issuing.by(&new, 3, &Ids::default());
    assert_eq!(published(&issuing, &[&ca, &rollover, &root]), Ok((of(&[&ca, &rollover]), root.clone())));
}

/// Whether a leaf below the issuing CA verifies with any path among these certificates.
fn verifies_somehow(leaf: &[u8], path: &[&Vec<u8>]) -> bool {
    (0..path.len()).any(|top| {
        let between: Vec<&[u8]> = path[..top].iter().map(|der| der.as_slice()).collect();
        oracles_on_path(SERVER[1], leaf, &between, path[top], NOW) == [true, true]
    })
}

/// Every combination of identifiers in a path with a new key that the old one signed.
#[test]
fn case_p24_key_identifiers_are_part_of_a_path_exactly_as_for_openssl() {
    let [old, new, issuing] = ["Acme", "Acme", "issuing"].map(Holder::new);
    let (mut accepted, mut refused) = (0, 0);
    let mut compare = |holder: &Holder, own: Option<&[u8]>, path: &[&Vec<u8>], what: &str| {
        let ours = published(holder, path);
        let verifies = verifies_somehow(&holder.unchecked_leaf(own), path);
        assert_eq!(ours.is_ok(), verifies, "{what}: {ours:?}");
        *(if verifies { &mut accepted } else { &mut refused }) += 1;
    };
    for old_ids in [(None, None), (Some(OLD), None), (Some(OLD), Some(OLD))] {
        let root = old.by(&old, 1, &Ids::new(old_ids.0, old_ids.1));
        for (own, authority) in pairs(NEW, OLD) {
            let rollover = new.by(&old, 2, &Ids::new(own, authority));
            let what = format!("{old_ids:x?} {own:x?} {authority:x?}");
            compare(&new, own, &[&rollover, &root], &what);
            for (issuing_own, by) in pairs(ISSUING, NEW) {
                let ca = issuing.by(&new, 3, &Ids::new(issuing_own, by));
                let what = format!("{what} {issuing_own:x?} {by:x?}");
                compare(&issuing, issuing_own, &[&ca, &rollover, &root], &what);
            }
        }
    }
    assert!(accepted > 40 && refused > 40, "{accepted} {refused}");
}

/// Identifiers of a certificate: its own, and that of its issuer.
fn pairs(
    own: &'static [u8],
    issuer: &'static [u8],
) -> impl Iterator<Item = (Option<&'static [u8]>, Option<&'static [u8]>)> {
    let authorities = [None, Some(issuer), Some(WRONG)];
    [None, Some(own)].into_iter().flat_map(move |own| authorities.map(|authority| (own, authority)))
}

/// A root that was issued anew with its name and key: `authorityCertIssuer` and the serial number, too, say
/// which of both is meant.
#[test]
fn case_p24_of_two_certificates_of_a_root_the_one_that_is_meant_is_the_anchor() {
    let [root, issuing] = ["Acme", "issuing"].map(Holder::new);
    let first = root.by(&root, 1, &Ids::new(Some(OLD), None));
    let second = root.by(&root, 2, &Ids::new(Some(NEW), None));
    let name = |text: &str| {
        let attribute = tlv(0x30, &[b"\x06\x03\x55\x04\x03", tlv(0x0c, text.as_bytes()).as_slice()].concat());
        tlv(0xa1, &tlv(0xa4, &tlv(0x30, &tlv(0x31, &attribute))))
    };
    let with = |authority: &[u8]| {
        issuing.by(&root, 3, &Ids { own: Some(ISSUING), authority: Some(authority.to_vec()) })
    };
    let serial = |number: u8| tlv(0x82, &[number]);
    for (authority, anchor) in [
        (tlv(0x80, OLD), &first),
        (tlv(0x80, NEW), &second),
        ([name("Acme"), serial(1)].concat(), &first),
        ([name("ACME"), serial(2)].concat(), &second),
        ([tlv(0x80, NEW), name("Acme"), serial(2)].concat(), &second),
        (serial(2), &second),
    ] {
        let ca = with(&authority);
        for delivered in [[&ca, &first, &second], [&ca, &second, &first]] {
            let found = published(&issuing, &delivered);
            assert_eq!(found, Ok((vec![ca.clone()], anchor.clone())), "{authority:x?}");
        }
    }
    for authority in [
        tlv(0x80, WRONG),
        [name("Other"), serial(1)].concat(),
        [name("Acme"), serial(3)].concat(),
        [tlv(0x80, OLD), name("Acme"), serial(2)].concat(),
    ] {
        let ca = with(&authority);
        let read = CaChain::from_delivered(&[&ca, &first, &second], NOW);
        let said = message(read, "ChainBroken");
        let parts = ["identifier of certificate 1 (\"CN=issuing\")", "mean certificate 2 (\"CN=Acme\")"];
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        for anchor in [&first, &second] {
            let leaf = issuing.unchecked_leaf(Some(ISSUING));
            assert_eq!(oracles_on_path(SERVER[1], &leaf, &[&ca], anchor, NOW), [true, false], "Go, openssl");
        }
    }
    let unreadable = with(b"\x05\x00");
    message(CaChain::from_delivered(&[&unreadable, &first], NOW), "CertificateMalformed");
}

#[test]
fn case_p24_two_keys_of_one_name_need_identifiers() {
    let [old, new, issuing] = ["Acme", "Acme", "issuing"].map(Holder::new);
    let root = old.by(&old, 1, &Ids::new(Some(OLD), None));
    let rollover = new.by(&old, 2, &Ids::new(Some(NEW), Some(OLD)));
    let ca = issuing.by(&new, 3, &Ids::new(Some(ISSUING), None));
    let said = message(CaChain::from_delivered(&[&ca, &rollover, &root], NOW), "ChainBroken");
    let parts = ["certificate 2 (\"CN=Acme\")", "certificate 3 (\"CN=Acme\")", "one name and different keys"];
    assert!(parts.iter().all(|part| said.contains(part)), "{said}");
}
