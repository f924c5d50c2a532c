//! What is signed and what is not (acceptance 1.4).

use crate::bed::{Bed, Issuer, SOON, decode, encode, pipe, shared, unique};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Command;
use tcs_testkit::process::{run, wait_for};

/// A PKCS#10 request by openssl, as PEM.
pub fn request(bed: &Bed, more: &[&str]) -> Vec<u8> {
    std::fs::read(key_and_request(bed, more).1).unwrap()
}

/// A key and a request for it, as files.
pub fn key_and_request(bed: &Bed, more: &[&str]) -> (PathBuf, PathBuf) {
    let dir = bed.dir.join(unique("request"));
    std::fs::create_dir_all(&dir).unwrap();
    let mut command = Command::new("openssl");
    command.args(["req", "-new", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    let (key, csr) = (dir.join("key.pem"), dir.join("csr.pem"));
    command.arg("-keyout").arg(&key).arg("-out").arg(&csr);
    let subject = if more.contains(&"-subj") { vec![] } else { vec!["-subj", "/CN=workload"] };
    run(command.args(subject).args(more)).unwrap();
    (key, csr)
}

pub struct Csr<'a> {
    pub bed: &'a Bed,
    pub name: String,
}

impl<'a> Csr<'a> {
    pub fn create(bed: &'a Bed, signer: &str, pem: &[u8], more: &Value) -> Self {
        let name = unique("csr");
        Self::create_named(bed, &name, signer, pem, more)
    }

    pub fn create_named(bed: &'a Bed, name: &str, signer: &str, pem: &[u8], more: &Value) -> Self {
        Self::create_as(bed, &json!({"name": name}), signer, pem, more)
    }

    /// A request with these annotations.
    pub fn create_annotated(
        bed: &'a Bed,
        annotations: &Value,
        signer: &str,
        pem: &[u8],
        more: &Value,
    ) -> Self {
        Self::create_as(bed, &json!({"name": unique("csr"), "annotations": annotations}), signer, pem, more)
    }

    fn create_as(bed: &'a Bed, metadata: &Value, signer: &str, pem: &[u8], more: &Value) -> Self {
        let mut spec = json!({
            "request": encode(pem), "signerName": signer, "usages": ["digital signature", "server auth"],
        });
        spec.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
        bed.apply(&json!({
            "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
            "metadata": metadata, "spec": spec,
        }));
        Self { bed, name: metadata["name"].as_str().unwrap().to_owned() }
    }

    pub fn approve(self) -> Self {
        self.bed.kubectl(&["certificate", "approve", &self.name]);
        self
    }

    pub fn status(&self) -> Value {
        self.bed.get(&["csr", &self.name])["status"].clone()
    }

    pub fn condition(&self, kind: &str) -> Option<Value> {
        self.status()["conditions"].as_array()?.iter().find(|condition| condition["type"] == kind).cloned()
    }

    /// Waits for the certificate; PEM.
    pub fn certificate(&self) -> String {
        let found = wait_for(SOON, "a certificate", || Ok(self.status()["certificate"].as_str().map(decode)));
        let bytes = found
            .unwrap_or_else(|error| panic!("{error:#}; {}\n{}", self.status(), self.bed.log("tcs-issuer")));
        String::from_utf8(bytes).unwrap()
    }

    /// Waits for Failed; its reason.
    pub fn failure(&self) -> String {
        let found = wait_for(SOON, "a failure", || Ok(self.condition("Failed")));
        let condition = found
            .unwrap_or_else(|error| panic!("{error:#}; {}\n{}", self.status(), self.bed.log("tcs-issuer")));
        assert_eq!(condition["status"], "True");
        condition["reason"].as_str().unwrap().to_owned()
    }

    /// Waits for an Event about it with this reason.
    pub fn event(&self, reason: &str) {
        self.event_says(reason, "");
    }

    /// Waits for an Event about it with this reason, that says this.
    pub fn event_says(&self, reason: &str, what_it_says: &str) {
        let what = format!("Event {reason} about {}", self.name);
        wait_for(SOON, &what, || {
            let events = self.bed.get(&["events", "-n", "default"]);
            let found = events["items"].as_array().is_some_and(|events| {
                events
                    .iter()
                    .filter(|event| {
                        event["involvedObject"]["name"] == *self.name && event["reason"] == reason
                    })
                    .any(|event| event["message"].as_str().is_some_and(|text| text.contains(what_it_says)))
            });
            Ok(found.then_some(()))
        })
        .unwrap();
    }

    pub fn untouched(&self) {
        let status = self.status();
        assert!(status["certificate"].is_null(), "{status}");
        assert!(self.condition("Failed").is_none(), "{status}");
    }
}

fn ready(name: &str) -> (Issuer<'static>, PathBuf) {
    let bed = shared();
    let issuer = bed.issuer(name);
    let ca = bed.p256_ca();
    issuer.deliver_until_ready(&ca);
    (issuer, ca.certificate)
}

/// Signs something for an issuer that works, so that whatever came before it had its chance.
fn flush() {
    static FLUSH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    let signer = FLUSH.get_or_init(|| ready("flush").0.signer());
    let bed = shared();
    Csr::create(bed, signer, &request(bed, &[]), &json!({})).approve().certificate();
}

#[test]
fn an_approved_request_is_signed_as_asked() {
    let (issuer, ca) = ready("signs");
    let bed = issuer.bed;
    let pem = request(
        bed,
        &["-addext", "subjectAltName=DNS:a.example,IP:10.1.2.3", "-addext", "keyUsage=keyAgreement"],
    );
    let usages = json!({"expirationSeconds": 7200, "usages": ["digital signature", "client auth"]});
    for signer in [issuer.signer(), issuer.signer().replacen("tcsissuer.", "tcsissuers.", 1)] {
        let csr = Csr::create(bed, &signer, &pem, &usages).approve();
        let file = bed.dir.join(unique("leaf"));
        std::fs::write(&file, csr.certificate()).unwrap();
        run(Command::new("openssl").arg("verify").arg("-CAfile").arg(&ca).arg(&file)).unwrap();
        let text = run(Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&file)).unwrap();
        assert!(text.contains("CA:FALSE"), "{text}");
        assert!(text.contains("DNS:a.example, IP Address:10.1.2.3"), "{text}");
        assert!(text.contains("Digital Signature\n"), "{text}");
        assert!(!text.contains("Key Agreement"), "usages are those of spec.usages: {text}");
        assert!(text.contains("TLS Web Client Authentication") && !text.contains("Server Auth"), "{text}");
        let seconds = lifetime(&file);
        assert!((7200..=7200 + 300).contains(&seconds), "{seconds}");
        // The request itself shows the certificate. An Event would cost more than it.
        let events = bed.kubectl(&[
            "get",
            "events",
            "-n",
            "default",
            "-o",
            "jsonpath={.items[*].involvedObject.name}",
        ]);
        assert!(!events.split(' ').any(|name| name == csr.name), "{events}");
    }
}

/// `NotAfter` minus `NotBefore` in seconds.
pub fn lifetime(file: &std::path::Path) -> i64 {
    let dates = run(Command::new("openssl")
        .args(["x509", "-noout", "-dates", "-dateopt", "iso_8601", "-in"])
        .arg(file))
    .unwrap();
    let times: Vec<i64> = dates
        .lines()
        .map(|line| {
            line.split_once('=').unwrap().1.replace(' ', "T").parse::<jiff::Timestamp>().unwrap().as_second()
        })
        .collect();
    times[1] - times[0]
}

#[test]
fn b02_what_is_not_approved_or_not_ours_is_left_untouched() {
    let (issuer, _) = ready("leaves");
    let bed = issuer.bed;
    let pem = request(bed, &[]);
    let unapproved = Csr::create(bed, &issuer.signer(), &pem, &json!({}));
    let denied = Csr::create(bed, &issuer.signer(), &pem, &json!({}));
    bed.kubectl(&["certificate", "deny", &denied.name]);
    let foreign = Csr::create(bed, "example.com/signer", &pem, &json!({})).approve();
    let failed = Csr::create(bed, &issuer.signer(), &pem, &json!({}));
    let condition =
        json!({"status": {"conditions": [{"type": "Failed", "status": "True", "reason": "Test"}]}});
    bed.kubectl(&[
        "patch",
        "csr",
        &failed.name,
        "--subresource=status",
        "--type=merge",
        "-p",
        &condition.to_string(),
    ]);
    let failed = failed.approve();
    flush();
    for csr in [&unapproved, &denied, &foreign] {
        csr.untouched();
    }
    assert!(failed.status()["certificate"].is_null());
}

#[test]
fn waiting_requests_get_an_event_and_then_their_certificate() {
    let bed = shared();
    let pem = request(bed, &[]);
    let nowhere = Csr::create(bed, "tcsissuer.tcs.intel.com/nowhere.none", &pem, &json!({})).approve();
    nowhere.event("WaitingForIssuerExist");
    let issuer = bed.issuer("later");
    issuer.wait_reason("AwaitingKey");
    let early = Csr::create(bed, &issuer.signer(), &pem, &json!({})).approve();
    early.event("WaitingForIssuerReady");
    early.untouched();
    issuer.deliver_until_ready(&bed.p256_ca());
    early.certificate();
    nowhere.untouched();
}

#[test]
fn w_r4_a_cluster_signer_with_dots_is_never_taken_for_a_namespaced_one() {
    let (issuer, _) = ready("dots");
    let bed = issuer.bed;
    let name = format!("tcsclusterissuer.tcs.intel.com/{}.{}", issuer.namespace, issuer.name);
    let csr = Csr::create(bed, &name, &request(bed, &[]), &json!({})).approve();
    csr.event("WaitingForIssuerExist");
    flush();
    csr.untouched();
}

#[test]
fn a_deleted_issuer_signs_nothing() {
    let (issuer, _) = ready("deleted");
    let bed = issuer.bed;
    bed.kubectl(&["delete", "tcsissuers.tcs.intel.com", "-n", &issuer.namespace, &issuer.name]);
    let csr = Csr::create(bed, &issuer.signer(), &request(bed, &[]), &json!({})).approve();
    csr.event("WaitingForIssuerExist");
    csr.untouched();
}

#[test]
fn b07_ca_cert_sign_and_crl_sign_are_refused_with_a_reason() {
    let (issuer, _) = ready("refuses");
    let bed = issuer.bed;
    let ca = request(bed, &["-addext", "basicConstraints=critical,CA:TRUE"]);
    assert_eq!(Csr::create(bed, &issuer.signer(), &ca, &json!({})).approve().failure(), "RequestForCa");
    let sign = request(bed, &["-addext", "keyUsage=digitalSignature,keyCertSign"]);
    assert_eq!(Csr::create(bed, &issuer.signer(), &sign, &json!({})).approve().failure(), "UsageForbidden");
    let crl = request(bed, &["-addext", "keyUsage=cRLSign"]);
    assert_eq!(Csr::create(bed, &issuer.signer(), &crl, &json!({})).approve().failure(), "UsageForbidden");
    let plain = request(bed, &[]);
    for usage in ["cert sign", "crl sign"] {
        let asked = json!({"usages": ["digital signature", usage]});
        assert_eq!(Csr::create(bed, &issuer.signer(), &plain, &asked).approve().failure(), "UsageForbidden");
    }
}

#[test]
fn a_request_made_anew_never_receives_the_others_certificate() {
    let (issuer, _) = ready("anew");
    let bed = issuer.bed;
    // Deleted and made again under one name, over and over, while the service signs as fast as it can.
    let name = unique("anew");
    for round in 0..6 {
        let subject = format!("/CN=round-{round}");
        let pem = request(bed, &["-subj", &subject]);
        let csr = Csr::create_named(bed, &name, &issuer.signer(), &pem, &json!({})).approve();
        if round == 5 {
            let file = bed.dir.join(unique("leaf"));
            std::fs::write(&file, csr.certificate()).unwrap();
            let shown =
                run(Command::new("openssl").args(["x509", "-noout", "-subject", "-in"]).arg(&file)).unwrap();
            assert!(shown.contains("round-5"), "{shown}");
        } else {
            // What a signer that is late would write: the object as it was, with a certificate.
            let mut late = bed.get(&["csr", &name]);
            late["status"]["certificate"] = json!(encode(csr.certificate().as_bytes()));
            bed.kubectl(&["delete", "csr", &name, "--wait=true"]);
            let again = Csr::create_named(bed, &name, &issuer.signer(), &pem, &json!({}));
            let path = format!("/apis/certificates.k8s.io/v1/certificatesigningrequests/{name}/status");
            let mut put = bed.stack.cluster.kubectl();
            let refused =
                pipe(put.args(["replace", "--raw", &path, "-f", "-"]), &late.to_string()).unwrap_err();
            assert!(refused.to_string().contains("Conflict"), "{refused}");
            again.untouched();
            bed.kubectl(&["delete", "csr", &name, "--wait=true"]);
        }
    }
}
