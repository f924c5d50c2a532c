use crate::documents::section;
use crate::go::mutate::Resigned;
use crate::memory;
use crate::property::{asked, given};
use base64::Engine as _;
use proptest::prelude::*;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::Command;
use tcs_x509::{CertificateRequest, Error};
use tempfile::NamedTempFile;

/// Requests that Go accepts (mode raw) and that are refused here, either when they are read or when a
/// certificate is built, each with its code and the reason.
const STRICTER: &[(&str, &str, &str)] = &[
    ("14-key-rsa1024-sha256", "RequestKeyUnsupported", "an RSA key must have at least 2048 bits"),
    ("15-key-rsa2048-sha1", "RequestKeyUnsupported", "SHA-1"),
    ("17-key-p256-sha1", "RequestKeyUnsupported", "SHA-1"),
    (
        "30-ext-bc-ca-true",
        "RequestForCa",
        "a CA certificate must be requested outside the PKCS#10 request, where policies see it",
    ),
    ("50-subj-empty-set", "RequestMalformed", "RFC 5280: a set has at least one attribute"),
    ("51-subj-nul-in-cn", "IdentityForbidden", "programs read a name with a NUL differently"),
    ("82-huge-20000-dns", "IdentityForbidden", "at most 1000 names"),
    ("87-san-dns-nul", "IdentityForbidden", "NUL in a name"),
    ("91-san-uri-relative", "IdentityForbidden", "RFC 5280: a URI is absolute"),
    ("96-san-empty-seq", "IdentityForbidden", "RFC 5280: at least one name"),
];

fn folder() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/csr")
}

/// The PEM body. The form of the PEM text is not checked, because the controller decodes PEM.
fn der(pem: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(pem).into_owned();
    let begin = text.find("-----BEGIN CERTIFICATE REQUEST-----")?;
    let body = text.get(begin..)?.lines().skip(1);
    let body: String =
        body.take_while(|line| !line.starts_with("-----END")).filter(|line| !line.contains(':')).collect();
    let dense: String = body.chars().filter(|c| !c.is_whitespace()).collect();
    base64::engine::general_purpose::STANDARD.decode(dense).ok()
}

fn verdicts() -> Vec<(String, Value)> {
    let all: Vec<Value> =
        serde_json::from_slice(&std::fs::read(folder().join("verdicts.json")).unwrap()).unwrap();
    all.into_iter().map(|v| (v["file"].as_str().unwrap().trim_end_matches(".pem").to_owned(), v)).collect()
}

/// The requests whose PEM body can be read, DER, and whether Go accepts them (mode raw).
pub fn requests() -> impl Iterator<Item = (String, Vec<u8>, bool)> {
    verdicts().into_iter().filter(|(name, _)| !PEM_FORM.contains(&name.as_str())).filter_map(
        |(name, verdict)| {
            let pem = std::fs::read(folder().join(format!("{name}.pem"))).unwrap();
            Some((name, der(&pem)?, verdict["cert_manager_1_14_raw"]["ok"].as_bool().unwrap()))
        },
    )
}

/// Cases about the PEM form alone: the controller decodes PEM, so they are not checked here.
const PEM_FORM: &[&str] = &[
    "99-pem-new-label",
    "100-pem-cert-label",
    "101-pem-leading-text",
    "103-pem-two-blocks",
    "104-pem-other-block-first",
    "105-pem-headers",
    "106-pem-one-line",
    "108-pem-indented",
    "109-pem-trailing-ws",
    "110-pem-no-final-newline",
    "113-pem-binary-der",
    "114-pem-mismatched-end",
    "115-pem-utf8-bom",
    "116-pem-bad-b64",
];

#[test]
fn a17_x02_nothing_that_go_refuses_is_accepted() {
    let stricter: BTreeMap<&str, &str> = STRICTER.iter().map(|(name, code, _)| (*name, *code)).collect();
    let ca = crate::ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let issued =
        |request: &CertificateRequest| crate::issued(&ca, request, None).map(drop).map_err(Error::code);
    let mut wrong = Vec::new();
    let all = verdicts();
    assert_eq!(all.len(), 87);
    for listed in PEM_FORM.iter().chain(stricter.keys()) {
        assert!(all.iter().any(|(name, _)| name == listed), "{listed}");
    }
    for (name, verdict) in &all {
        if PEM_FORM.contains(&name.as_str()) {
            continue;
        }
        let pem = std::fs::read(folder().join(format!("{name}.pem"))).unwrap();
        let parsed = der(&pem).ok_or("no DER");
        let parsed = parsed.and_then(|der| CertificateRequest::from_der(&der).map_err(Error::code));
        let go = verdict["cert_manager_1_14_raw"]["ok"].as_bool().unwrap();
        // What Go refuses cannot be read. What it accepts becomes a certificate.
        let ours = parsed.and_then(|request| if go { issued(&request) } else { Ok(()) });
        match (ours, go, stricter.get(name.as_str())) {
            (Ok(()), true, None) | (Err(_), false, None) => {}
            (Err(code), true, Some(expected)) if code == *expected => {}
            (ours, ..) => wrong.push(format!("{name}: Go {go}, ours {ours:?}")),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// `cargo xtask generate` writes the table, and every other run compares it.
#[test]
fn the_table_of_stricter_refusals_is_that_of_the_code() {
    let mut table = String::from("| Request | Code | Why |\n|---|---|---|\n");
    for (name, code, why) in STRICTER {
        writeln!(table, "| {name} | `{code}` | {why} |").unwrap();
    }
    section("requests.md", "stricter", &table);
}

#[test]
fn a17_subject_and_sans_are_the_requests_bytes() {
    let ca = crate::ca(&rcgen::PKCS_ECDSA_P256_SHA256);
    let (mut read, mut issued) = (0, 0);
    for (name, der, _) in requests() {
        let Ok(request) = CertificateRequest::from_der(&der) else { continue };
        read += 1;
        let asked = asked(&der);
        assert_eq!((request.subject_raw(), request.spki_raw()), (asked.subject, asked.key), "{name}");
        assert_eq!(request.san_raw(), asked.names, "{name}");
        let Ok(leaf) = crate::issued(&ca, &request, None) else { continue };
        issued += 1;
        assert_eq!(given(&leaf.der), asked, "{name}");
    }
    // One of them is a request for a CA certificate.
    assert!(read > 30 && issued == read - 1, "{read} {issued}");
}

/// A key that openssl makes with these options.
pub fn openssl_key(options: &[&str]) -> NamedTempFile {
    let file = NamedTempFile::new().unwrap();
    let mut genpkey = Command::new("openssl");
    let made = genpkey.arg("genpkey").args(options).arg("-out").arg(file.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    file
}

/// The code of the refusal of a request that openssl signs with this key and these options.
pub fn openssl_request(key: &NamedTempFile, sign: &[&str]) -> Option<&'static str> {
    let out = NamedTempFile::new().unwrap();
    let mut request = Command::new("openssl");
    request.args(["req", "-new", "-subj", "/CN=x", "-outform", "DER"]).args(sign);
    let made = request.arg("-key").arg(key.path()).arg("-out").arg(out.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    CertificateRequest::from_der(&std::fs::read(out.path()).unwrap()).err().map(Error::code)
}

#[test]
fn keys_and_signatures_outside_the_list_are_refused() {
    const UNSUPPORTED: Option<&str> = Some("RequestKeyUnsupported");
    let rsa = openssl_key(&["-algorithm", "RSA"]);
    let pss = |salt: &str, mask: &str| {
        let (salt, mask) = (format!("rsa_pss_saltlen:{salt}"), format!("rsa_mgf1_md:{mask}"));
        let options = ["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", &salt, "-sigopt", &mask];
        openssl_request(&rsa, &options)
    };
    assert_eq!(pss("32", "sha256"), None);
    for salt in ["20", "48"] {
        assert_eq!(pss(salt, "sha256"), UNSUPPORTED, "{salt}; 20 is the default, so it is left out");
    }
    assert_eq!(pss("32", "sha384"), UNSUPPORTED, "another hash in the mask");
    assert_eq!(openssl_request(&rsa, &["-sha512"]), None);
    assert_eq!(openssl_request(&rsa, &["-md5"]), UNSUPPORTED);
    assert_eq!(openssl_request(&rsa, &["-sha224"]), UNSUPPORTED);
    let small_exponent = openssl_key(&["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_pubexp:3"]);
    assert_eq!(openssl_request(&small_exponent, &["-sha256"]), UNSUPPORTED);
    let ec = |curve: &str, hash: &str| {
        let curve = format!("ec_paramgen_curve:{curve}");
        openssl_request(&openssl_key(&["-algorithm", "EC", "-pkeyopt", &curve]), &[hash])
    };
    for curve in ["P-256", "P-384", "P-521"] {
        for hash in ["-sha256", "-sha384", "-sha512"] {
            assert_eq!(ec(curve, hash), None, "{curve} {hash}");
        }
    }
    assert_eq!(ec("secp224r1", "-sha256"), UNSUPPORTED);
    assert_eq!(ec("secp256k1", "-sha256"), UNSUPPORTED);
    assert_eq!(ec("P-256", "-sha1"), UNSUPPORTED);
    assert_eq!(openssl_request(&openssl_key(&["-algorithm", "ED448"]), &[]), UNSUPPORTED);
}

/// Whoever reads only the first block would miss the second.
#[test]
fn an_extension_requested_in_two_attributes_is_refused_as_go_refuses_it() {
    let resigned = Resigned::new();
    let plain = memory::subject(&memory::common_name(b"x"));
    let (one, other) = (memory::names(b"\x82\x01a"), memory::names(b"\x82\x01b"));
    let unknown = memory::extensions(b"\x30\x07\x06\x03\x2a\x03\x04\x04\x00");
    let requests = [[&one, &unknown], [&one, &other], [&one, &one], [&unknown, &unknown]]
        .map(|two| resigned.request(&plain, &two.map(Vec::as_slice).concat()));
    let codes = requests.each_ref().map(|der| CertificateRequest::from_der(der).err().map(Error::code));
    let malformed = Some("RequestMalformed");
    assert_eq!(codes, [None, malformed, malformed, malformed]);
    assert_eq!(crate::go::verdicts(b'R', &requests), [true, false, false, false]);
}

proptest! {
    #[test]
    fn mutated_requests_never_panic_and_never_verify(at in any::<prop::sample::Index>(), to in any::<u8>(), cut in 0usize..40) {
        let pem = std::fs::read(folder().join("19-san-all-kinds.pem")).unwrap();
        let good = der(&pem).unwrap();
        let mut bytes = good.clone();
        let at = at.index(bytes.len());
        bytes[at] = to;
        bytes.truncate(good.len() - cut.min(good.len()));
        if bytes != good {
            // The signature covers everything that is copied.
            if let Ok(request) = CertificateRequest::from_der(&bytes) {
                let original = CertificateRequest::from_der(&good).unwrap();
                prop_assert_eq!(request.subject_raw(), original.subject_raw());
                prop_assert_eq!(request.san_raw(), original.san_raw());
                prop_assert_eq!(request.spki_raw(), original.spki_raw());
            }
        }
    }

    #[test]
    fn garbage_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = CertificateRequest::from_der(&bytes);
        let _ = tcs_x509::CaCertificate::from_der(&bytes);
    }
}
