//! `km-wrap`: the real program, keys made by openssl, tokens of a real SoftHSM2.

use aws_lc_rs::rsa::PrivateDecryptingKey;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tcs_keywrap::WrapFormat;
use tempfile::TempDir;

const PIN: &str = "123456789";
const WRONG_PIN: &str = "987654321";
const CHILD: &str = "TCS_KM_TEST_CHILD";
const LIBRARIES: [&str; 2] =
    ["/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so", "/usr/lib/softhsm/libsofthsm2.so"];

/// A folder with a quote key pair, as km-wrap sees it.
struct Bench {
    dir: TempDir,
    quote_key: PrivateDecryptingKey,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        openssl(dir.path(), "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out quote.key");
        openssl(dir.path(), "pkey -in quote.key -pubout -out quote.pem");
        openssl(dir.path(), "pkcs8 -topk8 -nocrypt -in quote.key -outform DER -out quote.der");
        let der = std::fs::read(dir.path().join("quote.der")).unwrap();
        Self { dir, quote_key: PrivateDecryptingKey::from_pkcs8(&der).unwrap() }
    }

    fn openssl(&self, args: &str) -> Vec<u8> {
        openssl(self.dir.path(), args)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.dir.path().join(name), text).unwrap();
    }

    /// Runs km-wrap with options split at blanks; standard input is not a terminal.
    fn run(&self, args: &str) -> Output {
        self.command(args).output().unwrap()
    }

    fn command(&self, args: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_km-wrap"));
        command
            .args(args.split_whitespace())
            .current_dir(self.dir.path())
            .env_remove("KM_WRAP_PIN")
            .stdin(Stdio::null());
        command
    }

    fn wrap(&self, args: &str) -> Vec<u8> {
        blob(&self.run(&format!("--pubkey quote.pem {args}")))
    }

    /// Opens a blob and checks that it holds the key of the file: the same public key by openssl's word.
    fn assert_opens(&self, blob: &[u8], format: WrapFormat, key_file: &str) {
        let opened = tcs_keywrap::unwrap(&self.quote_key, blob, WrapFormat::ALL).unwrap();
        assert_eq!(opened.format, format);
        std::fs::write(self.dir.path().join("opened.der"), &opened.pkcs8).unwrap();
        let wanted = self.openssl(&format!("pkey -in {key_file} -pubout -outform DER"));
        let opened = self.openssl("pkey -in opened.der -inform DER -pubout -outform DER");
        assert_eq!(opened, wanted, "{key_file}");
    }

    /// Runs km-wrap, which must refuse with this exit status and, in one line, this code.
    #[track_caller]
    fn assert_refused(&self, args: &str, status: i32, code: &str) -> String {
        refused(&self.run(args), status, code)
    }
}

fn openssl(dir: &Path, args: &str) -> Vec<u8> {
    let output = Command::new("openssl")
        .args(args.split_whitespace())
        .current_dir(dir)
        .output()
        .expect("openssl runs");
    assert!(output.status.success(), "openssl {args}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Exactly one line of standard base64 on standard output, and the name of the public key on standard error.
fn blob(output: &Output) -> Vec<u8> {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let named = "km-wrap: SHA-256 of the public key, not verified here: ";
    assert!(output.status.success() && stderr.starts_with(named) && stderr.lines().count() == 1, "{stderr}");
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let line = text.strip_suffix('\n').expect("a line");
    STANDARD.decode(line).expect("standard base64 in one line")
}

#[track_caller]
fn refused(output: &Output, status: i32, code: &str) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{text}");
    assert!(output.stdout.is_empty(), "nothing but a blob may stand on standard output");
    assert!(text.starts_with(&format!("km-wrap: error[{code}]: ")), "{text}");
    assert!(text.ends_with('\n') && text.lines().count() == 1 && text.contains("; "), "{text}");
    text
}

/// Runs `body` in a process of its own, whose `SOFTHSM2_CONF` names an empty token directory, with
/// a token `SgxOperator`. The folder of its token files is given along.
fn with_token(test: &str, body: impl FnOnce(&str, &Path)) {
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

/// Files of objects in the token, by the way SoftHSM2 stores them; `token.object` is the token itself.
fn stored_objects(tokens: &Path) -> Vec<PathBuf> {
    let of_token = |dir: PathBuf| std::fs::read_dir(dir).unwrap().map(|file| file.unwrap().path());
    let files: Vec<PathBuf> =
        std::fs::read_dir(tokens).unwrap().flat_map(|dir| of_token(dir.unwrap().path())).collect();
    assert!(files.iter().any(|file| file.ends_with("token.object")), "the token is not where it should be");
    files
        .into_iter()
        .filter(|file| file.extension().is_some_and(|e| e == "object") && !file.ends_with("token.object"))
        .collect()
}

/// Makes `<name>.key` for every kind of CA key and gives the names.
fn ca_keys(bench: &Bench) -> Vec<String> {
    let kinds = [
        ("rsa2048", "RSA -pkeyopt rsa_keygen_bits:2048"),
        ("rsa3072", "RSA -pkeyopt rsa_keygen_bits:3072"),
        ("rsa4096", "RSA -pkeyopt rsa_keygen_bits:4096"),
        ("p256", "EC -pkeyopt ec_paramgen_curve:P-256"),
        ("p384", "EC -pkeyopt ec_paramgen_curve:P-384"),
    ];
    let make = |(name, kind): &(&str, &str)| {
        bench.openssl(&format!("genpkey -algorithm {kind} -out {name}.key"));
        format!("{name}.key")
    };
    kinds.iter().map(make).collect()
}

#[test]
fn blobs_of_the_memory_path_open_for_every_ca_key() {
    let bench = Bench::new();
    for key in ca_keys(&bench) {
        for (option, format) in [
            ("", WrapFormat::KmraV1Sha256),
            ("--format kmra-v1-sha256", WrapFormat::KmraV1Sha256),
            ("--format kmra-v1", WrapFormat::KmraV1),
        ] {
            let blob = bench.wrap(&format!("--privkey {key} {option}"));
            bench.assert_opens(&blob, format, &key);
        }
    }
}

#[test]
fn blobs_of_a_token_open_for_every_ca_key_and_nothing_is_left_in_it() {
    let test = "wrap::blobs_of_a_token_open_for_every_ca_key_and_nothing_is_left_in_it";
    with_token(test, |library, tokens| {
        let bench = Bench::new();
        for key in ca_keys(&bench) {
            // The order of options in the original walk-through.
            let args = format!("--privkey {key} --pin {PIN} --token SgxOperator --module {library}");
            bench.assert_opens(&bench.wrap(&args), WrapFormat::KmraV1, &key);
            let args = format!(
                "--privkey {key} --pin {PIN} --token SgxOperator --module {library} --format kmra-v1"
            );
            bench.assert_opens(&bench.wrap(&args), WrapFormat::KmraV1, &key);
        }
        assert_eq!(stored_objects(tokens), Vec::<PathBuf>::new());
    });
}

#[test]
fn reads_what_openssl_writes() {
    let bench = Bench::new();
    bench.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key");
    bench.openssl("rsa -in rsa.key -traditional -out pkcs1.key");
    bench.openssl("ecparam -name secp384r1 -genkey -out with-parameters.key");
    bench.openssl("ecparam -name prime256v1 -genkey -noout -out sec1.key");
    bench.openssl("ecparam -name secp521r1 -genkey -noout -out p521.key");
    bench.openssl("genpkey -algorithm ED25519 -out ed25519.key");
    bench.openssl("req -x509 -key sec1.key -subj /CN=x -out cert.pem");
    let read = |name: &str| std::fs::read_to_string(bench.dir.path().join(name)).unwrap();
    assert!(read("pkcs1.key").contains("RSA PRIVATE KEY") && read("sec1.key").contains("EC PRIVATE KEY"));
    assert!(read("with-parameters.key").contains("BEGIN EC PARAMETERS"));
    bench.write("with-certificate.key", &(read("cert.pem") + &read("sec1.key")));
    bench.write("crlf.key", &read("rsa.key").replace('\n', "\r\n"));
    for key in [
        "pkcs1.key",
        "with-parameters.key",
        "sec1.key",
        "p521.key",
        "ed25519.key",
        "with-certificate.key",
        "crlf.key",
    ] {
        let blob = bench.wrap(&format!("--privkey {key}"));
        let same = if key == "with-certificate.key" { "sec1.key" } else { key };
        bench.assert_opens(&blob, WrapFormat::KmraV1Sha256, same);
    }
}

#[test]
fn refuses_what_is_not_a_usable_private_key() {
    let bench = Bench::new();
    bench.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key");
    bench.openssl("req -x509 -key p256.key -subj /CN=x -out cert.pem");
    bench.openssl("pkcs8 -topk8 -in p256.key -passout pass:secret -out encrypted.key");
    bench.openssl("pkey -in p256.key -traditional -aes128 -passout pass:secret -out legacy.key");
    bench.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa1024.key");
    bench.openssl("ecparam -name secp256k1 -genkey -noout -out k256.key");
    bench.openssl("genpkey -algorithm X25519 -out x25519.key");
    bench.openssl("pkey -in p256.key -outform DER -out key.der");
    let key = std::fs::read_to_string(bench.dir.path().join("p256.key")).unwrap();
    bench.write("two.key", &key.repeat(2));
    bench.write("cut.key", &key[..key.len() / 2]);
    bench.write("damaged.key", &key.replacen("MIG", "MIG!", 1));
    bench.write("label.key", &key.replace("PRIVATE KEY", "RSA PRIVATE KEY"));
    bench.write("long.key", &format!("{}{key}", "#\n".repeat(40_000)));
    bench.write("empty.key", "");
    for (file, code) in [
        ("cert.pem", "PrivateKeyMalformed"),
        ("quote.pem", "PrivateKeyMalformed"),
        ("two.key", "PrivateKeyMalformed"),
        ("cut.key", "PrivateKeyMalformed"),
        ("damaged.key", "PrivateKeyMalformed"),
        ("label.key", "PrivateKeyMalformed"),
        ("k256.key", "PrivateKeyMalformed"),
        ("empty.key", "PrivateKeyMalformed"),
        ("encrypted.key", "PrivateKeyEncrypted"),
        ("legacy.key", "PrivateKeyEncrypted"),
        ("rsa1024.key", "PrivateKeyUnsupported"),
        ("x25519.key", "PrivateKeyUnsupported"),
        // Text outside blocks may be of any encoding, so that a file without a block is just that.
        ("key.der", "PrivateKeyMalformed"),
        ("long.key", "PrivateKeyUnreadable"),
        ("missing.key", "PrivateKeyUnreadable"),
        (".", "PrivateKeyUnreadable"),
    ] {
        bench.assert_refused(&format!("--pubkey quote.pem --privkey {file}"), 7, code);
    }
    let text = bench.assert_refused("--pubkey quote.pem --privkey cert.pem", 7, "PrivateKeyMalformed");
    assert!(text.contains("CERTIFICATE"), "{text}");
}

#[test]
fn refuses_what_is_not_the_public_key_of_a_quote() {
    let bench = Bench::new();
    bench.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
    bench.openssl("pkey -in ca.key -pubout -out p256.pem");
    for bits in [1024, 2048, 4096] {
        bench.openssl(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out rsa.key"));
        bench.openssl(&format!("pkey -in rsa.key -pubout -out rsa{bits}.pem"));
    }
    bench.openssl("rsa -in quote.key -RSAPublicKey_out -out pkcs1.pem");
    bench.write("empty.pem", "");
    for (file, code) in [
        ("rsa1024.pem", "PublicKeyTooSmall"),
        ("rsa2048.pem", "PublicKeyTooSmall"),
        ("rsa4096.pem", "PublicKeyUnsupported"),
        ("p256.pem", "PublicKeyUnsupported"),
        ("pkcs1.pem", "PublicKeyMalformed"),
        ("ca.key", "PublicKeyMalformed"),
        ("empty.pem", "PublicKeyMalformed"),
        ("missing.pem", "PublicKeyUnreadable"),
    ] {
        bench.assert_refused(&format!("--pubkey {file} --privkey ca.key"), 7, code);
    }
}

/// The step after the verification is bound to the key that was verified, not to the name of a file.
#[test]
fn review_c1_another_key_than_the_one_named_is_refused() {
    let bench = Bench::new();
    bench.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
    bench.openssl("pkey -in quote.pem -pubin -outform DER -out spki.der");
    let digest = String::from_utf8(bench.openssl("dgst -sha256 -r spki.der")).unwrap();
    let digest = digest.split(' ').next().unwrap();
    let files = "--privkey ca.key --pubkey-sha256";
    bench.assert_opens(&bench.wrap(&format!("{files} {digest}")), WrapFormat::KmraV1Sha256, "ca.key");
    let upper = digest.to_uppercase();
    bench.assert_opens(&bench.wrap(&format!("{files} {upper}")), WrapFormat::KmraV1Sha256, "ca.key");
    let other = "0".repeat(64);
    let text = bench.assert_refused(&format!("--pubkey quote.pem {files} {other}"), 7, "PublicKeyUnexpected");
    assert!(text.contains(digest) && text.contains(&other), "{text}");
    for wrong in [&digest[1..], &format!("{digest}0"), "x", ""] {
        let output = bench.command(&format!("--pubkey quote.pem {files}")).arg(wrong).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{wrong}");
    }
}

#[test]
fn wrong_options_are_usage_errors() {
    let bench = Bench::new();
    let files = "--pubkey quote.pem --privkey quote.key";
    for args in [
        String::new(),
        "--pubkey quote.pem".to_owned(),
        format!("{files} --token SgxOperator"),
        format!("{files} --pin {PIN}"),
        format!("{files} --pin-file pin.txt"),
        format!("{files} --module /nonexistent.so"),
        format!("{files} --module /nonexistent.so --token t --pin {PIN} --pin-file pin.txt"),
        format!("{files} --format kmra-v2"),
        // Without a quote nothing would be verified, whatever else is given.
        format!("{files} --policy policy.toml"),
        format!("{files} --nonce {}", "00".repeat(32)),
        format!("{files} --collateral collateral.json"),
        format!("{files} --pccs-url https://localhost:8081"),
        format!("{files} --nonsense"),
    ] {
        let output = bench.run(&args);
        assert_eq!(output.status.code(), Some(2), "{args}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains(PIN), "{args}");
    }
    let args = format!("{files} --module /nonexistent.so --token t --format kmra-v1-sha256");
    let text = bench.assert_refused(&args, 2, "FormatNotInToken");
    assert!(text.contains("SHA-1"), "{text}");
}

#[test]
fn refusals_of_the_token_have_codes_of_their_own() {
    with_token("wrap::refusals_of_the_token_have_codes_of_their_own", |library, tokens| {
        let bench = Bench::new();
        bench.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
        bench.openssl("genpkey -algorithm ED25519 -out ed25519.key");
        let with = |key: &str, pin: &str, token: &str, module: &str| {
            format!("--pubkey quote.pem --privkey {key} {pin} --token {token} --module {module}")
        };
        let pin = &format!("--pin {PIN}");
        let args = with("ca.key", &format!("--pin {WRONG_PIN}"), "SgxOperator", library);
        bench.assert_refused(&args, 6, "PinIncorrect");
        let text = bench.assert_refused(&with("ca.key", pin, "Other", library), 6, "TokenNotFound");
        assert!(text.contains("\"Other\"") && text.contains("\"SgxOperator\""), "{text}");
        bench.assert_refused(&with("ca.key", "", "SgxOperator", library), 6, "PinMissing");
        let missing = with("ca.key", "--pin-file missing.txt", "SgxOperator", library);
        bench.assert_refused(&missing, 6, "PinUnreadable");
        bench.assert_refused(&with("ca.key", pin, "SgxOperator", "/nonexistent.so"), 6, "ModuleUnavailable");
        // A wrong PIN beside a faulty key: the key is checked first, so that no attempt is spent.
        let args = with("ed25519.key", &format!("--pin {WRONG_PIN}"), "SgxOperator", library);
        let text = bench.assert_refused(&args, 7, "PrivateKeyUnsupported");
        assert!(text.contains("Ed25519"), "{text}");
        bench.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key");
        bench.openssl("pkey -in rsa.key -pubout -out rsa2048.pem");
        let args = args.replace("quote.pem", "rsa2048.pem").replace("ed25519.key", "ca.key");
        bench.assert_refused(&args, 7, "PublicKeyTooSmall");
        let mut no_conf = bench.command(&with("ca.key", pin, "SgxOperator", library));
        no_conf.env("SOFTHSM2_CONF", "/nonexistent/softhsm2.conf");
        refused(&no_conf.output().unwrap(), 6, "ModuleUnavailable");
        assert_eq!(stored_objects(tokens), Vec::<PathBuf>::new());
    });
}

/// The original put PINs on command lines and into logs.
#[test]
fn w_s8_the_pin_needs_no_argument_and_is_never_printed() {
    with_token("wrap::w_s8_the_pin_needs_no_argument_and_is_never_printed", |library, _| {
        let bench = Bench::new();
        bench.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
        let args = format!("--pubkey quote.pem --privkey ca.key --token SgxOperator --module {library}");
        for (name, content) in
            [("plain", PIN.to_owned()), ("line", format!("{PIN}\n")), ("dos", format!("{PIN}\r\n"))]
        {
            bench.write(name, &content);
            let output = bench.run(&format!("{args} --pin-file {name}"));
            bench.assert_opens(&blob(&output), WrapFormat::KmraV1, "ca.key");
        }
        let output = bench.command(&args).env("KM_WRAP_PIN", PIN).output().unwrap();
        bench.assert_opens(&blob(&output), WrapFormat::KmraV1, "ca.key");
        // What is nearer to the user wins.
        let output = bench.command(&format!("{args} --pin-file line")).env("KM_WRAP_PIN", WRONG_PIN).output();
        bench.assert_opens(&blob(&output.unwrap()), WrapFormat::KmraV1, "ca.key");

        bench.write("wrong", WRONG_PIN);
        let by_file = bench.run(&format!("{args} --pin-file wrong"));
        let by_env = bench.command(&args).env("KM_WRAP_PIN", WRONG_PIN).output().unwrap();
        let by_option = bench.run(&format!("{args} --pin {WRONG_PIN}"));
        for output in [&by_file, &by_env, &by_option] {
            let text = refused(output, 6, "PinIncorrect");
            assert!(!text.contains(WRONG_PIN), "{text}");
        }
        let help = bench.command("--help").env("KM_WRAP_PIN", WRONG_PIN).output().unwrap();
        assert!(help.status.success() && !String::from_utf8(help.stdout).unwrap().contains(WRONG_PIN));
        refused(&bench.command(&args).env("KM_WRAP_PIN", "").output().unwrap(), 6, "PinMissing");
    });
}

/// While somebody is asked for the PIN there is no private key in memory yet, and no core file could hold it.
#[test]
fn a_process_that_waits_for_the_pin_leaves_no_core_file() {
    let bench = Bench::new();
    let made = Command::new("mkfifo").arg(bench.dir.path().join("pin")).status().unwrap();
    assert!(made.success());
    // There is no private key: it would be missed first, were it read before the PIN.
    let args = "--pubkey quote.pem --privkey absent.key --module /nonexistent.so --token t --pin-file pin";
    let mut child = bench.command(args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    // Opens when the other end is opened.
    let mut pin = std::fs::OpenOptions::new().write(true).open(bench.dir.path().join("pin")).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    std::io::Write::write_all(&mut pin, PIN.as_bytes()).unwrap();
    drop(pin);
    let mut stderr = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut stderr).unwrap();
    assert!(!child.wait().unwrap().success() && stderr.contains("error[PrivateKeyUnreadable]"), "{stderr}");
}
