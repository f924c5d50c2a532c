//! Which crate may depend on which, and which crates may never be dependencies (`docs/architecture.md`,
//! "Crates").

use crate::cargo::cargo;
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tcs_testkit::repository;

/// Normal dependencies among our crates with default features.
const ALLOWED: &[(&str, &[&str])] = &[
    ("tcs-x509", &[]),
    ("tcs-keywrap", &[]),
    ("tcs-evidence", &[]),
    ("tcs-api", &[]),
    ("tcs-pem", &[]),
    ("tcs-pkcs11", &[]),
    ("tcs-verifier", &["tcs-evidence"]),
    ("tcs-enclave-rpc", &["tcs-evidence"]),
    ("tcs-enclave", &["tcs-x509", "tcs-keywrap", "tcs-evidence", "tcs-enclave-rpc"]),
    ("tcs-issuer", &["tcs-api", "tcs-enclave-rpc", "tcs-pem"]),
    ("tcs-km", &["tcs-verifier", "tcs-keywrap", "tcs-evidence", "tcs-pem", "tcs-pkcs11"]),
    ("kubectl-tcs", &["tcs-api", "tcs-pem", "tcs-x509"]),
    ("tcs-sgx-sim", &["tcs-evidence"]),
];

/// Further dependencies, which are optional and belong to a feature.
const BY_FEATURE: &[(&str, &str)] =
    &[("tcs-enclave", "tcs-sgx-sim"), ("tcs-enclave", "tcs-pkcs11"), ("tcs-km", "tcs-sgx-sim")];

/// Packages that are not part of the product and may depend on any of our crates.
const FREE: &[&str] = &["tcs-go-oracle", "tcs-testkit", "xtask", "tcs-e2e"];

/// Pure crates use no file, network, clock, thread or async runtime.
const PURE: &[&str] = &["tcs-x509", "tcs-keywrap", "tcs-evidence", "tcs-pem", "tcs-verifier"];

fn metadata() -> Metadata {
    MetadataCommand::new().manifest_path(repository().join("Cargo.toml")).exec().unwrap()
}

fn members(metadata: &Metadata) -> BTreeMap<String, &Package> {
    metadata.workspace_packages().into_iter().map(|package| (package.name.to_string(), package)).collect()
}

/// The names of all crates in the normal dependency tree of a package, with default features and those given.
fn normal_tree(package: &str, features: &str) -> BTreeSet<String> {
    let mut command = cargo();
    command.args(["tree", "--package", package, "--edges", "normal", "--prefix", "none"]);
    if !features.is_empty() {
        command.args(["--features", features]);
    }
    let text = tcs_testkit::process::run(command.args(["--format", "{p}"])).unwrap();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn every_dependency_is_on_the_list() {
    let metadata = metadata();
    let members = members(&metadata);
    for (name, package) in &members {
        if FREE.contains(&name.as_str()) {
            continue;
        }
        let allowed = ALLOWED.iter().find(|(from, _)| from == name);
        let (_, allowed) = allowed.unwrap_or_else(|| panic!("{name} is not on the list"));
        for dependency in package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal) {
            let to = dependency.name.as_str();
            if !members.contains_key(to) {
                continue;
            }
            let opened = dependency.optional && BY_FEATURE.contains(&(name.as_str(), to));
            assert!(allowed.contains(&to) || opened, "{name} must not depend on {to}");
        }
    }
}

#[test]
fn no_manifest_enables_simulation() {
    let metadata = metadata();
    for (name, package) in members(&metadata) {
        let default = package.features.get("default").cloned().unwrap_or_default();
        assert!(!default.iter().any(|feature| feature.contains("simulation")), "{name}");
        for dependency in &package.dependencies {
            assert!(!dependency.features.iter().any(|f| f == "simulation"), "{name} -> {}", dependency.name);
        }
    }
    for program in ["tcs-enclave", "tcs-km"] {
        assert!(!normal_tree(program, "").contains("tcs-sgx-sim"), "{program}");
    }
    assert!(normal_tree("tcs-enclave", "simulation").contains("tcs-sgx-sim"), "the check itself works");
}

#[test]
fn forbidden_crates_stay_out() {
    let metadata = metadata();
    let names: HashMap<&PackageId, &str> =
        metadata.packages.iter().map(|p| (&p.id, p.name.as_str())).collect();
    let resolved: Vec<&str> =
        metadata.resolve.as_ref().unwrap().nodes.iter().map(|node| names[&node.id]).collect();
    let count = |name: &str| resolved.iter().filter(|found| **found == name).count();
    assert_eq!(count("k8s-openapi"), 1);
    assert_eq!(count("rustls"), 1);
    for product in ["tcs-issuer", "tcs-enclave", "tcs-km", "kubectl-tcs"] {
        let tree = normal_tree(product, "");
        for banned in ["ring", "openssl-sys", "native-tls", "rsa", "p256"] {
            assert!(!tree.contains(banned), "{product} contains {banned}");
        }
    }
}

#[test]
fn the_enclave_stays_small() {
    for features in ["", "simulation"] {
        let tree = normal_tree("tcs-enclave", features);
        for banned in ["tokio", "hyper", "rustls", "kube", "k8s-openapi"] {
            assert!(!tree.contains(banned), "tcs-enclave ({features}) contains {banned}");
        }
    }
}

#[test]
fn pure_crates_touch_nothing_outside() {
    const OUTSIDE: [&str; 8] = [
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "std::process",
        "SystemTime::now",
        "Instant::now",
        "tokio",
    ];
    let mut files = 0;
    for name in PURE {
        let dir = repository().join("crates").join(name.trim_start_matches("tcs-")).join("src");
        let mut folders = vec![dir];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let is_test = path.file_stem().is_some_and(|stem| stem == "tests");
                if is_test || path.extension().is_none_or(|ending| ending != "rs") {
                    continue;
                }
                files += 1;
                let text = std::fs::read_to_string(&path).unwrap();
                let product = text.split("#[cfg(test)]").next().unwrap_or_default();
                for outside in OUTSIDE {
                    assert!(!product.contains(outside), "{} uses {outside}", path.display());
                }
            }
        }
    }
    assert!(files >= PURE.len());
}
