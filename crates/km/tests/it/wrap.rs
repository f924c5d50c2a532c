//! `km-wrap` in memory: the real program, keys made by openssl.

use crate::support::wrap::{Fixture, PIN, ca_keys};
use std::process::{Command, Stdio};
use tcs_keywrap::WrapFormat;

#[test]
fn blobs_of_the_memory_path_open_for_every_ca_key() {
    let fixture = Fixture::new();
    for key in ca_keys(&fixture) {
        for (option, format) in [
            ("", WrapFormat::KmraV1Sha256),
            ("--format kmra-v1-sha256", WrapFormat::KmraV1Sha256),
            ("--format kmra-v1", WrapFormat::KmraV1),
        ] {
            let blob = fixture.wrap(&format!("--privkey {key} {option}"));
            fixture.assert_opens(&blob, format, &key);
        }
    }
}

#[test]
fn reads_what_openssl_writes() {
    let fixture = Fixture::new();
    fixture.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out rsa.key");
    fixture.openssl("rsa -in rsa.key -traditional -out pkcs1.key");
    fixture.openssl("ecparam -name secp384r1 -genkey -out with-parameters.key");
    fixture.openssl("ecparam -name prime256v1 -genkey -noout -out sec1.key");
    fixture.openssl("ecparam -name secp521r1 -genkey -noout -out p521.key");
    fixture.openssl("genpkey -algorithm ED25519 -out ed25519.key");
    fixture.openssl("req -x509 -key sec1.key -subj /CN=x -out cert.pem");
    let read = |name: &str| std::fs::read_to_string(fixture.dir.path().join(name)).unwrap();
    assert!(read("pkcs1.key").contains("RSA PRIVATE KEY") && read("sec1.key").contains("EC PRIVATE KEY"));
    assert!(read("with-parameters.key").contains("BEGIN EC PARAMETERS"));
    fixture.write("with-certificate.key", &(read("cert.pem") + &read("sec1.key")));
    fixture.write("crlf.key", &read("rsa.key").replace('\n', "\r\n"));
    for key in [
        "pkcs1.key",
        "with-parameters.key",
        "sec1.key",
        "p521.key",
        "ed25519.key",
        "with-certificate.key",
        "crlf.key",
    ] {
        let blob = fixture.wrap(&format!("--privkey {key}"));
        let same = if key == "with-certificate.key" { "sec1.key" } else { key };
        fixture.assert_opens(&blob, WrapFormat::KmraV1Sha256, same);
    }
}

#[test]
fn refuses_what_is_not_a_usable_private_key() {
    let fixture = Fixture::new();
    fixture.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out p256.key");
    fixture.openssl("req -x509 -key p256.key -subj /CN=x -out cert.pem");
    fixture.openssl("pkcs8 -topk8 -in p256.key -passout pass:secret -out encrypted.key");
    fixture.openssl("pkey -in p256.key -traditional -aes128 -passout pass:secret -out legacy.key");
    fixture.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out rsa1024.key");
    fixture.openssl("ecparam -name secp256k1 -genkey -noout -out k256.key");
    fixture.openssl("genpkey -algorithm X25519 -out x25519.key");
    fixture.openssl("pkey -in p256.key -outform DER -out key.der");
    let key = std::fs::read_to_string(fixture.dir.path().join("p256.key")).unwrap();
    fixture.write("two.key", &key.repeat(2));
    fixture.write("cut.key", &key[..key.len() / 2]);
    fixture.write("damaged.key", &key.replacen("MIG", "MIG!", 1));
    fixture.write("label.key", &key.replace("PRIVATE KEY", "RSA PRIVATE KEY"));
    fixture.write("long.key", &format!("{}{key}", "#\n".repeat(40_000)));
    fixture.write("empty.key", "");
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
        // Text outside blocks may have any encoding, so a file without a block is reported as just that.
        ("key.der", "PrivateKeyMalformed"),
        ("long.key", "PrivateKeyUnreadable"),
        ("missing.key", "PrivateKeyUnreadable"),
        (".", "PrivateKeyUnreadable"),
    ] {
        fixture.assert_refused(&format!("--pubkey quote.pem --privkey {file}"), 7, code);
    }
    let text = fixture.assert_refused("--pubkey quote.pem --privkey cert.pem", 7, "PrivateKeyMalformed");
    assert!(text.contains("CERTIFICATE"), "{text}");
}

#[test]
fn refuses_what_is_not_the_public_key_of_a_quote() {
    let fixture = Fixture::new();
    fixture.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
    fixture.openssl("pkey -in ca.key -pubout -out p256.pem");
    for bits in [1024, 2048, 4096] {
        fixture.openssl(&format!("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{bits} -out rsa.key"));
        fixture.openssl(&format!("pkey -in rsa.key -pubout -out rsa{bits}.pem"));
    }
    fixture.openssl("rsa -in quote.key -RSAPublicKey_out -out pkcs1.pem");
    fixture.write("empty.pem", "");
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
        fixture.assert_refused(&format!("--pubkey {file} --privkey ca.key"), 7, code);
    }
}

/// The step after the verification uses the key that was verified, not whatever the file now contains.
#[test]
fn review_c1_another_key_than_the_one_named_is_refused() {
    let fixture = Fixture::new();
    fixture.openssl("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
    fixture.openssl("pkey -in quote.pem -pubin -outform DER -out spki.der");
    let digest = String::from_utf8(fixture.openssl("dgst -sha256 -r spki.der")).unwrap();
    let digest = digest.split(' ').next().unwrap();
    let files = "--privkey ca.key --pubkey-sha256";
    fixture.assert_opens(&fixture.wrap(&format!("{files} {digest}")), WrapFormat::KmraV1Sha256, "ca.key");
    let upper = digest.to_uppercase();
    fixture.assert_opens(&fixture.wrap(&format!("{files} {upper}")), WrapFormat::KmraV1Sha256, "ca.key");
    let other = "0".repeat(64);
    let text =
        fixture.assert_refused(&format!("--pubkey quote.pem {files} {other}"), 7, "PublicKeyUnexpected");
    assert!(text.contains(digest) && text.contains(&other), "{text}");
    for wrong in [&digest[1..], &format!("{digest}0"), "x", ""] {
        let output = fixture.command(&format!("--pubkey quote.pem {files}")).arg(wrong).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{wrong}");
    }
}

#[test]
fn wrong_options_are_usage_errors() {
    let fixture = Fixture::new();
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
        // Without a quote nothing would be verified, whatever other options are given.
        format!("{files} --policy policy.toml"),
        format!("{files} --nonce {}", "00".repeat(32)),
        format!("{files} --collateral collateral.json"),
        format!("{files} --pccs-url https://localhost:8081"),
        format!("{files} --nonsense"),
    ] {
        let output = fixture.run(&args);
        assert_eq!(output.status.code(), Some(2), "{args}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{args}");
        assert!(!String::from_utf8_lossy(&output.stderr).contains(PIN), "{args}");
    }
    let args = format!("{files} --module /nonexistent.so --token t --format kmra-v1-sha256");
    let text = fixture.assert_refused(&args, 2, "FormatNotInToken");
    assert!(text.contains("SHA-1"), "{text}");
}

/// While the user is prompted for the PIN, no private key is in memory yet, so a core file cannot contain
/// one.
#[test]
fn a_process_that_waits_for_the_pin_leaves_no_core_file() {
    let fixture = Fixture::new();
    let made = Command::new("mkfifo").arg(fixture.dir.path().join("pin")).status().unwrap();
    assert!(made.success());
    // There is no private key. If it were read before the PIN, that would be reported first.
    let args = "--pubkey quote.pem --privkey absent.key --module /nonexistent.so --token t --pin-file pin";
    let mut child = fixture.command(args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    // Opens as soon as the other end is opened.
    let mut pin = std::fs::OpenOptions::new().write(true).open(fixture.dir.path().join("pin")).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
    std::io::Write::write_all(&mut pin, PIN.as_bytes()).unwrap();
    drop(pin);
    let mut stderr = String::new();
    std::io::Read::read_to_string(child.stderr.as_mut().unwrap(), &mut stderr).unwrap();
    assert!(!child.wait().unwrap().success() && stderr.contains("error[PrivateKeyUnreadable]"), "{stderr}");
}

/// Text around the block may have any encoding: that of an alias of keytool, UTF-16, or none. openssl decides
/// the texts without zero bytes, which end its lines.
#[test]
fn case_p14_text_around_a_private_key_has_any_encoding() {
    let fixture = Fixture::new();
    let key = include_bytes!("../data/key/keytool.key");
    let begin = key.windows(11).position(|window| window == b"-----BEGIN ").unwrap();
    let block = &key[begin..];
    std::fs::write(fixture.dir.path().join("block.key"), block).unwrap();
    let utf16: Vec<u8> = "ca müller\n".encode_utf16().flat_map(u16::to_le_bytes).chain(*b"\n").collect();
    for (before, after) in [
        (&key[..begin], &b""[..]),
        (b"friendlyName: m\xfcller\n", b"\xfc"),
        (b"\xff\xfe\x80\n", b"\x80\xff\n"),
        (b"\xe3\x81\n\xed\xa0\x80\n", b"\xf0\x9f"),
        (b"\x1b[2J\r\n", b"\x9b\r\n"),
        (&utf16, b""),
        (b"\0\0\n", b"\0"),
    ] {
        let text = [before, block, after].concat();
        std::fs::write(fixture.dir.path().join("text.key"), &text).unwrap();
        let blob = fixture.wrap("--privkey text.key");
        fixture.assert_opens(&blob, WrapFormat::KmraV1Sha256, "block.key");
        if !text.contains(&0) {
            fixture.assert_opens(&blob, WrapFormat::KmraV1Sha256, "text.key");
        }
    }
}
