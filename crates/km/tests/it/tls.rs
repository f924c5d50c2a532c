//! Certificates of a service that `ca_file` names, compared with curl.

use crate::support::collateral::Fixture;
use crate::support::programs::openssl;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

/// A TLS server of openssl, which answers every request with a page. It stops when this value is dropped.
struct Server {
    child: Child,
    port: String,
}

impl Server {
    fn start(fixture: &Fixture, certificate: &str) -> Self {
        let mut command = Command::new("openssl");
        command.args(["s_server", "-accept", "127.0.0.1:0", "-www", "-cert", certificate, "-key", "tls.key"]);
        command
            .current_dir(fixture.dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let accept = lines.find(|line| line.as_ref().unwrap().starts_with("ACCEPT")).unwrap().unwrap();
        // The output must not be closed while the server writes to it.
        std::thread::spawn(move || lines.for_each(drop));
        Self { child, port: accept.rsplit(':').next().unwrap().to_owned() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's own certificate in `ca_file`. curl accepts that of a CA as well; the TLS library here does
/// not, and the advice says what does work.
#[test]
fn case_p09_a_server_certificate_in_ca_file() {
    let fixture = Fixture::new();
    let dir = fixture.dir.path();
    openssl(dir, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out tls.key");
    let own = |name: &str, extensions: &[&str]| {
        std::fs::write(dir.join("req.conf"), "[req]\ndistinguished_name = dn\n[dn]\n").unwrap();
        let mut arguments =
            format!("req -x509 -config req.conf -key tls.key -subj /CN=pccs -days 2 -out {name}");
        for extension in extensions {
            arguments.extend([" -addext ", extension]);
        }
        openssl(dir, &arguments);
    };
    let ip = "subjectAltName=IP:127.0.0.1";
    own("ca.pem", &[ip, "basicConstraints=critical,CA:TRUE"]);
    own(
        "ca-usage.pem",
        &[ip, "basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,digitalSignature"],
    );
    own("leaf.pem", &[ip, "basicConstraints=critical,CA:FALSE"]);
    own("plain.pem", &[ip]);
    own("no-name.pem", &["basicConstraints=critical,CA:FALSE"]);
    own("other-name.pem", &["subjectAltName=DNS:pccs.example", "basicConstraints=critical,CA:FALSE"]);
    openssl(dir, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca.key");
    let authority = "-subj /CN=authority -addext basicConstraints=critical,CA:TRUE -days 2";
    openssl(dir, &format!("req -x509 -config req.conf -key ca.key {authority} -out authority.pem"));
    openssl(dir, "req -config req.conf -new -key tls.key -subj /CN=pccs -out leaf.csr");
    std::fs::write(dir.join("issued.conf"), format!("{ip}\nbasicConstraints=CA:FALSE\n")).unwrap();
    openssl(
        dir,
        "x509 -req -in leaf.csr -CA authority.pem -CAkey ca.key -days 2 -extfile issued.conf -out issued.pem",
    );
    for (certificate, ca_file, curls, code, advice) in [
        ("ca.pem", "ca.pem", true, "CollateralTls", "a certificate that is not a CA's"),
        ("ca-usage.pem", "ca-usage.pem", true, "CollateralTls", "a certificate that is not a CA's"),
        ("leaf.pem", "leaf.pem", true, "CollateralResponseMalformed", ""),
        ("plain.pem", "plain.pem", true, "CollateralResponseMalformed", ""),
        ("issued.pem", "authority.pem", true, "CollateralResponseMalformed", ""),
        ("no-name.pem", "no-name.pem", false, "CollateralTls", "subjectAltName"),
        ("other-name.pem", "other-name.pem", false, "CollateralTls", "subjectAltName"),
        ("issued.pem", "issued.pem", true, "CollateralTls", "name that CA in ca_file"),
    ] {
        let server = Server::start(&fixture, certificate);
        let url = format!("https://127.0.0.1:{}", server.port);
        let mut curl = Command::new("curl");
        curl.args(["--disable", "--silent", "--noproxy", "*", "--cacert", ca_file, &url])
            .stdout(Stdio::null());
        assert_eq!(
            curl.current_dir(dir).status().unwrap().success(),
            curls,
            "curl: {certificate} by {ca_file}"
        );
        let settings =
            format!("pccs_url = '{url}'\nca_file = '{ca_file}'\nattempts = 1\ntimeout_seconds = 20\n");
        let error = fixture.get(&settings).map(|obtained| obtained.source).unwrap_err();
        assert_eq!(error.code(), code, "{certificate} by {ca_file}: {error}");
        assert!(error.advice().contains(advice), "{certificate} by {ca_file}: {}", error.advice());
    }
}
