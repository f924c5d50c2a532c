//! Tests with a real SoftHSM2. Each test runs itself again in a process of its own, because `SOFTHSM2_CONF`
//! and logins belong to a whole process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![forbid(unsafe_code)]

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::{KeyPair as RsaKeyPair, KeySize, PrivateDecryptingKey};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING as P256, ECDSA_P384_SHA384_ASN1_SIGNING as P384,
    ECDSA_P521_SHA512_ASN1_SIGNING as P521, EcdsaKeyPair, Ed25519KeyPair, KeyPair,
};
use cryptoki::context::Pkcs11;
use std::path::Path;
use std::process::Command;
use tcs_keywrap::WrapFormat;
use tcs_pkcs11::{Error, Module, SecretString};

const CHILD: &str = "TCS_PKCS11_TEST_CHILD";
const LIBRARIES: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/softhsm/libsofthsm2.so"];

/// Runs `body` in a process of its own with an empty SoftHSM2 token directory.
fn with_softhsm(test: &str, mechanisms: &str, body: impl FnOnce(&Path)) {
    let Some(library) = LIBRARIES.iter().map(Path::new).find(|path| path.exists()) else {
        assert!(std::env::var_os("TCS_REQUIRE_SOFTHSM").is_none_or(|v| v != "1"), "SoftHSM2 is missing");
        eprintln!("not run: {test}: SoftHSM2 is not installed (apt-get install softhsm2)");
        return;
    };
    if std::env::var_os(CHILD).is_some() {
        return body(library);
    }
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let conf = dir.path().join("softhsm2.conf");
    let settings = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\nslots.mechanisms = {mechanisms}\n",
        tokens.display()
    );
    std::fs::write(&conf, settings).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .env("SOFTHSM2_CONF", &conf)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn pin(text: &str) -> SecretString {
    text.to_owned().into()
}

fn module_with_token(library: &Path) -> Module {
    let module = Module::load(library).unwrap();
    module.init_token("SgxOperator", &pin("so-pin-0000"), &pin("123456789")).unwrap();
    module
}

struct QuoteKey {
    private: PrivateDecryptingKey,
    modulus: [u8; 384],
}

fn quote_key() -> QuoteKey {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa3072).unwrap();
    let spki = AsDer::<PublicKeyX509Der<'_>>::as_der(&private.public_key()).unwrap().as_ref().to_vec();
    QuoteKey { private, modulus: spki[33..417].try_into().unwrap() }
}

const EXPONENT: [u8; 3] = [1, 0, 1];

fn ec(algorithm: &'static aws_lc_rs::signature::EcdsaSigningAlgorithm) -> Vec<u8> {
    EcdsaKeyPair::generate(algorithm).unwrap().to_pkcs8v1().unwrap().as_ref().to_vec()
}

fn rsa(size: KeySize) -> Vec<u8> {
    AsDer::<Pkcs8V1Der<'_>>::as_der(&RsaKeyPair::generate(size).unwrap()).unwrap().as_ref().to_vec()
}

/// Everything the logged-in user sees, session objects of all sessions included.
fn object_count(library: &Path) -> usize {
    let context = Pkcs11::new(library).unwrap();
    let slot = context.get_slots_with_initialized_token().unwrap()[0];
    let session = context.open_ro_session(slot).unwrap();
    session.find_objects(&[]).unwrap().len()
}

#[test]
fn wraps_every_kind_of_key_and_leaves_nothing() {
    with_softhsm("wraps_every_kind_of_key_and_leaves_nothing", "ALL", |library| {
        let module = module_with_token(library);
        let quote = quote_key();
        let token = module.login("SgxOperator", &pin("123456789")).unwrap();
        let open = |pkcs8: &[u8]| {
            let blob = token.wrap_for(&quote.modulus, &EXPONENT, pkcs8).unwrap();
            assert_eq!(object_count(library), 0, "objects were left in the token");
            let opened = tcs_keywrap::unwrap(&quote.private, &blob, WrapFormat::ALL).unwrap();
            assert_eq!(opened.format, WrapFormat::KmraV1);
            opened.pkcs8
        };
        for size in [KeySize::Rsa2048, KeySize::Rsa3072, KeySize::Rsa4096] {
            let pkcs8 = rsa(size);
            assert!(*open(&pkcs8) == pkcs8, "RSA, {} bytes of modulus", size.len());
        }
        for curve in [&P256, &P384, &P521] {
            let pkcs8 = ec(curve);
            let public =
                |pkcs8: &[u8]| EcdsaKeyPair::from_pkcs8(curve, pkcs8).unwrap().public_key().as_ref().to_vec();
            // The token makes its own PKCS#8, without the public key.
            assert_eq!(public(&open(&pkcs8)), public(&pkcs8), "{curve:?}");
        }
        // A scalar that begins with a zero byte keeps its length (RFC 5915 section 3).
        let scalar_at = 36;
        let short = std::iter::repeat_with(|| ec(&P256)).find(|pkcs8| pkcs8[scalar_at] == 0).unwrap();
        assert_eq!(short[scalar_at - 2..scalar_at], [4, 32], "the scalar is an OCTET STRING of 32 bytes");
        assert!(open(&short).ends_with(&short[scalar_at - 2..scalar_at + 32]));
    });
}

#[test]
fn refuses_a_wrong_pin_once_and_takes_the_right_one() {
    with_softhsm("refuses_a_wrong_pin_once_and_takes_the_right_one", "ALL", |library| {
        let module = module_with_token(library);
        let refused = module.login("SgxOperator", &pin("987654321")).err().unwrap();
        assert_eq!(refused.code(), "PinIncorrect");
        assert!(!format!("{refused} {refused:?}").contains("987654321"));
        let token = module.login("SgxOperator", &pin("123456789")).unwrap();
        // SoftHSM2 answers a second login without checking the PIN: that must not count as a success.
        let second = module.login("SgxOperator", &pin("987654321")).err().unwrap();
        assert_eq!(second.code(), "AlreadyLoggedIn");
        drop(token);
        assert_eq!(module.login("SgxOperator", &pin("987654321")).err().unwrap().code(), "PinIncorrect");
    });
}

#[test]
fn finds_tokens_by_label_only() {
    with_softhsm("finds_tokens_by_label_only", "ALL", |library| {
        let module = module_with_token(library);
        module.init_token("second", &pin("so-pin-0000"), &pin("11111111")).unwrap();
        let error = module.login("Sgxoperator", &pin("123456789")).err().unwrap();
        let Error::TokenNotFound { label, mut found } = error else { panic!("{error}") };
        found.sort();
        assert_eq!(
            (label.as_str(), found),
            ("Sgxoperator", vec!["SgxOperator".to_owned(), "second".to_owned()])
        );
        module.login("second", &pin("11111111")).unwrap();
        let again = module.init_token("second", &pin("so-pin-0000"), &pin("11111111")).err().unwrap();
        assert_eq!(again.code(), "TokenExists");
        let long = module.init_token(&"x".repeat(33), &pin("so-pin-0000"), &pin("11111111")).err().unwrap();
        assert_eq!(long.code(), "LabelInvalid");
    });
}

#[test]
fn refuses_keys_it_cannot_wrap_and_leaves_nothing() {
    with_softhsm("refuses_keys_it_cannot_wrap_and_leaves_nothing", "ALL", |library| {
        let module = module_with_token(library);
        let quote = quote_key();
        let token = module.login("SgxOperator", &pin("123456789")).unwrap();
        let refused = |pkcs8: &[u8]| {
            let error = token.wrap_for(&quote.modulus, &EXPONENT, pkcs8).err().unwrap();
            assert_eq!(object_count(library), 0, "objects were left in the token");
            (error.code(), error.to_string())
        };
        let ed25519 = Ed25519KeyPair::generate().unwrap().to_pkcs8v1().unwrap();
        let (code, text) = refused(ed25519.as_ref());
        assert_eq!(code, "PrivateKeyUnsupported");
        assert!(text.contains("Ed25519"), "{text}");

        let p256 = ec(&P256);
        for broken in [&p256[..p256.len() - 1], &[&p256[..], &[0]].concat(), b"", b"-----BEGIN"] {
            assert_eq!(refused(broken).0, "PrivateKeyMalformed");
        }
    });
}

#[test]
fn says_when_the_token_lacks_the_mechanism() {
    let mechanisms = "CKM_AES_KEY_GEN,CKM_AES_KEY_WRAP,CKM_RSA_PKCS_OAEP,CKM_RSA_PKCS";
    with_softhsm("says_when_the_token_lacks_the_mechanism", mechanisms, |library| {
        let module = module_with_token(library);
        let token = module.login("SgxOperator", &pin("123456789")).unwrap();
        let error = token.wrap_for(&quote_key().modulus, &EXPONENT, &ec(&P256)).err().unwrap();
        assert_eq!(error.code(), "TokenCannotWrap", "{error}");
        assert_eq!(object_count(library), 0, "objects were left in the token");
    });
}

#[test]
fn says_when_the_module_cannot_be_used() {
    with_softhsm("says_when_the_module_cannot_be_used", "ALL", |library| {
        let missing = Module::load(Path::new("/nonexistent/module.so")).err().unwrap();
        assert_eq!(missing.code(), "ModuleUnavailable");
        // Its token directory was removed, so C_Initialize fails.
        let conf = std::env::var_os("SOFTHSM2_CONF").unwrap();
        std::fs::remove_dir(Path::new(&conf).with_file_name("tokens")).unwrap();
        let error = Module::load(library).err().unwrap();
        assert_eq!(error.code(), "ModuleUnavailable");
        assert!(error.to_string().contains("C_Initialize"), "{error}");
    });
}
