//! Who may use which CA: a request for an issuer of a namespace is signed only if its requester may
//! `reference` that issuer.

use crate::support::account::{Account, approved_as, run_as_printed};
use crate::support::api_server;
use crate::support::csr::{Csr, NewCsr};
use crate::support::disturbed::Disturbed;
use crate::support::issuer::Issuer;
use crate::support::objects::issuer_object;
use crate::support::openssl::request;
use crate::support::test_cluster::{TestCluster, shared};
use crate::support::wait::unique;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::json;
use std::path::Path;
use std::time::Instant;

/// The command that the message of a refused request prints.
fn printed_command(refused: &Csr<'_>) -> String {
    assert_eq!(refused.failure(), "ReferenceNotAllowed");
    let message = refused.failure_message();
    let (_, command) = message.split_once("create a new request: ").unwrap_or_else(|| panic!("{message}"));
    command.replace("csr NAME ", &format!("csr {} ", refused.name))
}

#[test]
fn b01_signer_access_by_sar() {
    let cluster = shared();
    let issuer = Issuer::self_signed_ready(cluster, "guarded");
    let account = Account::new(cluster);
    let refused = account.approved(&issuer.signer());
    let command = printed_command(&refused);
    let expected = format!("may not use TCSIssuer {}/guarded", issuer.namespace);
    assert!(refused.failure_message().contains(&expected), "{}", refused.failure_message());
    refused.await_event_with("ReferenceNotAllowed", &expected);
    assert!(command.contains(&format!(" --serviceaccount={}:web ", account.namespace)), "{command}");

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
    let issuer = Issuer::self_signed_ready(cluster, "roles");
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
    let issuer = Issuer::self_signed_ready(cluster, "quoted");
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
    let issuer = Issuer::self_signed_ready(cluster, "granted");
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
    let issuer = Issuer::self_signed_ready(&cluster, "undecided");
    let account = Account::new(&cluster);
    let mut role = cluster.get_json(&["clusterrole", "tcs-issuer"]);
    let rules = role["rules"].as_array_mut().unwrap();
    rules.retain(|rule| rule["resources"] != json!(["subjectaccessreviews"]));
    cluster.try_kubectl_with(&["replace"], &role).unwrap();
    let service = ["--as", "system:serviceaccount:tcs-issuer:tcs-issuer"];
    let question = ["auth", "can-i", "create", "subjectaccessreviews.authorization.k8s.io"];
    // kubectl fails if the answer is no.
    cluster
        .wait_until("the right to go", || cluster.try_kubectl(&[&question[..], &service].concat()).is_err());

    let waiting = account.approved(&issuer.signer());
    waiting.await_event_with("WaitingForAccessReview", "deployment/access.yaml");
    waiting.assert_untouched();
    // What the message says helps, and the request is reviewed then.
    cluster.kubectl(&["apply", "-f", "deployment/access.yaml"]);
    assert_eq!(waiting.failure(), "ReferenceNotAllowed");
    let metrics = cluster.metrics().unwrap();
    assert!(metrics.contains("tcs_access_reviews_total{code=\"Error\"}"), "{metrics}");
}

/// How many reviews the API server has been asked for.
fn reviews(cluster: &TestCluster) -> u64 {
    let metrics = cluster.kubectl(&["get", "--raw", "/metrics"]);
    let counts = metrics.lines().filter(|line| {
        line.starts_with("apiserver_request_total{") && line.contains("resource=\"subjectaccessreviews\"")
    });
    counts.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// The requests of a burst, and the runtime of their client.
struct Burst<'a> {
    account: &'a Account<'a>,
    signer: String,
    runtime: tokio::runtime::Runtime,
}

type Requests = Api<CertificateSigningRequest>;

impl Burst<'_> {
    /// Creates requests and approves them, sixteen at a time, and waits for their results. How many were
    /// signed, how many reviews that cost, and the seconds that it took.
    fn run(&self, count: usize) -> (usize, u64, u64) {
        let cluster = self.account.cluster;
        let (before, start) = (reviews(cluster), Instant::now());
        let admin: Requests = Api::all(self.client(&cluster.stack.cluster.admin_kubeconfig()));
        let names = self.runtime.block_on(self.create(&admin, count));
        let signed = cluster.wait_for("the results of a burst", || {
            self.runtime.block_on(results(&admin, &names)).filter(|(_, all)| *all == count)
        });
        (signed.0, reviews(cluster) - before, start.elapsed().as_secs())
    }

    fn client(&self, kubeconfig: &Path) -> Client {
        self.runtime.block_on(api_server::client(kubeconfig))
    }

    async fn create(&self, admin: &Requests, count: usize) -> Vec<String> {
        let pem = request(self.account.cluster, &[]);
        let requester: Requests = Api::all(api_server::client(&self.account.kubeconfig).await);
        let mut names = Vec::new();
        while names.len() < count {
            let mut tasks = tokio::task::JoinSet::new();
            for _ in names.len()..count.min(names.len() + 16) {
                let object = NewCsr::new(&self.signer, &pem).object();
                names.push(object.metadata.name.clone().unwrap());
                tasks.spawn(create_and_approve(object, requester.clone(), admin.clone()));
            }
            tasks.join_all().await;
        }
        names
    }
}

async fn create_and_approve(object: CertificateSigningRequest, requester: Requests, admin: Requests) {
    requester.create(&PostParams::default(), &object).await.unwrap();
    let approved = json!([{"type": "Approved", "status": "True", "reason": "Test"}]);
    let patch = Patch::Merge(json!({"status": {"conditions": approved}}));
    let name = object.metadata.name.unwrap();
    admin.patch_approval(&name, &PatchParams::default(), &patch).await.unwrap();
}

/// How many of these requests were signed, and how many were signed or failed.
async fn results(api: &Requests, names: &[String]) -> Option<(usize, usize)> {
    let all = api.list(&ListParams::default()).await.ok()?;
    let ours =
        all.items.into_iter().filter(|csr| csr.metadata.name.as_ref().is_some_and(|n| names.contains(n)));
    let (mut signed, mut finished) = (0, 0);
    for status in ours.filter_map(|csr| csr.status) {
        let failed = status.conditions.iter().flatten().any(|condition| condition.type_ == "Failed");
        signed += usize::from(status.certificate.is_some());
        finished += usize::from(status.certificate.is_some() || failed);
    }
    Some((signed, finished))
}

#[test]
fn b01_a_burst_of_one_requester_costs_a_handful_of_reviews() {
    let cluster = Disturbed::lock();
    let issuer = Issuer::self_signed_ready(&cluster, "burst");
    let account = Account::new(&cluster);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let burst = Burst { account: &account, signer: issuer.signer(), runtime };

    let (signed, cost, seconds) = burst.run(300);
    assert_eq!(signed, 0);
    assert!((1..=seconds / 2 + 2).contains(&cost), "{cost} reviews in {seconds} s");

    run_as_printed(&cluster, &printed_command(&account.approved(&issuer.signer())));
    let (signed, cost, seconds) = burst.run(1000);
    assert_eq!(signed, 1000);
    assert!((1..=seconds / 30 + 2).contains(&cost), "{cost} reviews in {seconds} s");
}
