//! The `openssl` command and Go's `encoding/pem` find the key that this reader finds.

use std::io::Write as _;
use std::process::{Command, Stdio};
use tcs_go_oracle::GoOracle;
use tcs_pem::one;

const LABEL: &str = "PUBLIC KEY";

fn sha256(der: &[u8]) -> String {
    let text = pipe(Command::new("sha256sum"), der).unwrap();
    String::from_utf8(text).unwrap().split(' ').next().unwrap().to_owned()
}

/// The output of a command for this input; empty if it fails.
fn pipe(mut command: Command, input: &[u8]) -> Option<Vec<u8>> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    // A command that has read enough closes its end.
    let _ = child.stdin.take().unwrap().write_all(input);
    let output = child.wait_with_output().unwrap();
    output.status.success().then_some(output.stdout)
}

fn openssl(text: &[u8]) -> Option<String> {
    let mut command = Command::new("openssl");
    command.args(["pkey", "-pubin", "-pubout", "-outform", "DER"]);
    pipe(command, text).map(|der| sha256(&der))
}

fn key() -> String {
    let mut make = Command::new("openssl");
    make.args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let private = pipe(make, b"").unwrap();
    let mut public = Command::new("openssl");
    public.args(["pkey", "-pubout"]);
    String::from_utf8(pipe(public, &private).unwrap()).unwrap()
}

/// Texts with both keys, in which readers could find the first or the second, and lax forms of one key.
fn texts(one: &str, two: &str) -> Vec<Vec<u8>> {
    let body = |width: usize| {
        let base64: String = one.lines().filter(|line| !line.starts_with('-')).collect();
        let lines: Vec<&str> =
            base64.as_bytes().chunks(width).map(|line| std::str::from_utf8(line).unwrap()).collect();
        format!("-----BEGIN {LABEL}-----\n{}\n-----END {LABEL}-----\n", lines.join("\n"))
    };
    let long = "x".repeat(254);
    let mut texts: Vec<Vec<u8>> = [
        one.to_owned(),
        format!("\u{feff}{one}"),
        format!("\u{feff}text\n{one}"),
        one.replace('\n', "\r\n"),
        one.replace('\n', " \t\n"),
        one.replace('\n', "\n\n"),
        body(1),
        body(7),
        body(254),
        body(10_000),
        format!("text\n{one}text\n"),
        one.trim_end().to_owned(),
        // Two keys.
        format!("{one}{two}"),
        format!("x{one}{two}"),
        format!("x{one}x-----BEGIN ZZ-----\n{two}"),
        format!(" {one}{two}"),
        format!("\u{b}{one}{two}"),
        format!("text\r{one}{two}"),
        format!("text\0{one}{two}"),
        format!("{long}{one}{two}"),
        format!("\n\u{feff}{one}{two}"),
        format!("{}{two}", one.replace("-----END", "x-----END")),
        format!("{}{two}", one.replacen("-----\n", "-----x\n", 1)),
        format!("{}{two}", one.replacen("-----\n", "-----\u{b}\n", 1)),
        format!("{}{two}", one.replacen("-----\n", "-----\nComment: x\n\n", 1)),
        format!("{}{two}", one.replace("END PUBLIC", "END RSA PUBLIC")),
        format!("-----BEGIN ZZ-----\n{one}{two}"),
        format!("-----BEGIN {LABEL}-----\n{one}-----END {LABEL}-----\n{two}"),
        format!("-----END {LABEL}-----\n{one}{two}"),
        format!("{}{two}", one.replace("-----END", "-----END PUBLIC KEY-----\n-----END")),
        format!("{}{two}", one.replace('\n', "\r")),
        format!("{}{two}", one.replace("PUBLIC KEY", "PUBLIC  KEY")),
        format!("{}{two}", one.to_lowercase()),
        format!("{}{two}", one.replace("-----BEGIN", "----BEGIN")),
        format!("{}{two}", one.replacen("MI", "M\0I", 1)),
    ]
    .map(String::into_bytes)
    .into();
    texts.push([b"\xe9\xff\0\n", one.as_bytes()].concat());
    // UTF-16 text contains no boundary.
    texts.push(one.encode_utf16().flat_map(u16::to_le_bytes).collect());
    texts
}

/// Every accepted key is the one that the other readers find, if they find one at all. At least one of them
/// does.
#[test]
fn review_c1_readers_of_one_text_find_the_same_key() {
    let mut oracle = GoOracle::start().unwrap();
    let (first, second) = (key(), key());
    let mut accepted = 0;
    for (one_key, other) in [(&first, &second), (&second, &first)] {
        for text in texts(one_key, other) {
            let Ok(found) = one(&text, LABEL) else { continue };
            accepted += 1;
            let found = sha256(&found);
            let go: Vec<String> = oracle.pem(&text).unwrap().into_iter().map(|(_, hash)| hash).collect();
            let shown = String::from_utf8_lossy(&text);
            let openssl = openssl(&text);
            assert!(go.iter().chain(&openssl).all(|hash| *hash == found), "{shown}\n{go:?} {openssl:?}");
            assert!(go.len() == 1 || openssl.is_some(), "{shown}");
        }
    }
    assert_eq!(accepted, 2 * 14);
}
