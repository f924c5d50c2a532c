//! `kubectl tcs request`.

use super::{Run, program, program_as, ready, tcs};
use crate::support::account::run_as_printed;
use crate::support::csr::Csr;
use crate::support::issuer::Issuer;
use crate::support::openssl;
use crate::support::test_cluster::{TestCluster, shared};
use crate::support::wait::unique;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tcs_testkit::process::run;

/// A request into a folder.
fn request(command: &mut Command, folder: &Path, issuer: &Issuer<'_>, options: &[&str]) -> Run {
    let kind = if issuer.namespace.is_empty() { "--cluster-issuer" } else { "--issuer" };
    command.current_dir(folder).args(["request", kind, &issuer.name]);
    if !issuer.namespace.is_empty() {
        command.args(["-n", &issuer.namespace]);
    }
    Run::of(command.args(options))
}

fn files(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("tls.key"), folder.join("tls.crt"))
}

/// The names of the files of a folder.
fn names(folder: &Path) -> Vec<String> {
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
    let mut names: Vec<String> = fs::read_dir(folder).unwrap().map(name).collect();
    names.sort();
    names
}

/// The public key of a private key, PEM.
fn public_key(key: &Path) -> String {
    run(Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(key)).unwrap()
}

#[test]
fn case_9_8_request_makes_a_key_and_fetches_its_certificate() {
    let issuer = ready(shared(), "gives");
    let folder = shared().new_folder("request");
    let options = [
        "--common-name=web.example",
        "--dns=web.example",
        "--ip=10.1.2.3",
        "--uri=spiffe://example.org/web",
        "--email=a@b.example",
        "--usage=server auth",
        "--duration=2h",
        "-o=json",
    ];
    let done = request(&mut program(shared()), &folder, &issuer, &options);
    let document = done.document();
    let (key, certificate) = files(&folder);
    assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(names(&folder), ["tls.crt", "tls.key"]);
    issuer.accepts(&[&certificate]);
    assert_eq!(openssl::print(&certificate, &["-pubkey"]), public_key(&key));
    let text = openssl::text(&certificate);
    for part in [
        "DNS:web.example, URI:spiffe://example.org/web, IP Address:10.1.2.3, email:a@b.example",
        "Subject: CN=web.example",
        "TLS Web Server Authentication",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("TLS Web Client"), "{text}");
    let seconds = openssl::lifetime(&certificate);
    assert!((7_200..=7_200 + 300).contains(&seconds), "{seconds}");
    assert_eq!(document["details"]["fingerprint"], openssl::fingerprint(&certificate));
    let private = fs::read_to_string(&key).unwrap();
    let secret = private.lines().nth(1).unwrap();
    assert!(!done.out.contains(secret) && !done.err.contains(secret) && !done.err.contains("PRIVATE"));
}

#[test]
fn case_9_8_request_replaces_files_only_with_force() {
    let issuer = ready(shared(), "keeps");
    let folder = shared().new_folder("request");
    let (key, certificate) = files(&folder);
    request(&mut program(shared()), &folder, &issuer, &["--dns=a.example"]).done();
    let before = (fs::read(&key).unwrap(), fs::read(&certificate).unwrap());
    let again = request(&mut program(shared()), &folder, &issuer, &["--dns=b.example"]);
    again.failed(1, "FileExists");
    assert_eq!((fs::read(&key).unwrap(), fs::read(&certificate).unwrap()), before);
    let forced = ["--dns=b.example", "--force", "--usage=cert sign"];
    request(&mut program(shared()), &folder, &issuer, &forced).failed(3, "RequestRefused");
    assert_eq!((fs::read(&key).unwrap(), fs::read(&certificate).unwrap()), before, "refused");
    request(&mut program(shared()), &folder, &issuer, &["--dns=b.example", "--force"]).done();
    assert_eq!(openssl::print(&certificate, &["-pubkey"]), public_key(&key));
    assert!(openssl::text(&certificate).contains("DNS:b.example"));
}

#[test]
fn case_9_8_request_for_every_algorithm_from_a_cluster_issuer() {
    let issuer = Issuer::self_signed_of_cluster(shared(), &unique("gives-all"));
    issuer.await_reason("Ready");
    for (algorithm, shown) in [
        ("ecdsa-p256", "ASN1 OID: prime256v1"),
        ("ecdsa-p384", "ASN1 OID: secp384r1"),
        ("rsa-3072", "Public-Key: (3072 bit)"),
        ("ed25519", "ED25519"),
    ] {
        let folder = shared().new_folder("request");
        let options = ["--dns=a.example", "--key-algorithm", algorithm];
        request(&mut program(shared()), &folder, &issuer, &options).done();
        let (_, certificate) = files(&folder);
        issuer.accepts(&[&certificate]);
        assert!(openssl::text(&certificate).contains(shown), "{algorithm}");
    }
}

#[test]
fn case_9_8_request_that_is_refused_says_why_and_leaves_no_key() {
    let issuer = ready(shared(), "refuses-some");
    let folder = shared().new_folder("request");
    let options = ["--dns=a.example", "--usage=cert sign"];
    let refused = request(&mut program(shared()), &folder, &issuer, &options);
    let message = refused.failed(3, "RequestRefused");
    assert!(message.contains("UsageForbidden") && message.contains("create another one"), "{message}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
}

#[test]
fn case_9_8_request_without_the_right_to_approve_waits_for_somebody_who_has_it() {
    let cluster = shared();
    let issuer = ready(cluster, "approved-later");
    let folder = cluster.new_folder("request");
    let requester = requester(cluster, &issuer.namespace);
    let name = unique("later");
    may(cluster, &issuer.namespace, "tcs-issuer-edit");
    let options = ["--dns=a.example", "--name", &name, "--timeout=1s"];
    let late = request(&mut program_as(cluster, &requester), &folder, &issuer, &options);
    let message = late.failed(4, "Deadline");
    assert!(message.contains("NotApproved") && message.contains(&format!("approve {name}")), "{message}");
    assert!(late.err.contains("You may not approve it"), "{late:?}");
    let (key, certificate) = files(&folder);
    let pending = folder.join(format!("tls.key.{name}.pending"));
    assert!(pending.exists() && !key.exists(), "the certificate can still come");
    let csr = Csr { cluster, name }.approve();
    assert_eq!(openssl::print(&csr.certificate_file(), &["-pubkey"]), public_key(&pending));
    // The last step completes what was begun.
    let (steps, mut shell) = (late.steps(), cluster.stack.shell());
    assert!(run(shell.current_dir(&folder).args(["-ec", steps.last().unwrap()])).is_ok(), "{steps:?}");
    assert_eq!(openssl::print(&certificate, &["-pubkey"]), public_key(&key));
    assert_eq!(names(&folder), ["tls.crt", "tls.key"]);
}

#[test]
fn case_9_8_request_without_the_right_to_the_issuer_ends_with_the_command_that_grants_it() {
    let cluster = shared();
    let issuer = ready(cluster, "guarded-request");
    let (folder, name) = (cluster.new_folder("request"), unique("guarded"));
    let requester = requester(cluster, &issuer.namespace);
    let account = format!("--serviceaccount={}:requester", issuer.namespace);
    cluster.kubectl(&["create", "clusterrolebinding", &name, "--clusterrole=tcs-issuer-approver", &account]);
    let ask = |name: &str| {
        let options = ["--dns=a.example", "--name", name];
        request(&mut program_as(cluster, &requester), &folder, &issuer, &options)
    };
    let refused = ask(&name);
    let message = refused.failed(3, "RequestRefused");
    assert!(message.contains("was refused with Failed (ReferenceNotAllowed)"), "{message}");
    assert!(
        message.contains(&format!("may not use TCSIssuer {}/guarded-request", issuer.namespace)),
        "{message}"
    );
    let written = Csr { cluster, name }.failure_message();
    let steps = refused.steps();
    assert!(written.ends_with(&format!(" create a new request: {}", steps[0])), "{steps:?}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    run_as_printed(cluster, &steps[0]);
    ask(&unique("guarded")).done();
}

/// Binds a `ClusterRole` to the requester of a namespace, in this namespace.
fn may(cluster: &TestCluster, namespace: &str, role: &str) {
    let account = format!("--serviceaccount={namespace}:requester");
    let role = format!("--clusterrole={role}");
    cluster.kubectl(&["create", "rolebinding", &unique("may"), "-n", namespace, &role, &account]);
}

/// An account that may make requests, and approve none.
fn requester(cluster: &TestCluster, namespace: &str) -> PathBuf {
    let role = unique("requester");
    cluster.kubectl(&["create", "serviceaccount", "requester", "-n", namespace]);
    let verbs = "--verb=create,get,list,watch";
    cluster.kubectl(&["create", "clusterrole", &role, verbs, "--resource=certificatesigningrequests"]);
    let account = format!("--serviceaccount={namespace}:requester");
    cluster.kubectl(&["create", "clusterrolebinding", &role, &format!("--clusterrole={role}"), &account]);
    // `request` also lists what the issuer says when the certificate is late.
    may(cluster, namespace, "view");
    cluster.stack.cluster.service_account_kubeconfig(namespace, "requester").unwrap()
}

#[test]
fn case_9_8_request_without_the_right_to_watch_looks_again_and_again() {
    let cluster = shared();
    let issuer = ready(cluster, "looked-for");
    let (folder, name) = (cluster.new_folder("request"), unique("poller"));
    let account = format!("--serviceaccount={}:requester", issuer.namespace);
    cluster.kubectl(&["create", "serviceaccount", "requester", "-n", &issuer.namespace]);
    let rule = |resource: &str, verbs: &[&str]| json!({"apiGroups": ["certificates.k8s.io"], "resources": [resource], "verbs": verbs});
    cluster.apply(&json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": &name},
        "rules": [
            rule("certificatesigningrequests", &["create", "get"]),
            rule("certificatesigningrequests/approval", &["update"]),
            rule("signers", &["approve"]),
        ],
    }));
    cluster.kubectl(&["create", "clusterrolebinding", &name, &format!("--clusterrole={name}"), &account]);
    may(cluster, &issuer.namespace, "tcs-issuer-edit");
    let kubeconfig =
        cluster.stack.cluster.service_account_kubeconfig(&issuer.namespace, "requester").unwrap();
    let done = request(&mut program_as(cluster, &kubeconfig), &folder, &issuer, &["--dns=a.example"]);
    done.done();
    issuer.accepts(&[&files(&folder).1]);
}

#[test]
fn case_9_8_request_whose_files_cannot_be_placed_keeps_the_key_and_says_how_to_complete_it() {
    let cluster = shared();
    let issuer = ready(cluster, "not-placed");
    let (name, folder) = (unique("not-placed"), cluster.new_folder("request"));
    let (key, certificate) = files(&folder);
    fs::write(&key, "earlier key").unwrap();
    let options = ["--dns=a.example", "--no-approve", "--force", "--name", &name];
    let run_of = begun(cluster, &folder, &issuer, &name, &options);
    // A folder is never replaced.
    fs::create_dir(&certificate).unwrap();
    let csr = Csr { cluster, name: name.clone() }.approve();
    let failed = run_of();
    assert!(
        failed.failed(1, "FileUnwritable").contains(&format!("CertificateSigningRequest {name}")),
        "{failed:?}"
    );
    assert_eq!(fs::read_to_string(&key).unwrap(), "earlier key");
    let pending = folder.join(format!("tls.key.{name}.pending"));
    assert_eq!(openssl::print(&csr.certificate_file(), &["-pubkey"]), public_key(&pending));
    fs::remove_dir(&certificate).unwrap();
    let (steps, mut shell) = (failed.steps(), cluster.stack.shell());
    assert!(run(shell.current_dir(&folder).args(["-ec", steps.last().unwrap()])).is_ok(), "{steps:?}");
    assert_eq!(openssl::print(&certificate, &["-pubkey"]), public_key(&key));
    assert_eq!(names(&folder), ["tls.crt", "tls.key"]);
}

/// Starts a request and waits until it exists; what it did in the end.
fn begun<'a>(
    cluster: &'a TestCluster,
    folder: &Path,
    issuer: &Issuer<'_>,
    name: &str,
    options: &[&str],
) -> impl FnOnce() -> Run + use<'a> {
    let mut command = program(cluster);
    command.current_dir(folder).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.args(["request", "--issuer", &issuer.name, "-n", &issuer.namespace]);
    let child = command.args(options).spawn().unwrap();
    cluster.wait_until("the request", || cluster.get_json(&["csr", name])["metadata"]["name"] == json!(name));
    move || {
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Run { status: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

#[test]
fn case_9_8_request_that_is_denied_or_deleted_while_it_waits() {
    let cluster = shared();
    let issuer = ready(cluster, "waits-for-approval");
    for (verb, status, code) in
        [(&["certificate", "deny"][..], 3, "RequestRefused"), (&["delete", "csr"][..], 5, "RequestDeleted")]
    {
        let (name, folder) = (unique("waits"), cluster.new_folder("request"));
        let options = ["--dns=a.example", "--no-approve", "--name", &name];
        let run_of = begun(cluster, &folder, &issuer, &name, &options);
        cluster.kubectl(&[verb, &[name.as_str()]].concat());
        let run = run_of();
        run.failed(status, code);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0, "{run:?}");
    }
}

#[test]
fn case_9_8_request_to_an_issuer_that_does_not_sign_yet_keeps_the_key_and_says_so() {
    let cluster = shared();
    let issuer = Issuer::delivered(cluster, "later");
    issuer.await_reason("AwaitingKey");
    let folder = cluster.new_folder("request");
    let ask = |options: &[&str]| {
        let options = [&["--dns=a.example", "--timeout=1s", "--force"], options].concat();
        request(&mut program(cluster), &folder, &issuer, &options)
    };
    let name = unique("kept");
    let late = ask(&["--name", &name]);
    let message = late.failed(4, "Deadline");
    assert!(message.contains("does not sign now (AwaitingKey): the request waits for it"), "{message}");
    assert!(message.contains("IssuerNotReady"), "{message}");
    let pending = folder.join(format!("tls.key.{name}.pending"));
    let key = fs::read(&pending).unwrap();
    assert!(ask(&["--name", &name]).failed(1, "KeyPending").contains("--force does not replace this key"));
    // Another request has another key.
    ask(&[]).failed(4, "Deadline");
    assert_eq!(names(&folder).len(), 2, "{:?}", names(&folder));
    assert_eq!(fs::read(&pending).unwrap(), key);
}

#[test]
fn case_9_8_request_that_nobody_can_make() {
    let cluster = shared();
    let folder = cluster.new_folder("request");
    let ask = |options: &[&str]| Run::of(program(cluster).current_dir(&folder).arg("request").args(options));
    assert_eq!(ask(&["--dns=a.example"]).status, 2, "no issuer");
    assert_eq!(ask(&["--issuer=a", "--cluster-issuer=b", "--dns=a.example"]).status, 2);
    ask(&["--issuer=a"]).failed(2, "Usage");
    ask(&["--issuer=Not_a_Name", "--dns=a.example"]).failed(2, "Usage");
    ask(&["--issuer=a", "--dns=a.example", "--usage=serverAuth"]).failed(2, "Usage");
    ask(&["--issuer=a", "--dns=a.example", "--duration=5m"]).failed(2, "Usage");
    ask(&["--issuer=a", "--dns=a.example", "--name=a b"]).failed(2, "Usage");
    ask(&["--issuer=a", "--dns=*"]).failed(1, "RequestNotMade");
    let issuer = ready(cluster, "not-asked");
    let nowhere = ask(&["--issuer=not-asked", "-n", &issuer.namespace, "--dns=a.example", "--key=a/b.key"]);
    nowhere.failed(1, "FileUnwritable");
    let missing = ask(&["--issuer=nobody", "-n", "default", "--dns=a.example", "--timeout=1s"]);
    assert!(missing.failed(5, "NotFound").contains("there is no TCSIssuer default/nobody"), "{missing:?}");
    assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    let account = cluster.stack.cluster.service_account_kubeconfig("default", "default").unwrap();
    let mut refused = program_as(cluster, &account);
    refused.current_dir(cluster.new_folder("request"));
    Run::of(refused.args(["request", "--issuer=a", "--dns=a.example"])).failed(6, "Forbidden");
    assert_eq!(tcs(cluster, &["request"]).status, 2);
}
