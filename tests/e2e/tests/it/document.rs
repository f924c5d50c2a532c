//! The original walk-through word for word, and our page that contains it.

use crate::support::test_cluster::TestCluster;
use k8s_openapi::api::core::v1::Secret;
use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tcs_testkit::document::{self, shell_blocks};
use tcs_testkit::repository;

const FOUR_LINES: &str = "Public key hash verification successful\nSGX_QL_QV_RESULT_OK\n\
                          Quote is correct, platform contains latest TCB.\nQuote verification successful\n";
const LIST_OFFERS: &str = "kubectl get quoteattestations.tcs.intel.com -n tcs-issuer";
const AWAIT_OFFER: &str = "kubectl wait --for=create --timeout=60s -n tcs-issuer \
    quoteattestations.tcs.intel.com/sandbox.external-ca.tcsissuer.tcs.intel.com >&2";
const AWAIT_ISSUER: &str =
    "kubectl wait --for=condition=Ready --timeout=60s -n sandbox tcsissuers.tcs.intel.com/external-ca";

/// The shell blocks of the original walk-through.
fn users_document() -> Vec<String> {
    shell_blocks(&fs::read_to_string(repository().join("tests/e2e/data/users-document.md")).unwrap())
}

/// The shell blocks of our page.
fn our_page() -> Vec<String> {
    shell_blocks(&fs::read_to_string(repository().join("docs/integrate-key-server.md")).unwrap())
}

/// Port 9091 and the names in /tmp are fixed in the walk-through, so only one test may run it at a time.
fn exclusively() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shell(cluster: &TestCluster) -> Command {
    let mut shell = cluster.stack.shell();
    shell.stdout(Stdio::inherit());
    shell
}

fn run_blocks(cluster: &TestCluster, blocks: &[String]) {
    document::run(blocks, shell(cluster), &cluster.dir.join("script"))
        .unwrap_or_else(|error| panic!("{error:#}\n{}", cluster.logs()));
}

/// The walk-through as a script. A person takes a while between the blocks; a script has to wait for what the
/// walk-through expects to be there.
fn script(cluster: &TestCluster) -> Vec<String> {
    let blocks = users_document();
    assert_eq!(blocks.len(), 9, "{blocks:#?}");
    let mut script = Vec::new();
    for block in blocks {
        if block.lines().next() == Some(LIST_OFFERS) {
            script.push(AWAIT_OFFER.to_owned());
        }
        if block.starts_with("km-attest ") {
            script.push(format!("{block} > {}/attested", cluster.dir.display()));
        }
        script.push(block);
    }
    script.push(AWAIT_ISSUER.to_owned());
    // What the original describes without commands: a request made by openssl and approved gets a
    // certificate.
    script.push(our_page().last().unwrap().clone());
    script
}

#[test]
fn w_d14_the_users_document_works_word_for_word() {
    let _exclusively = exclusively();
    let cluster = TestCluster::without_service();
    run_blocks(&cluster, &script(&cluster));
    assert_eq!(fs::read_to_string(cluster.dir.join("attested")).unwrap(), FOUR_LINES);
    let published = cluster.get::<Secret>("sandbox", "external-ca-secret").unwrap();
    assert_eq!(published.type_.as_deref(), Some("kubernetes.io/tls"));
    assert_eq!(published.data.unwrap()["tls.key"].0, b"");
    cluster.wait_until("the QuoteAttestation to go", || {
        cluster.kubectl(&["get", "quoteattestations.tcs.intel.com", "-A", "-o", "name"]).is_empty()
    });
    assert!(
        cluster.service_secret("wrapped-key").is_some(),
        "the Secret of the key owner is not ours to delete"
    );
}

#[test]
fn our_page_works_and_holds_every_command_of_the_document() {
    let _exclusively = exclusively();
    let page = our_page();
    for block in users_document() {
        assert!(page.contains(&block), "the page lacks a block of the walk-through:\n{block}");
    }
    let cluster = TestCluster::without_service();
    let errors = cluster.dir.join("standard-error");
    let mut shell = shell(&cluster);
    shell.stderr(fs::File::create(&errors).unwrap());
    let outcome = document::run(&page, shell, &cluster.dir.join("script"));
    let written = fs::read_to_string(&errors).unwrap();
    outcome.unwrap_or_else(|error| {
        panic!(
            "{error:#}
{written}
{}",
            cluster.logs()
        )
    });
    crate::warnings::assert_listed("docs/integrate-key-server.md", &written);
}
