//! The user's document, word for word, and our page that tells the same (acceptance 1.2).

use crate::bed::{Bed, SOON};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tcs_testkit::document::{self, shell_blocks};
use tcs_testkit::process::wait_for;
use tcs_testkit::repository;

const FOUR_LINES: &str = "Public key hash verification successful\nSGX_QL_QV_RESULT_OK\n\
                          Quote is correct, platform contains latest TCB.\nQuote verification successful\n";

fn users_document() -> String {
    std::fs::read_to_string(repository().join("tests/e2e/data/users-document.md")).unwrap()
}

fn our_page() -> String {
    std::fs::read_to_string(repository().join("docs/integrate-key-server.md")).unwrap()
}

/// The document's port 9091 and its names in /tmp are fixed.
fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn shell(bed: &Bed) -> Command {
    let mut shell = bed.stack.shell();
    shell.stdout(Stdio::inherit());
    shell
}

#[test]
fn w_d14_the_users_document_works_word_for_word() {
    let _alone = alone();
    let bed = Bed::bare();
    let blocks = shell_blocks(&users_document());
    assert_eq!(blocks.len(), 9, "{blocks:#?}");
    // A person takes a while between the blocks; a script has to wait for what the document says will be there.
    let mut script = Vec::new();
    for block in blocks {
        if block.starts_with("kubectl get quoteattestations.tcs.intel.com -n tcs-issuer\n")
            || block == "kubectl get quoteattestations.tcs.intel.com -n tcs-issuer"
        {
            let wait = "kubectl wait --for=create --timeout=60s -n tcs-issuer \
                 quoteattestations.tcs.intel.com/sandbox.external-ca.tcsissuer.tcs.intel.com >&2";
            script.push(wait.to_owned());
        }
        if block.starts_with("km-attest ") {
            script.push(format!("{block} > {}/attested", bed.dir.display()));
        }
        script.push(block);
    }
    script.push(
        "kubectl wait --for=condition=Ready --timeout=60s -n sandbox tcsissuers.tcs.intel.com/external-ca"
            .into(),
    );
    // The rest of the document in its own words: a CSR made by openssl, approved, gets a certificate.
    let page = shell_blocks(&our_page());
    script.push(page.last().unwrap().clone());
    document::run(&script, shell(&bed), &bed.dir.join("script")).unwrap_or_else(|error| {
        panic!("{error:#}\n{}\n{}\n{}", bed.log("node"), bed.log("tcs-issuer"), bed.log("tcs-enclave"))
    });
    let attested = std::fs::read_to_string(bed.dir.join("attested")).unwrap();
    assert_eq!(attested, FOUR_LINES);
    let listed = bed.kubectl(&[
        "get",
        "secret",
        "-n",
        "sandbox",
        "external-ca-secret",
        "-o",
        "jsonpath={.type} {.data.tls\\.key}",
    ]);
    assert_eq!(listed, "kubernetes.io/tls ");
    wait_for(SOON, "the QuoteAttestation to go", || {
        Ok(bed
            .kubectl(&["get", "quoteattestations.tcs.intel.com", "-A", "-o", "name"])
            .is_empty()
            .then_some(()))
    })
    .unwrap();
    // The key owner's Secret is the key owner's.
    bed.kubectl(&["get", "secret", "-n", "tcs-issuer", "wrapped-key"]);
}

#[test]
fn our_page_works_and_holds_every_command_of_the_document() {
    let _alone = alone();
    let (page, document) = (shell_blocks(&our_page()), shell_blocks(&users_document()));
    for block in &document {
        assert!(page.contains(block), "the page lacks a block of the document:\n{block}");
    }
    let bed = Bed::bare();
    let errors = bed.dir.join("standard-error");
    let mut shell = shell(&bed);
    shell.stderr(std::fs::File::create(&errors).unwrap());
    let outcome = document::run(&page, shell, &bed.dir.join("script"));
    let written = std::fs::read_to_string(&errors).unwrap();
    outcome.unwrap_or_else(|error| {
        let logs = ["node", "tcs-issuer", "tcs-enclave"].map(|name| bed.log(name)).join("\n");
        panic!("{error:#}\n{written}\n{logs}")
    });
    crate::warnings::assert_listed("docs/integrate-key-server.md", &written);
}
