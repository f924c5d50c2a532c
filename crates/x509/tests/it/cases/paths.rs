//! Paths among delivered certificates.

use super::{CASES_NOW, Key, SERVER, certificates, key, leaf, message, oracles_accept};
use crate::chain::openssl_ca_with;
use crate::{NOW, parameters, plain};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::process::Command;
use tcs_x509::{CaCertificate, CaChain};

/// A CA, of which there may be several certificates.
struct Entity {
    parameters: CertificateParams,
    pair: KeyPair,
}

impl Entity {
    fn new(name: &str) -> Self {
        Self { parameters: parameters(name), pair: KeyPair::generate().unwrap() }
    }

    /// Its certificate by this CA.
    fn by(&self, issuer: &Self, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
        let mut parameters = self.parameters.clone();
        change(&mut parameters);
        let issuer = Issuer::new(issuer.parameters.clone(), &issuer.pair);
        parameters.signed_by(&self.pair, &issuer).unwrap().der().to_vec()
    }

    fn by_itself(&self) -> Vec<u8> {
        self.by(self, |_| ())
    }
}

fn ended(parameters: &mut CertificateParams) {
    parameters.not_after = rcgen::date_time_ymd(2026, 2, 1);
}

fn read(delivered: &[&Vec<u8>]) -> CaChain {
    CaChain::from_delivered(delivered, NOW).unwrap()
}

/// The chain without its root, and the trust anchor.
fn published(chain: &CaChain) -> (Vec<Vec<u8>>, Vec<u8>) {
    (chain.chain().map(|ca| ca.der().to_vec()).collect(), chain.anchor().der().to_vec())
}

/// Checks what is published of a delivery, that the oracles accept a leaf below it, and that it is read again
/// in the same way.
fn publishes(what: &str, delivered: &[&Vec<u8>], issuing: &Entity, chain: &[&Vec<u8>], anchor: &[u8]) {
    let found = read(delivered);
    let wanted: Vec<Vec<u8>> = chain.iter().map(|der| (*der).clone()).collect();
    assert_eq!(published(&found), (wanted, anchor.to_vec()), "{what}");
    let signer = Key(KeyPair::try_from(issuing.pair.serialized_der()).unwrap());
    let leaf = leaf((&found, &signer), &plain(), &SERVER, NOW).unwrap();
    assert_eq!(oracles_accept(SERVER[1], &leaf, &found, NOW), [true, true], "{what}");
    let kept: Vec<&[u8]> = found.delivered().map(CaCertificate::der).collect();
    assert_eq!(published(&CaChain::from_accepted(&kept).unwrap()), published(&found), "{what}");
}

#[test]
fn case_p24_a_path_is_found_in_a_bundle_with_a_cross_signed_ca() {
    let all = certificates("cross.crt");
    let [issuing, cross, old_root, new_root] = all.as_slice() else { panic!("{}", all.len()) };
    for delivered in [
        [issuing, cross, old_root, new_root],
        [issuing, new_root, old_root, cross],
        [issuing, old_root, new_root, cross],
    ] {
        let chain = CaChain::from_delivered(&delivered, CASES_NOW).unwrap();
        assert_eq!(published(&chain), (vec![issuing.clone()], new_root.clone()));
        let leaf = leaf((&chain, &key("cross.key")), &plain(), &SERVER, CASES_NOW).unwrap();
        assert_eq!(oracles_accept(SERVER[1], &leaf, &chain, CASES_NOW), [true, true]);
        let kept: Vec<&[u8]> = chain.delivered().map(CaCertificate::der).collect();
        assert_eq!(published(&CaChain::from_accepted(&kept).unwrap()), published(&chain));
    }
}

#[test]
fn case_p24_of_several_paths_the_one_by_the_documented_rules_is_published() {
    let [old, new, middle, issuing] = ["old", "new", "middle", "issuing"].map(Entity::new);
    let (old_root, new_root, cross) = (old.by_itself(), new.by_itself(), new.by(&old, |_| ()));
    let ca = issuing.by(&new, |_| ());
    publishes("the shortest", &[&ca, &cross, &old_root, &new_root], &issuing, &[&ca], &new_root);
    publishes(
        "duplicates",
        &[&ca, &new_root, &ca, &new_root, &cross, &old_root],
        &issuing,
        &[&ca],
        &new_root,
    );
    publishes("without the new root", &[&ca, &old_root, &cross], &issuing, &[&ca, &cross], &old_root);
    publishes("to a self-signed one", &[&ca, &cross, &new_root], &issuing, &[&ca], &new_root);
    publishes("without a root", &[&ca, &cross], &issuing, &[&ca, &cross], &cross);
    let ended_root = new.by(&new, ended);
    publishes("the valid one", &[&ca, &ended_root, &cross, &old_root], &issuing, &[&ca, &cross], &old_root);
    let ended_cross = new.by(&old, ended);
    publishes("past an ended one", &[&ca, &ended_cross, &old_root, &new_root], &issuing, &[&ca], &new_root);
    // An intermediate with certificates by two roots: the first delivered counts.
    let [by_old, by_new] = [&old, &new].map(|root| middle.by(root, |_| ()));
    let below = issuing.by(&middle, |_| ());
    for (first, root, other, other_root) in
        [(&by_old, &old_root, &by_new, &new_root), (&by_new, &new_root, &by_old, &old_root)]
    {
        let delivered = [&below, other_root, first, root, other];
        publishes("two roots", &delivered, &issuing, &[&below, first], root);
    }
    // The issuing CA itself has two certificates.
    let [one, two] = [&old, &new].map(|root| issuing.by(root, |_| ()));
    publishes("two of its own", &[&two, &one, &old_root, &new_root], &issuing, &[&two], &new_root);
    let ended_one = issuing.by(&old, ended);
    publishes("one of them ended", &[&ended_one, &two, &old_root, &new_root], &issuing, &[&two], &new_root);
    // A path length forbids the shorter path.
    let narrow = new.by(&new, |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    let below_two = issuing.by(&middle, |_| ());
    publishes(
        "an allowed one",
        &[&below_two, &by_new, &narrow, &cross, &old_root],
        &issuing,
        &[&below_two, &by_new, &cross],
        &old_root,
    );
}

#[test]
fn case_p24_cas_that_certify_each_other_end_the_path() {
    let [one, two, issuing] = ["one", "two", "issuing"].map(Entity::new);
    let [first, second] = [(&one, &two), (&two, &one)].map(|(subject, by)| subject.by(by, |_| ()));
    let ca = issuing.by(&one, |_| ());
    assert_eq!(published(&read(&[&ca, &second, &first])), (vec![ca, first, second.clone()], second));
    // Eight certificates with as many paths as possible.
    let [root, middle] = ["root", "middle"].map(Entity::new);
    let of = |entity: &Entity, by: &Entity, count: u8| -> Vec<Vec<u8>> {
        (0..count).map(|n| entity.by(by, |p| p.serial_number = Some(vec![1, n].into()))).collect()
    };
    let (issuing_two, middle_three, root_three) =
        (of(&issuing, &middle, 2), of(&middle, &root, 3), of(&root, &root, 3));
    let all: Vec<&Vec<u8>> = issuing_two.iter().chain(&root_three).chain(&middle_three).collect();
    let wanted = (vec![issuing_two[0].clone(), middle_three[0].clone()], root_three[0].clone());
    assert_eq!(published(&read(&all)), wanted);
}

#[test]
fn case_p20_refusals_name_the_certificate_and_the_true_reason() {
    let [root, issuing, stranger] = ["root", "issuing", "stranger"].map(Entity::new);
    let (top, ca) = (root.by_itself(), issuing.by(&root, |_| ()));
    let says = |delivered: &[&Vec<u8>], code: &str, parts: &[&str]| {
        let message = message(CaChain::from_delivered(delivered, NOW), code);
        assert!(parts.iter().all(|part| message.contains(part)), "{parts:?}: {message}");
    };
    let negative = &certificates("serneg.crt")[0];
    says(
        &[negative],
        "CertificateMalformed",
        &["certificate 1 (\"CN=serial neg\")", "serial number is negative"],
    );
    says(&[&ca, negative], "CertificateMalformed", &["certificate 2 (\"CN=serial neg\")"]);
    says(
        &[&ca, &top, &vec![0x30, 0]],
        "CertificateMalformed",
        &["certificate 3: it is not a DER certificate"],
    );
    let strange = stranger.by_itself();
    says(&[&ca, &strange, &top], "ChainBroken", &["certificate 2 (\"CN=stranger\") is not above"]);
    says(&[&top, &ca], "ChainBroken", &["certificate 2 (\"CN=issuing\")", "issuing CA first"]);
    let impostor = Entity::new("root").by_itself();
    says(
        &[&ca, &impostor],
        "ChainBroken",
        &["certificate 2 (\"CN=root\")", "certificate 1 (\"CN=issuing\")", "did not sign"],
    );
    says(
        &[&ca, &root.by(&root, ended)],
        "CertificateExpired",
        &["certificate 2 (\"CN=root\")", "2026-02-01T00:00:00Z"],
    );
    let early = |p: &mut CertificateParams| p.not_before = rcgen::date_time_ymd(2035, 2, 1);
    says(
        &[&issuing.by(&root, early), &top],
        "CertificateNotYetValid",
        &["certificate 1", "2035-02-01T00:00:00Z"],
    );
    let narrow = root.by(&root, |p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    says(&[&ca, &narrow], "ChainBroken", &["path length of certificate 2 (\"CN=root\")"]);
    let none = issuing.by(&root, |p| p.is_ca = IsCa::NoCa);
    says(&[&none, &top], "CertificateNotCa", &["certificate 1 (\"CN=issuing\")", "no basicConstraints"]);
    let unknown = root.by(&root, |p| {
        let mut unknown = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4, 5], vec![5, 0]);
        unknown.set_criticality(true);
        p.custom_extensions = vec![unknown];
    });
    says(&[&ca, &unknown], "CertificateUnsupported", &["certificate 2", "critical extension 1.2.3.4.5"]);
    let constrained = root.by(&root, |p| {
        let name = rcgen::GeneralSubtree::DirectoryName(parameters("other").distinguished_name);
        p.name_constraints =
            Some(rcgen::NameConstraints { permitted_subtrees: vec![name], excluded_subtrees: vec![] });
    });
    says(&[&ca, &constrained], "ChainBroken", &["certificate 1", "name constraints of certificate 2"]);
    let mut other_type = Entity::new("root");
    other_type.pair = KeyPair::try_from(root.pair.serialized_der()).unwrap();
    other_type.parameters.distinguished_name = rcgen::DistinguishedName::new();
    let value = rcgen::DnValue::PrintableString("root".try_into().unwrap());
    other_type.parameters.distinguished_name.push(rcgen::DnType::CommonName, value);
    says(&[&ca, &other_type.by_itself()], "ChainBroken", &["certificate 2", "other string types"]);
}

/// A signature of this certificate by its own key says nothing.
#[test]
fn case_p22_an_anchors_own_signature_is_no_part_of_the_path() {
    let chain = CaChain::from_delivered(&certificates("pss.crt"), CASES_NOW).unwrap();
    let made = leaf((&chain, &key("pss.key")), &plain(), &SERVER, CASES_NOW).unwrap();
    assert_eq!(oracles_accept(SERVER[1], &made, &chain, CASES_NOW), [true, true]);
    let dir = tempfile::tempdir().unwrap();
    let pss = |salt: &'static str| {
        ["-newkey", "rsa:2048", "-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", salt]
    };
    let curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    for options in [
        pss("rsa_pss_saltlen:20").as_slice(),
        &pss("rsa_pss_saltlen:max"),
        &["-newkey", "rsa:2048", "-sha1"],
        &["-newkey", "rsa:2048", "-sha224"],
        &[&curve[..], &["-sha1"]].concat(),
        &[&curve[..], &["-sha224"]].concat(),
    ] {
        let made = openssl_ca_with(dir.path(), options);
        let chain = CaChain::from_delivered(&[&made.der], made.now)
            .unwrap_or_else(|_| panic!("{}", options.join(" ")));
        let signer = Key(KeyPair::try_from(made.key.as_slice()).unwrap());
        let leaf = leaf((&chain, &signer), &plain(), &SERVER, made.now).unwrap();
        assert_eq!(oracles_accept(SERVER[1], &leaf, &chain, made.now), [true, true], "{options:?}");
    }
    let [root, issuing] = ["root", "issuing"].map(Entity::new);
    let mut damaged = root.by_itself();
    *damaged.last_mut().unwrap() ^= 1;
    let ca = issuing.by(&root, |_| ());
    publishes("a damaged signature", &[&damaged], &root, &[&damaged], &damaged);
    publishes("the same above", &[&ca, &damaged], &issuing, &[&ca], &damaged);
    // Below the anchor signatures count, and so do their algorithms.
    let mut damaged = ca;
    *damaged.last_mut().unwrap() ^= 1;
    message(CaChain::from_delivered(&[&damaged, &root.by_itself()], NOW), "ChainBroken");
    let (top, old, now) = signed_with_sha_1(dir.path());
    let said = message(CaChain::from_delivered(&[&old, &top], now), "CertificateUnsupported");
    assert!(
        said.contains("certificate 1 (\"CN=issuing\")") && said.contains("signature algorithm"),
        "{said}"
    );
}

/// A root, an intermediate that it signed with SHA-1, and the time.
fn signed_with_sha_1(dir: &std::path::Path) -> (Vec<u8>, Vec<u8>, i64) {
    let top = openssl_ca_with(dir, &["-newkey", "rsa:2048", "-sha256"]);
    std::fs::write(dir.join("ext"), "basicConstraints=critical,CA:TRUE").unwrap();
    let run = |arguments: &[&str]| {
        assert!(Command::new("openssl").current_dir(dir).args(arguments).output().unwrap().status.success());
    };
    run(&[
        "req",
        "-new",
        "-nodes",
        "-newkey",
        "ed25519",
        "-keyout",
        "l",
        "-subj",
        "/CN=issuing",
        "-out",
        "r",
    ]);
    run(&["x509", "-in", "c", "-inform", "DER", "-out", "c.pem"]);
    let sign = ["x509", "-req", "-sha1", "-in", "r", "-CA", "c.pem", "-CAkey", "k", "-CAcreateserial"];
    run(&[&sign[..], &["-extfile", "ext", "-outform", "DER", "-out", "i"]].concat());
    (top.der, std::fs::read(dir.join("i")).unwrap(), top.now)
}
