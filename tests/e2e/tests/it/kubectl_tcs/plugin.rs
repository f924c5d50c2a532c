//! The program as a plugin of kubectl: how it is found, and which cluster it talks to.

use super::{Run, program, program_as, tcs};
use crate::support::test_cluster::shared;
use std::fs;

#[test]
fn case_9_8_kubectl_finds_the_plugin_and_its_kubeconfig() {
    // The environment of a stack has kubectl and the plugin on its PATH, and KUBECONFIG.
    let mut shell = shared().stack.shell();
    let run = Run::of(shell.args(["-c", "kubectl tcs status --namespace default -o json"]));
    assert_eq!(run.document()["verb"], "status");
}

#[test]
fn case_9_8_the_context_decides_cluster_and_namespace() {
    let cluster = shared();
    let text = fs::read_to_string(cluster.stack.cluster.admin_kubeconfig()).unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut other = config["contexts"][0].clone();
    other["name"] = "other".into();
    other["context"]["namespace"] = "kube-system".into();
    config["contexts"].as_array_mut().unwrap().push(other);
    let path = cluster.new_file("kubeconfig", config.to_string());
    let status =
        |context: &str| Run::of(program_as(cluster, &path).args(["status", "nobody", "--context", context]));
    assert!(status("other").failed(5, "NotFound").contains("TCSIssuer kube-system/nobody"));
    assert!(status("control-plane").failed(5, "NotFound").contains("TCSIssuer default/nobody"));
    let neither = status("neither");
    assert!(neither.failed(6, "KubeconfigUnusable").contains("it has: control-plane, other"), "{neither:?}");
}

#[test]
fn case_9_8_a_server_that_does_not_answer_is_named() {
    let cluster = shared();
    let text = fs::read_to_string(cluster.stack.cluster.admin_kubeconfig()).unwrap();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config: serde_json::Value = serde_json::from_str(&text).unwrap();
    config["clusters"][0]["cluster"]["server"] = format!("https://{}", silent.local_addr().unwrap()).into();
    let path = cluster.new_file("kubeconfig", config.to_string());
    let mut slow = program_as(cluster, &path);
    Run::of(slow.args(["status", "--request-timeout=1s"])).failed(6, "RequestTimeout");
    drop(silent);
    let refused = Run::of(program_as(cluster, &path).arg("status"));
    assert!(refused.failed(6, "Unreachable").contains("https://127.0.0.1:"), "{refused:?}");
    Run::of(program_as(cluster, &cluster.dir.join("nowhere")).arg("status")).failed(6, "KubeconfigUnusable");
}

#[test]
fn case_9_8_completions_and_manual_pages_need_no_cluster() {
    let nowhere = shared().dir.join("nowhere");
    for shell in ["bash", "zsh", "fish"] {
        let run = Run::of(program_as(shared(), &nowhere).args(["completion", shell]));
        assert!(run.done().contains("inspect"), "{shell}");
    }
    let manual = Run::of(program_as(shared(), &nowhere).arg("man"));
    assert!(manual.done().contains(".TH kubectl"), "{}", manual.out);
    let version = Run::of(program(shared()).arg("--version"));
    assert!(version.done().starts_with("kubectl-tcs "), "{version:?}");
    assert_eq!(tcs(shared(), &["nothing"]).status, 2);
}
