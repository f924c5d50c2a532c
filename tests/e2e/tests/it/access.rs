//! Who may use which CA: a request for an issuer of a namespace is signed only if its requester may
//! `reference` that issuer.

use crate::support::account::{Account, approved_as, run_as_printed};
use crate::support::api_server;
use crate::support::csr::{Csr, NewCsr};
use crate::support::disturbed::Disturbed;
use crate::support::issuer::Issuer;
use crate::support::objects::issuer_object;
use crate::support::openssl::request;
use crate::support::test_cluster::{MANIFEST, TestCluster, shared};
use crate::support::wait::{DEADLINE, unique};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use std::time::{Duration, Instant};
use tcs_api::SERVICE_NAMESPACE;

/// A ready issuer in a namespace of its own.
fn ready<'a>(cluster: &'a TestCluster, name: &str) -> Issuer<'a> {
    let issuer = Issuer::self_signed(cluster, name, None);
    issuer.await_reason("Ready");
    issuer
}

/// The command that the message of a refused request prints.
fn printed_command(refused: &Csr<'_>) -> String {
    assert_eq!(refused.failure(), "ReferenceNotAllowed");
    let message = refused.failure_message();
    let (_, command) = message.split_once("create a new request: ").unwrap_or_else(|| panic!("{message}"));
    command.to_owned()
}

#[test]
fn b01_signer_access_by_sar() {
    let cluster = shared();
    let issuer = ready(cluster, "guarded");
    let account = Account::new(cluster);
    let refused = account.approved(&issuer.signer());
    let command = printed_command(&refused);
    let expected = format!("may not use TCSIssuer {}/guarded", issuer.namespace);
    assert!(refused.failure_message().contains(&expected), "{}", refused.failure_message());
    refused.await_event_with("ReferenceNotAllowed", &expected);
    assert!(command.ends_with(&format!("--serviceaccount={}:web", account.namespace)), "{command}");

    run_as_printed(cluster, &command);
    account.approved(&issuer.signer()).certificate();
    let plural = issuer.signer().replacen("tcsissuer.", "tcsissuers.", 1);
    account.approved(&plural).certificate();
    assert_eq!(refused.status().certificate, None, "a failure is final");

    // The right is one to this issuer and of this account.
    let mut object = issuer_object(&issuer.namespace, "neighbour");
    object.spec.self_sign = true;
    let neighbour = Issuer::create(cluster, &object);
    neighbour.await_reason("Ready");
    assert_eq!(account.approved(&neighbour.signer()).failure(), "ReferenceNotAllowed");
    let other = Account::new(cluster);
    assert_eq!(other.approved(&issuer.signer()).failure(), "ReferenceNotAllowed");

    // A cluster issuer is for everybody whose requests are approved.
    let of_cluster = Issuer::self_signed_of_cluster(cluster, &unique("for-all"));
    of_cluster.await_reason("Ready");
    other.approved(&of_cluster.signer()).certificate();
}

#[test]
fn b01_a_group_and_the_role_edit_grant_access_and_the_role_view_does_not() {
    let cluster = shared();
    let issuer = ready(cluster, "roles");
    let account = Account::new(cluster);
    let bind = |role: &str, subject: &str| {
        let role = format!("--clusterrole={role}");
        cluster.kubectl(&["create", "rolebinding", &unique("b"), "-n", &issuer.namespace, &role, subject]);
    };
    bind("view", &format!("--serviceaccount={}:web", account.namespace));
    assert_eq!(account.approved(&issuer.signer()).failure(), "ReferenceNotAllowed");
    bind("edit", &format!("--group=system:serviceaccounts:{}", account.namespace));
    account.approved(&issuer.signer()).certificate();
}

/// Names of users are texts that others choose. The printed command grants the right to exactly this user.
#[test]
fn b01_the_printed_command_is_right_for_every_name() {
    let cluster = shared();
    let issuer = ready(cluster, "quoted");
    let owned = cluster.new_folder("quoted").join("owned");
    let names = [
        "alice".to_owned(),
        "o'brien".to_owned(),
        "https://issuer.example#two words,and=\"more\"".to_owned(),
        format!("$(touch {})", owned.display()),
        format!("'; touch {} #", owned.display()),
        format!("`touch {}`\\", owned.display()),
        "system:serviceaccount:no:such:account".to_owned(),
    ];
    for name in &names {
        run_as_printed(cluster, &printed_command(&approved_as(cluster, name, &issuer.signer())));
        approved_as(cluster, name, &issuer.signer()).certificate();
    }
    assert!(!owned.exists(), "a name was run as a command");
    // No grant was one for somebody else.
    assert_eq!(approved_as(cluster, "two", &issuer.signer()).failure(), "ReferenceNotAllowed");
}

/// The administrator of a namespace, who is none of the cluster, can grant the right.
#[test]
fn b01_the_administrator_of_a_namespace_can_grant_access() {
    let cluster = shared();
    let issuer = ready(cluster, "granted");
    let account = Account::new(cluster);
    let role = ["--clusterrole=admin", "--user=namespace-admin"];
    let bind = ["create", "rolebinding", "admin", "-n", &issuer.namespace];
    cluster.kubectl(&[&bind[..], &role].concat());
    let command = printed_command(&account.approved(&issuer.signer()));
    // A user that kubectl impersonates has the rights of that user only.
    run_as_printed(cluster, &command.replace("kubectl ", "kubectl --as=namespace-admin "));
    account.approved(&issuer.signer()).certificate();
}

/// Without the right to ask, nobody is refused and nobody gets a certificate.
#[test]
fn b01_while_the_api_server_does_not_decide_requests_wait() {
    let cluster = Disturbed::lock();
    let issuer = ready(&cluster, "undecided");
    let account = Account::new(&cluster);
    cluster.kubectl(&["delete", "clusterrolebinding", "tcs-issuer"]);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "tcs-issuer"},
    });
    let manifest: serde_json::Value = cluster.get_json(&["clusterrole", "tcs-issuer"]);
    let rules = manifest["rules"].as_array().unwrap().iter();
    let without = rules.filter(|rule| rule["resources"] != json!(["subjectaccessreviews"]));
    let mut earlier = role;
    earlier["rules"] = without.cloned().collect();
    cluster.try_kubectl_with(&["replace"], &earlier).unwrap();
    let binding = ["create", "clusterrolebinding", "tcs-issuer", "--clusterrole=tcs-issuer"];
    cluster.kubectl(&[&binding[..], &["--serviceaccount=tcs-issuer:tcs-issuer"]].concat());

    let waiting = account.approved(&issuer.signer());
    waiting.await_event_with("WaitingForAccessReview", "deployment/tcs_issuer.yaml");
    waiting.assert_untouched();
    // What the message says helps, and the request is reviewed then.
    cluster.kubectl(&["apply", "-f", MANIFEST, "--server-side", "--force-conflicts"]);
    assert_eq!(waiting.failure(), "ReferenceNotAllowed");
    let metrics = cluster.metrics().unwrap();
    assert!(metrics.contains("tcs_access_reviews_total{code=\"Error\"}"), "{metrics}");
    assert_eq!(SERVICE_NAMESPACE, "tcs-issuer");
}

/// How many reviews the API server has been asked for.
fn reviews(cluster: &TestCluster) -> u64 {
    let metrics = cluster.kubectl(&["get", "--raw", "/metrics"]);
    let counts = metrics.lines().filter(|line| {
        line.starts_with("apiserver_request_total{") && line.contains("resource=\"subjectaccessreviews\"")
    });
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap() as u64).sum()
}

/// Creates requests as an account and approves them, sixteen at a time.
async fn burst(account: &Account<'_>, signer: &str, count: usize) -> Vec<String> {
    let pem = request(account.cluster, &[]);
    let requester = api_server::client(&account.kubeconfig).await;
    let admin = api_server::client(&account.cluster.stack.cluster.admin_kubeconfig()).await;
    let (requester, admin): (Api<CertificateSigningRequest>, Api<CertificateSigningRequest>) =
        (Api::all(requester), Api::all(admin));
    let mut names = Vec::new();
    for chunk in (0..count).collect::<Vec<_>>().chunks(16) {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in chunk {
            let object = NewCsr::new(signer, &pem).object();
            names.push(object.metadata.name.clone().unwrap());
            let (requester, admin) = (requester.clone(), admin.clone());
            tasks.spawn(async move {
                requester.create(&PostParams::default(), &object).await.unwrap();
                let approved = json!([{"type": "Approved", "status": "True", "reason": "Test"}]);
                let patch = Patch::Merge(json!({"status": {"conditions": approved}}));
                let name = object.metadata.name.unwrap();
                admin.patch_approval(&name, &PatchParams::default(), &patch).await.unwrap();
            });
        }
        tasks.join_all().await;
    }
    names
}

/// Waits until all requests have a result; how many were signed.
async fn signed(client: Client, names: &[String]) -> usize {
    let api = Api::<CertificateSigningRequest>::all(client);
    let start = Instant::now();
    loop {
        let all = api.list(&ListParams::default()).await.unwrap();
        let ours = all.items.iter().filter(|csr| names.contains(csr.metadata.name.as_ref().unwrap()));
        let (mut signed, mut failed) = (0, 0);
        for status in ours.filter_map(|csr| csr.status.as_ref()) {
            let conditions = status.conditions.iter().flatten();
            signed += usize::from(status.certificate.is_some());
            failed += usize::from(conditions.into_iter().any(|condition| condition.type_ == "Failed"));
        }
        if signed + failed == names.len() {
            return signed;
        }
        assert!(start.elapsed() < DEADLINE, "{signed} signed and {failed} failed of {}", names.len());
    }
}

#[test]
fn b01_a_burst_of_one_requester_costs_a_handful_of_reviews() {
    let cluster = Disturbed::lock();
    let issuer = ready(&cluster, "burst");
    let account = Account::new(&cluster);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let client = || api_server::client(&cluster.stack.cluster.admin_kubeconfig());

    let (before, start) = (reviews(&cluster), Instant::now());
    let refused = runtime.block_on(async {
        let names = burst(&account, &issuer.signer(), 300).await;
        (signed(client().await, &names).await, names.len())
    });
    let (cost, seconds) = (reviews(&cluster) - before, start.elapsed().as_secs());
    assert_eq!(refused, (0, 300));
    assert!((1..=seconds / 2 + 2).contains(&cost), "{cost} reviews in {seconds} s");

    run_as_printed(&cluster, &printed_command(&account.approved(&issuer.signer())));
    let (before, start) = (reviews(&cluster), Instant::now());
    let allowed = runtime.block_on(async {
        let names = burst(&account, &issuer.signer(), 1000).await;
        signed(client().await, &names).await
    });
    let (cost, seconds) = (reviews(&cluster) - before, start.elapsed().as_secs());
    assert_eq!(allowed, 1000);
    // One that was refused before the command may be reviewed once more.
    assert!((1..=seconds / 30 + 2).contains(&cost), "{cost} reviews in {seconds} s");
    assert!(Duration::from_secs(seconds) < DEADLINE * 2);
}
