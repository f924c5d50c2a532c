//! Both tools read the same key from the same file, or refuse the file.

use crate::support::programs::{km_attest, km_wrap, openssl};
use std::path::Path;
use std::process::{Command, Output};
use tempfile::TempDir;

struct Fixture(TempDir);

impl Fixture {
    fn new() -> Self {
        let fixture = Self(tempfile::tempdir().unwrap());
        fixture.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
        std::fs::write(fixture.path().join("policy.toml"), "").unwrap();
        fixture
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn openssl(&self, arguments: &str) -> Vec<u8> {
        openssl(self.path(), arguments)
    }

    /// A public key in PEM, made with these options of `openssl genpkey`.
    fn key(&self, options: &str) -> String {
        self.openssl(&format!("genpkey -out made.key {options}"));
        String::from_utf8(self.openssl("pkey -in made.key -pubout")).unwrap()
    }

    fn tool(&self, mut program: Command, more: &[&str]) -> Output {
        program.args(["--pubkey", "key.pem"]).args(more).current_dir(self.path()).output().unwrap()
    }

    /// SHA-256 of the key that each tool uses; `None` if it refuses the file.
    fn readings(&self, text: &[u8]) -> [Option<String>; 2] {
        std::fs::write(self.path().join("key.pem"), text).unwrap();
        // The quote need not be accepted: the report shows the key that was read.
        std::fs::write(self.path().join("quote"), [3, 0]).unwrap();
        let attest = self.tool(km_attest(), &["--quote", "quote", "--policy", "policy.toml", "--json"]);
        let report: serde_json::Value = serde_json::from_slice(&attest.stdout).unwrap();
        let attested = report["publicKeyReadSha256"].as_str().map(str::to_owned);
        assert!(report["publicKeySha256"].is_null(), "nothing was verified: {report:#}");
        let code = report["error"]["code"].as_str().unwrap();
        assert_eq!(attested.is_none(), code.starts_with("PublicKey"), "{report:#}");

        let wrap = self.tool(km_wrap(), &["--privkey", "ca.key"]);
        let stderr = String::from_utf8(wrap.stderr).unwrap();
        let wrapped = wrap.status.success().then(|| stderr.trim_end().rsplit(' ').next().unwrap().to_owned());
        assert!(wrapped.is_some() || stderr.contains("error[PublicKey"), "{stderr}");
        [attested, wrapped]
    }
}

/// The texts of an attacker who wants one of two keys to be verified and the other one to be used.
fn texts(one: &str, two: &str) -> Vec<String> {
    let long = "x".repeat(254);
    vec![
        format!("x{one}x-----BEGIN ZZ-----\n{two}"),
        format!("x{one}{two}"),
        format!("{one}x{two}"),
        format!("{one}{two}"),
        format!("{one}\n\n{two}"),
        format!(" {one}{two}"),
        format!("\t{one}{two}"),
        format!("\u{feff}{one}{two}"),
        format!("\u{feff}x{one}{two}"),
        format!("\n\u{feff}{one}{two}"),
        format!("text\r{one}{two}"),
        format!("text\0{one}{two}"),
        format!("\0{one}{two}"),
        format!("\u{b}{one}{two}"),
        format!("\u{a0}{one}{two}"),
        format!("{long}{one}{two}"),
        format!("-----BEGIN ZZ-----\n{one}{two}"),
        format!("-----BEGIN ZZ-----\n{one}-----END ZZ-----\n{two}"),
        format!("-----BEGIN PUBLIC KEY-----\n{one}-----END PUBLIC KEY-----\n{two}"),
        format!("-----END PUBLIC KEY-----\n{one}{two}"),
        format!("-----BEGIN PUBLIC KEY-----\n\n-----END PUBLIC KEY-----\n{one}{two}"),
        format!("{}{two}", one.replace("-----END PUBLIC KEY-----", "")),
        format!("{}{two}", one.replace("END PUBLIC", "END RSA PUBLIC")),
        format!("{}{two}", one.replacen("-----\n", "-----x\n", 1)),
        format!("{}{two}", one.replacen("-----\n", "-----\u{b}\n", 1)),
        format!("{}{two}", one.replacen("-----\n", "------\n", 1)),
        format!("{}{two}", one.replacen("-----\n", "-----\nComment: x\n\n", 1)),
        format!("{}{two}", one.replace("BEGIN ", "BEGIN  ")),
        format!("{}{two}", one.replace("PUBLIC KEY", "PUBLIC  KEY")),
        format!("{}{two}", one.replace("PUBLIC KEY", "RSA PUBLIC KEY")),
        format!("{}{two}", one.replace('\n', "\r")),
        format!("{}{two}", one.replacen("MI", "M\0I", 1)),
        format!("{}{two}", one.replacen("MI", "!!", 1)),
        format!("{}{two}", one.replace("-----END", "=====\n-----END")),
        format!("{}{two}", one.replace("-----END", "x-----END")),
        format!("{}{two}", one.trim_end()),
    ]
}

#[test]
fn review_c1_both_tools_read_the_same_key_or_refuse() {
    let fixture = Fixture::new();
    let rsa = "-algorithm RSA -pkeyopt rsa_keygen_bits:3072";
    let (genuine, attackers) = (fixture.key(rsa), fixture.key(rsa));
    for (one, two) in [(&genuine, &attackers), (&attackers, &genuine)] {
        for text in texts(one, two) {
            assert_eq!(fixture.readings(text.as_bytes()), [None, None], "{text:?}");
        }
    }
    let digest = |text: &str| {
        std::fs::write(fixture.path().join("only.pem"), text).unwrap();
        fixture.openssl("pkey -pubin -in only.pem -outform DER -out only.der");
        let line = String::from_utf8(fixture.openssl("dgst -sha256 -r only.der")).unwrap();
        line.split(' ').next().unwrap().to_owned()
    };
    let found = Some(digest(&genuine));
    for text in [
        genuine.clone(),
        format!("\u{feff}{genuine}"),
        format!("text before\n{genuine}text behind\n"),
        genuine.replace('\n', "\r\n"),
        genuine.replace('\n', " \t\n"),
        genuine.trim_end().to_owned(),
    ] {
        assert_eq!(fixture.readings(text.as_bytes()), [found.clone(), found.clone()], "{text:?}");
    }
    let text = [b"\xe9\xff\n", genuine.as_bytes()].concat();
    assert_eq!(fixture.readings(&text), [found.clone(), found]);
}

#[test]
fn review_c1_review_m1_other_keys_are_refused_by_both_tools() {
    let fixture = Fixture::new();
    let rsa = "-algorithm RSA -pkeyopt rsa_keygen_bits:3072";
    for options in [
        "-algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        "-algorithm ED25519",
        "-algorithm X25519",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:1024",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:2048",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:3071",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:3080",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:4096",
        "-algorithm RSA -pkeyopt rsa_keygen_bits:3072 -pkeyopt rsa_keygen_pubexp:3",
        "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:3072",
    ] {
        assert_eq!(fixture.readings(fixture.key(options).as_bytes()), [None, None], "{options}");
    }
    // Bytes after the key in each of its layers, and a length that is written longer than necessary.
    let pem = fixture.key(rsa);
    let der = tcs_pem::one(pem.as_bytes(), "PUBLIC KEY").unwrap();
    let behind = [der.as_slice(), &[0]].concat();
    let mut inside = behind.clone();
    inside[3] += 1;
    let mut deeper = inside.clone();
    deeper[22] += 1;
    let mut deepest = deeper.clone();
    deepest[27] += 1;
    let longer = [&[0x30, 0x83, 0], &der[2..]].concat();
    for der in [behind, inside, deeper, deepest, longer] {
        let text = tcs_pem::encode("PUBLIC KEY", &der);
        assert_eq!(fixture.readings(text.as_bytes()), [None, None], "{text}");
    }
}
