//! A whole stack for tests: control plane, manifests applied, controller and enclave running, a key owner's tools.

use serde_json::{Value, json};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tcs_testkit::node::NodeStandIn;
use tcs_testkit::process::{Lifetime, Signal, run, wait_for};
use tcs_testkit::{Stack, repository};

/// Generous: the machine may be busy; nothing here waits for time to pass.
pub const SOON: Duration = Duration::from_mins(1);

pub struct Bed {
    pub stack: Stack,
    pub node: NodeStandIn,
    pub dir: PathBuf,
}

/// A CA of the key owner: files with the private key and the certificate.
pub struct Ca {
    pub key: PathBuf,
    pub certificate: PathBuf,
}

/// Tests that disturb nobody share one bed; its processes end with this one.
pub fn shared() -> &'static Bed {
    static SHARED: OnceLock<Bed> = OnceLock::new();
    SHARED.get_or_init(Bed::new)
}

/// A name that no other test uses.
pub fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{stem}-{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Bed {
    /// Everything up, and the controller ready.
    pub fn new() -> Self {
        Self::bare().up()
    }

    /// Everything up on a platform that cannot seal.
    pub fn without_sealing() -> Self {
        let bed = Self::bare();
        fs::write(bed.stack.layout.platform().join("without-sealing"), "").unwrap();
        bed.up()
    }

    /// CRDs and manifest applied to what [`Bed::bare`] made, and the controller ready.
    pub fn up(self) -> Self {
        let bed = self;
        bed.kubectl(&["apply", "-f", "deployment/crds/"]);
        bed.kubectl(&["apply", "-f", "deployment/tcs_issuer.yaml"]);
        wait_for(SOON, "the controller to be ready", || Ok(bed.ready().then_some(()))).unwrap_or_else(
            |error| {
                panic!(
                    "{error:#}\n{}\n{}\n{}",
                    bed.log("node"),
                    bed.log("tcs-issuer"),
                    bed.log("tcs-enclave")
                )
            },
        );
        bed
    }

    /// The control plane and the stand-in, with nothing applied.
    pub fn bare() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let dir = folder();
        let stack = Stack::start(&dir, Lifetime::WithParent, |line| eprintln!("{line}")).unwrap();
        let node = stack.node();
        Self { stack, node, dir }
    }

    pub fn ready(&self) -> bool {
        self.node.address(":8081").is_some_and(|address| http_status(&address, "/readyz") == Some(200))
    }

    pub fn log(&self, name: &str) -> String {
        fs::read_to_string(self.stack.layout.node().join(format!("{name}.log"))).unwrap_or_default()
    }

    pub fn kubectl(&self, arguments: &[&str]) -> String {
        self.try_kubectl(arguments).unwrap_or_else(|error| panic!("{error:#}"))
    }

    pub fn try_kubectl(&self, arguments: &[&str]) -> anyhow::Result<String> {
        run(self.stack.cluster.kubectl().current_dir(repository()).args(arguments))
    }

    /// Applies objects as the administrator.
    pub fn apply(&self, objects: &Value) {
        self.try_apply(objects).unwrap_or_else(|error| panic!("{error:#}"));
    }

    pub fn try_apply(&self, objects: &Value) -> anyhow::Result<String> {
        pipe(self.stack.cluster.kubectl().args(["apply", "-f", "-"]), &objects.to_string())
    }

    pub fn get(&self, arguments: &[&str]) -> Value {
        self.try_get(arguments).unwrap_or(Value::Null)
    }

    pub fn try_get(&self, arguments: &[&str]) -> Option<Value> {
        let all = [&["get", "-o", "json"], arguments].concat();
        serde_json::from_str(&self.try_kubectl(&all).ok()?).ok()
    }

    /// An issuer of the cluster.
    pub fn cluster_issuer(&self, name: &str, spec: &Value) -> Issuer<'_> {
        self.apply(&json!({
            "apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSClusterIssuer",
            "metadata": {"name": name}, "spec": spec,
        }));
        Issuer { bed: self, namespace: String::new(), name: name.to_owned() }
    }

    /// A namespace with an issuer in it.
    pub fn issuer(&self, name: &str) -> Issuer<'_> {
        let namespace = unique("ns");
        self.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}));
        self.apply(&issuer_object(&namespace, name));
        Issuer { bed: self, namespace, name: name.to_owned() }
    }

    /// Makes a CA with the openssl command, as the document does.
    pub fn ca(&self, stem: &str, key: &[&str], more: &[&str]) -> Ca {
        let dir = self.dir.join(unique(stem));
        fs::create_dir_all(&dir).unwrap();
        let ca = Ca { key: dir.join("ca-private.pem"), certificate: dir.join("ca-cert.pem") };
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-nodes", "-sha256", "-subj", "/CN=SGX.intel.com"]).args(key);
        command.arg("-keyout").arg(&ca.key).arg("-out").arg(&ca.certificate);
        if !more.contains(&"-days") {
            command.args(["-days", "365"]);
        }
        run(command.args(more)).unwrap();
        ca
    }

    pub fn p256_ca(&self) -> Ca {
        self.ca("ca", &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"], &[])
    }

    /// Restarts the enclave with this issuer's sealed key damaged. The controller cannot see that it is: only the enclave can
    /// open it.
    pub fn damage_before_restart(&self, issuer: &Issuer<'_>, sealed: &str) {
        let uid = |object: &Value| object["metadata"]["uid"].clone();
        let before = self.get(&["secret", "-n", "tcs-issuer", sealed]);
        assert!(!uid(&before).is_null(), "nothing is sealed for {}", issuer.name);
        let mut blob = decode(before["data"]["sealed-ca"].as_str().unwrap());
        let last = blob.len() - 1;
        blob[last] ^= 1;
        let patch = json!({"data": {"sealed-ca": encode(&blob)}});
        let patch = ["patch", "secret", "-n", "tcs-issuer", sealed, "--type=merge", "-p", &patch.to_string()];
        self.kubectl(&patch);
        self.crash("tcs-enclave");
    }

    /// Ends a container's program as a crash would, and waits for its successor.
    pub fn crash(&self, container: &str) {
        let pid = self.node.pid(container).expect("the program runs");
        let identity = tcs_testkit::process::Identity::of(pid).unwrap();
        identity.signal(Signal::KILL).unwrap();
        wait_for(SOON, "a successor", || Ok(self.node.pid(container).filter(|now| *now != pid))).unwrap();
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        // The processes end with the fields, after this; what they still write is swept by the next run.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// A folder below the target folder. The shared bed is never dropped, so each run first removes what earlier runs left.
fn folder() -> PathBuf {
    static SWEPT: OnceLock<()> = OnceLock::new();
    let base = repository().join("target/e2e");
    SWEPT.get_or_init(|| {
        for entry in fs::read_dir(&base).into_iter().flatten().flatten() {
            let owner = entry.file_name().to_string_lossy().split('-').next().unwrap_or_default().to_owned();
            if !Path::new("/proc").join(owner).exists() {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    });
    base.join(unique(&std::process::id().to_string()))
}

pub fn issuer_object(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "tcs.intel.com/v1alpha1",
        "kind": "TCSIssuer",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"secretName": format!("{name}-secret"), "selfSign": false},
    })
}

/// An issuer under test; one of the cluster has an empty namespace.
pub struct Issuer<'a> {
    pub bed: &'a Bed,
    pub namespace: String,
    pub name: String,
}

impl Issuer<'_> {
    pub fn attestation_name(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("{}.tcsclusterissuer.tcs.intel.com", self.name),
            namespace => format!("{namespace}.{}.tcsissuer.tcs.intel.com", self.name),
        }
    }

    pub fn signer(&self) -> String {
        match self.namespace.as_str() {
            "" => format!("tcsclusterissuer.tcs.intel.com/{}", self.name),
            namespace => format!("tcsissuer.tcs.intel.com/{namespace}.{}", self.name),
        }
    }

    /// The Secret with the sealed CA key, once it is there.
    pub fn sealed_secret(&self) -> String {
        let name = format!("tcs-sealed-{}", self.object()["metadata"]["uid"].as_str().unwrap());
        wait_for(SOON, "the sealed key", || {
            Ok(self.bed.try_get(&["secret", "-n", "tcs-issuer", &name]).map(drop))
        })
        .unwrap();
        name
    }

    /// The Secret that the tests deliver in.
    pub fn secret(&self) -> String {
        format!("wrapped-{}.{}", self.home(), self.name)
    }

    /// Where the Secret with the CA certificate lies.
    pub fn home(&self) -> &str {
        if self.namespace.is_empty() { "tcs-issuer" } else { &self.namespace }
    }

    /// The CA that the status names.
    pub fn fingerprint(&self) -> Option<String> {
        self.object()["status"]["ca"]["fingerprint"].as_str().map(str::to_owned)
    }

    /// The Secret with the CA certificate; null if it is not there.
    pub fn ca_secret(&self) -> Value {
        let name = self.object()["spec"]["secretName"].clone();
        self.bed.get(&["secret", "-n", self.home(), name.as_str().unwrap_or_default()])
    }

    /// What is published to be trusted, as a file: the present CA's anchor first.
    pub fn bundle(&self) -> PathBuf {
        let secret = self.ca_secret();
        let data = |name: &str| decode(secret["data"][name].as_str().unwrap());
        let path = self.bed.dir.join(unique("bundle"));
        fs::write(&path, data("ca.crt")).unwrap();
        path
    }

    /// openssl, trusting what is published now.
    pub fn accepts(&self, leaves: &[&PathBuf]) {
        run(Command::new("openssl").args(["verify", "-CAfile"]).arg(self.bundle()).args(leaves)).unwrap();
    }

    /// kubectl on this issuer: `arguments`, its resource and name, `more`.
    pub fn kubectl(&self, arguments: &[&str], more: &[&str]) -> String {
        let resource = match self.namespace.as_str() {
            "" => vec!["tcsclusterissuers.tcs.intel.com"],
            namespace => vec!["-n", namespace, "tcsissuers.tcs.intel.com"],
        };
        self.bed.kubectl(&[arguments, &resource, &[self.name.as_str()], more].concat())
    }

    pub fn object(&self) -> Value {
        match self.namespace.as_str() {
            "" => self.bed.get(&["tcsclusterissuers.tcs.intel.com", &self.name]),
            namespace => self.bed.get(&["tcsissuers.tcs.intel.com", "-n", namespace, &self.name]),
        }
    }

    pub fn attestation(&self) -> Option<Value> {
        self.bed.try_get(&["quoteattestations.tcs.intel.com", "-n", "tcs-issuer", &self.attestation_name()])
    }

    /// Status, reason and message of Ready.
    pub fn readiness(&self) -> (String, String, String) {
        let object = self.object();
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let ready =
            conditions.iter().find(|condition| condition["type"] == "Ready").cloned().unwrap_or_default();
        let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
        (text("status"), text("reason"), text("message"))
    }

    /// Waits until Ready has this reason; its message.
    pub fn wait_reason(&self, reason: &str) -> String {
        let what = format!("{}/{} to be {reason}", self.namespace, self.name);
        let found = wait_for(SOON, &what, || {
            let (_, now, message) = self.readiness();
            Ok((now == reason).then_some(message))
        });
        found.unwrap_or_else(|error| {
            panic!(
                "{error:#}; it is {:?}\n{}\n{}",
                self.readiness(),
                self.bed.log("tcs-issuer"),
                self.bed.log("tcs-enclave")
            )
        })
    }

    /// Waits for an attestation with its Init condition.
    pub fn wait_attestation(&self) -> Value {
        wait_for(SOON, "the QuoteAttestation", || {
            Ok(self
                .attestation()
                .filter(|a| a["status"]["conditions"].as_array().is_some_and(|c| !c.is_empty())))
        })
        .unwrap_or_else(|error| {
            panic!("{error:#}\n{}\n{}", self.bed.log("tcs-issuer"), self.bed.log("tcs-enclave"))
        })
    }

    /// Fields of the attestation as files, decoded once as in the document.
    pub fn published(&self) -> (PathBuf, PathBuf) {
        let attestation = self.wait_attestation();
        let dir = self.bed.dir.join(unique("published"));
        fs::create_dir_all(&dir).unwrap();
        let field = |name: &str, file: &str| {
            let path = dir.join(file);
            fs::write(&path, decode(attestation["spec"][name].as_str().unwrap())).unwrap();
            path
        };
        (field("publicKey", "public.key"), field("quote", "quote.data"))
    }

    /// km-wrap in memory; one line of base64.
    pub fn wrap(&self, key: &Path) -> String {
        let (public_key, _) = self.published();
        let mut command = Command::new(self.bed.stack.layout.bin().join("km-wrap"));
        let line = run(command.arg("--pubkey").arg(public_key).arg("--privkey").arg(key)).unwrap();
        line.trim_end().to_owned()
    }

    /// Writes the delivery's Secret.
    pub fn put_secret(&self, key: Option<&str>, certificate: Option<&str>) {
        let mut data = serde_json::Map::new();
        for (name, value) in [("tls.key", key), ("tls.crt", certificate)] {
            if let Some(value) = value {
                data.insert(name.into(), value.into());
            }
        }
        // Replaced as a whole: a field left out is gone.
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": self.secret(), "namespace": "tcs-issuer"}, "stringData": data,
        });
        let kubectl =
            |verb| pipe(self.bed.stack.cluster.kubectl().args([verb, "-f", "-"]), &secret.to_string());
        if kubectl("replace").is_err() {
            kubectl("create").unwrap();
        }
    }

    /// The document's JSON Patch.
    pub fn patch_status(&self, secret: &str, kind: &str) {
        let patch = json!([
            {"op": "add", "path": "/status/secrets",
             "value": {self.signer(): {"secretName": secret, "secretType": kind}}},
            {"op": "add", "path": "/status/conditions/-",
             "value": {"type": "CASecretReady", "status": "true",
                       "reason": "AttestationControllerReconcile", "message": "Quote verification success"}},
        ]);
        self.bed.kubectl(&[
            "patch",
            "quoteattestations.tcs.intel.com",
            "-n",
            "tcs-issuer",
            &self.attestation_name(),
            "--subresource=status",
            "--type=json",
            "-p",
            &patch.to_string(),
        ]);
    }

    /// A whole, right delivery.
    pub fn deliver(&self, ca: &Ca) {
        let key = self.wrap(&ca.key);
        self.put_secret(Some(&key), Some(&certificate_text(&ca.certificate)));
        self.patch_status(&self.secret(), "KMRA");
    }

    pub fn deliver_until_ready(&self, ca: &Ca) {
        self.deliver(ca);
        self.wait_reason("Ready");
    }

    pub fn events(&self) -> String {
        {
            let namespace = if self.namespace.is_empty() { "default" } else { &self.namespace };
            self.bed.kubectl(&["get", "events", "-n", namespace, "-o", "json"])
        }
    }
}

/// What `base64 -w 0 < file` prints.
pub fn certificate_text(path: &Path) -> String {
    encode(&fs::read(path).unwrap())
}

pub fn encode(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

pub fn decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(text).unwrap()
}

/// Runs a command with this standard input.
pub fn pipe(command: &mut Command, input: &str) -> anyhow::Result<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().unwrap().write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(String::from_utf8(output.stdout)?)
}

/// The status line's code of a GET.
pub fn http_status(address: &str, path: &str) -> Option<u16> {
    http_get(address, path)?.split(' ').nth(1)?.parse().ok()
}

/// A GET over plain HTTP; the whole answer.
pub fn http_get(address: &str, path: &str) -> Option<String> {
    use std::io::Read as _;
    let mut stream = std::net::TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    Some(text)
}
