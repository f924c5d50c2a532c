//! `docs/cert-manager.md`, as a reader follows it.

use crate::support::cert_manager::Stage;
use crate::support::test_cluster::TestCluster;
use std::fs;
use tcs_testkit::document::{self, shell_blocks};
use tcs_testkit::{CertManager, ensure_cert_manager, repository};

#[test]
fn case_10_6_our_page_about_cert_manager_works() {
    let page = fs::read_to_string(repository().join("docs/cert-manager.md")).unwrap();
    let blocks = shell_blocks(&page);
    // The page installs the service beside cert-manager.
    let cluster = TestCluster::without_service();
    let assets = ensure_cert_manager(|line| eprintln!("{line}")).unwrap();
    let cert_manager = CertManager::start(&cluster.stack.cluster, &assets).unwrap();
    let stage = Stage { cert_manager, cluster };
    let written = |name: &str| stage.cluster.dir.join(name);
    let mut shell = stage.cluster.stack.shell();
    shell.stdout(fs::File::create(written("out")).unwrap());
    shell.stderr(fs::File::create(written("err")).unwrap());
    let outcome = document::run(&blocks, shell, &written("script"));
    let read = |name: &str| fs::read_to_string(written(name)).unwrap();
    let (out, err) = (read("out"), read("err"));
    outcome.unwrap_or_else(|error| panic!("{error:#}\n{out}\n{err}\n{}", stage.cluster.logs()));
    crate::warnings::assert_listed("docs/cert-manager.md", &err);
    // What the page says that its last command but one prints.
    for part in [
        "tls.crt: OK",
        "DNS:web.shop.svc, DNS:web.shop.svc.cluster.local",
        "RequestForCa: a CA certificate is requested: no caDepth was fixed when the issuer's CA was made, or",
        "cert-manager tries again at ",
        "Next: a refused request is not tried again: change the Certificate",
        "Next: cmctl renew -n shop wrong   # makes cert-manager try now",
    ] {
        assert!(out.contains(part), "{part}\n{out}");
    }
}
