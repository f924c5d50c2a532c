//! Which CA certificates are accepted: a table of `docs/ca-certificates.md`, with what openssl and Go say.

use crate::documents::section;
use crate::go::lines;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use tcs_x509::{CaChain, Error};

/// A kind of certificate: its description; options of `openssl req`; and its extensions.
struct Kind {
    what: &'static str,
    options: &'static [&'static str],
    extensions: &'static str,
}

const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
/// The one kind that is accepted although Go refuses every leaf below it.
const NOT_FOR_GO: &str = "name constraints of directory names, critical";
const CA: &str = "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\n";

fn of(what: &'static str, extensions: &'static str) -> Kind {
    Kind { what, options: P256, extensions }
}

fn with(what: &'static str, options: &'static [&'static str]) -> Kind {
    Kind { what, options, extensions: CA }
}

/// Kinds that are accepted.
fn accepted() -> Vec<Kind> {
    vec![
        of("as `openssl req -x509` makes it", CA),
        of("basicConstraints not critical", "basicConstraints=CA:TRUE"),
        of("no subject key identifier", "basicConstraints=critical,CA:TRUE"),
        of("path length of more than 255", "basicConstraints=critical,CA:TRUE,pathlen:300"),
        of("key usage with keyCertSign", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign"),
        of(
            "extended key usage, critical or not",
            "basicConstraints=critical,CA:TRUE\nextendedKeyUsage=critical,serverAuth",
        ),
        of(
            "certificate policies, critical",
            "basicConstraints=critical,CA:TRUE\ncertificatePolicies=critical,1.2.3.4",
        ),
        of(
            "CRL distribution points, critical",
            "basicConstraints=critical,CA:TRUE\ncrlDistributionPoints=critical,URI:http://a.example/c",
        ),
        of(
            "name constraints of DNS names, critical",
            "basicConstraints=critical,CA:TRUE\nnameConstraints=critical,permitted;DNS:a.example",
        ),
        of(
            NOT_FOR_GO,
            "basicConstraints=critical,CA:TRUE\nnameConstraints=critical,excluded;dirName:other\n[other]\nO=Other",
        ),
        of(
            "alternative names",
            "basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:ca.b.example,email:ca@b.example",
        ),
        with("RSA with 2048 bits", &["-newkey", "rsa:2048"]),
        with("P-384", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"]),
        with("Ed25519", &["-newkey", "ed25519"]),
        with("signs itself with SHA-1", &["-newkey", "rsa:2048", "-sha1"]),
        with(
            "signs itself with PSS and any salt",
            &["-newkey", "rsa:2048", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:20"],
        ),
        with("serial number 0", &["-newkey", "ed25519", "-set_serial", "0"]),
    ]
}

/// Kinds that are refused.
fn refused() -> Vec<Kind> {
    vec![
        with("negative serial number", &["-newkey", "ed25519", "-set_serial", "-5"]),
        of("version 1", ""),
        of("no basicConstraints", "subjectKeyIdentifier=hash"),
        of("CA:FALSE", "basicConstraints=critical,CA:FALSE"),
        of(
            "key usage without keyCertSign",
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,digitalSignature",
        ),
        of("unknown critical extension", "basicConstraints=critical,CA:TRUE\n1.2.3.4.5=critical,ASN1:NULL"),
        of(
            "policy constraints, critical",
            "basicConstraints=critical,CA:TRUE\npolicyConstraints=critical,requireExplicitPolicy:0",
        ),
        of(
            "name constraint that no name can match",
            "basicConstraints=critical,CA:TRUE\nnameConstraints=critical,excluded;DNS:*.a.example",
        ),
        of(
            "name constraint of a range with bits behind its mask",
            "basicConstraints=critical,CA:TRUE\nnameConstraints=critical,excluded;IP:10.0.0.1/255.0.0.0",
        ),
        of(
            "subject key identifier, critical",
            "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=critical,hash",
        ),
        of(
            "authority key identifier, critical",
            "basicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=critical,keyid:always",
        ),
        of(
            "alternative name that Go cannot read",
            "basicConstraints=critical,CA:TRUE\nsubjectAltName=URI:https://[ca",
        ),
        of(
            "alternative name that is not valid",
            "basicConstraints=critical,CA:TRUE\nsubjectAltName=DNS:Acme Root",
        ),
        of(
            "critical alternative names of other kinds than DNS names, e-mail addresses, URIs and IP addresses",
            "basicConstraints=critical,CA:TRUE\nsubjectAltName=critical,RID:1.2.3.4",
        ),
        with("RSA with exponent 3", &["-newkey", "rsa:2048", "-pkeyopt", "rsa_keygen_pubexp:3"]),
        with("RSA with 1024 bits", &["-newkey", "rsa:1024"]),
        with("P-224", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-224"]),
        with("Ed448", &["-newkey", "ed448"]),
        with("empty subject", &["-newkey", "ed25519", "-subj", "/"]),
    ]
}

fn openssl(dir: &Path, arguments: &[&str]) -> bool {
    let done = Command::new("openssl").current_dir(dir).args(arguments).output().unwrap();
    done.status.success()
}

/// Our verdict, and whether openssl and Go accept a leaf below it.
fn verdicts(kind: &Kind) -> (Result<(), Error>, [bool; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let config = "[req]\nprompt=no\ndistinguished_name=name\nx509_extensions=ca\n[name]\nCN=Root\n[ca]\n";
    let config = if kind.extensions.is_empty() {
        config.replace("x509_extensions=ca\n", "")
    } else {
        config.to_owned()
    };
    std::fs::write(dir.path().join("config"), config + kind.extensions).unwrap();
    let leaf =
        "basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:x.a.example\nextendedKeyUsage=serverAuth";
    std::fs::write(dir.path().join("leaf.ext"), leaf).unwrap();
    let make = ["req", "-x509", "-nodes", "-days", "3650", "-config", "config", "-keyout", "k", "-out", "c"];
    assert!(openssl(dir.path(), &[&make[..], kind.options].concat()), "{}", kind.what);
    let request =
        ["req", "-new", "-nodes", "-newkey", "ed25519", "-keyout", "l", "-subj", "/CN=leaf", "-out", "r"];
    assert!(openssl(dir.path(), &request), "{}", kind.what);
    // Verifiers do not ask whether the CA may sign, unless they verify.
    let sign = [
        "x509",
        "-req",
        "-in",
        "r",
        "-CA",
        "c",
        "-CAkey",
        "k",
        "-CAcreateserial",
        "-extfile",
        "leaf.ext",
        "-out",
        "x",
    ];
    assert!(openssl(dir.path(), &sign), "{}", kind.what);
    let der = |name: &str| pem_rfc7468::decode_vec(&std::fs::read(dir.path().join(name)).unwrap()).unwrap().1;
    let written = std::fs::metadata(dir.path().join("x")).unwrap().modified().unwrap();
    let written = written.duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let now = i64::try_from(written).unwrap() + 60;
    let (ca, leaf) = (der("c"), der("x"));
    let go = lines(b'V', &[[now.to_be_bytes().as_slice(), &leaf, &ca].concat()]).remove(0);
    let time = now.to_string();
    let verify = ["verify", "-purpose", "sslserver", "-attime", &time, "-CAfile", "c", "x"];
    let ours = CaChain::from_delivered(&[&ca], now).map(drop);
    (ours, [openssl(dir.path(), &verify), go.is_empty()])
}

/// `cargo xtask generate` writes the table, and every other run compares it.
#[test]
fn case_p20_the_table_of_ca_certificates_is_that_of_the_code() {
    let mut table =
        String::from("| CA certificate | accepted | openssl | Go | message |\n|---|---|---|---|---|\n");
    let yes = |yes| if yes { "yes" } else { "no" };
    for kind in accepted().into_iter().chain(refused()) {
        let (ours, [openssl, go]) = verdicts(&kind);
        let (code, message) = ours.err().map_or((String::new(), String::new()), |error| {
            let text = error.to_string();
            let (_, why) = text.split_once("): ").or_else(|| text.split_once("1: ")).unwrap();
            (format!(", `{}`", error.code()), why.to_owned())
        });
        let accepted = yes(code.is_empty());
        assert!(!code.is_empty() || (openssl && go != (kind.what == NOT_FOR_GO)), "useless: {}", kind.what);
        writeln!(table, "| {} | {accepted}{code} | {} | {} | {message} |", kind.what, yes(openssl), yes(go))
            .unwrap();
    }
    section("ca-certificates.md", "accepted", &table);
}
