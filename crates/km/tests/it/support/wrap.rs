//! A directory with the keys that `km-wrap` reads, and tokens of SoftHSM2.

use super::programs::{km_wrap, openssl};
use aws_lc_rs::rsa::PrivateDecryptingKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tcs_keywrap::WrapFormat;
use tempfile::TempDir;

pub const PIN: &str = "123456789";
pub const WRONG_PIN: &str = "987654321";
pub const CHILD: &str = "TCS_KM_TEST_CHILD";
pub const LIBRARIES: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/softhsm/libsofthsm2.so"];

/// A directory with a quote key pair, as km-wrap sees it.
pub struct Fixture {
    pub dir: TempDir,
    quote_key: PrivateDecryptingKey,
}

impl Fixture {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        openssl(dir.path(), "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out quote.key");
        openssl(dir.path(), "pkey -in quote.key -pubout -out quote.pem");
        openssl(dir.path(), "pkcs8 -topk8 -nocrypt -in quote.key -outform DER -out quote.der");
        let der = std::fs::read(dir.path().join("quote.der")).unwrap();
        Self { dir, quote_key: PrivateDecryptingKey::from_pkcs8(&der).unwrap() }
    }

    pub fn openssl(&self, args: &str) -> Vec<u8> {
        openssl(self.dir.path(), args)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// Runs km-wrap with options split at blanks; standard input is not a terminal.
    pub fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    pub fn command(&self, args: &str) -> Command {
        let mut command = km_wrap();
        command.args(args.split_whitespace()).current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    pub fn wrap(&self, args: &str) -> Vec<u8> {
        blob(&self.run(&format!("--pubkey quote.pem {args}")))
    }

    /// Opens a blob and checks that it contains the key of the file: openssl finds the same public key in
    /// both.
    pub fn assert_opens(&self, blob: &[u8], format: WrapFormat, key_file: &str) {
        let opened = tcs_keywrap::unwrap(&self.quote_key, blob, WrapFormat::ALL).unwrap();
        assert_eq!(opened.format, format);
        std::fs::write(self.dir.path().join("opened.der"), &opened.pkcs8).unwrap();
        let wanted = self.openssl(&format!("pkey -in {key_file} -pubout -outform DER"));
        let opened = self.openssl("pkey -in opened.der -inform DER -pubout -outform DER");
        assert_eq!(opened, wanted, "{key_file}");
    }

    /// Runs km-wrap, which must refuse with this exit status and, in one line, this code.
    #[track_caller]
    pub fn assert_refused(&self, args: &str, status: i32, code: &str) -> String {
        refused(&self.run(args), status, code)
    }
}

/// Exactly one line of standard base64 on standard output, and the name of the public key on standard error.
pub fn blob(output: &Output) -> Vec<u8> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let named = "km-wrap: SHA-256 of the public key, not verified here: ";
    assert!(output.status.success() && stderr.starts_with(named) && stderr.lines().count() == 1, "{stderr}");
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let line = text.strip_suffix('\n').expect("a line");
    STANDARD.decode(line).expect("standard base64 in one line")
}

#[track_caller]
pub fn refused(output: &Output, status: i32, code: &str) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert!(output.stdout.is_empty(), "nothing but a blob may stand on standard output");
    assert!(text.starts_with(&format!("km-wrap: error[{code}]: ")), "{text}");
    assert!(text.ends_with('\n') && text.lines().count() == 1 && text.contains("; "), "{text}");
    text
}

/// Runs `body` in a process of its own, whose `SOFTHSM2_CONF` names an empty token directory, with a token
/// `SgxOperator`. `body` gets the directory of the token's files.
pub fn with_token(test: &str, body: impl FnOnce(&str, &Path)) {
    let Some(library) = LIBRARIES.iter().find(|path| Path::new(path).exists()) else {
        assert!(std::env::var_os("TCS_REQUIRE_SOFTHSM").is_none_or(|v| v != "1"), "SoftHSM2 is missing");
        eprintln!("not run: {test}: SoftHSM2 is not installed (apt-get install softhsm2)");
        return;
    };
    if let Some(tokens) = std::env::var_os(CHILD) {
        let module = tcs_pkcs11::Module::load(library.as_ref()).unwrap();
        module.init_token("SgxOperator", &"so-pin-0000".to_owned().into(), &PIN.to_owned().into()).unwrap();
        return body(library, &PathBuf::from(tokens));
    }
    let dir = tempfile::tempdir().unwrap();
    let tokens = dir.path().join("tokens");
    std::fs::create_dir(&tokens).unwrap();
    let conf = dir.path().join("softhsm2.conf");
    std::fs::write(&conf, format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display()))
        .unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, &tokens)
        .env("SOFTHSM2_CONF", &conf)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

/// The files of objects in the token, as SoftHSM2 stores them; `token.object` is the token itself.
pub fn stored_objects(tokens: &Path) -> Vec<PathBuf> {
    let of_token = |dir: PathBuf| std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let files: Vec<PathBuf> =
        std::fs::read_dir(tokens).unwrap().flat_map(|dir| of_token(dir.unwrap().path())).collect();
    assert!(files.iter().any(|file| file.ends_with("token.object")), "the token is not where it should be");
    files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|e| e == "object") && !file.ends_with("token.object"))
        .collect()
}

/// Makes `<name>.key` for every kind of CA key and returns the names.
pub fn ca_keys(fixture: &Fixture) -> Vec<String> {
    let kinds = [
        ("rsa2048", "RSA -pkeyopt rsa_keygen_bits:2048"),
        ("rsa3072", "RSA -pkeyopt rsa_keygen_bits:3072"),
        ("rsa4096", "RSA -pkeyopt rsa_keygen_bits:4096"),
        ("p256", "EC -pkeyopt ec_paramgen_curve:P-256"),
        ("p384", "EC -pkeyopt ec_paramgen_curve:P-384"),
    ];
    let make = |(name, kind): &(&str, &str)| {
        fixture.openssl(&format!("genpkey -algorithm {kind} -out {name}.key"));
        format!("{name}.key")
    };
    kinds.iter().map(make).collect()
}
