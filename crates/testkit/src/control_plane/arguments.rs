//! Command lines of the control plane's programs.

use crate::pki::Pki;
use anyhow::{Context, Result};
use std::path::Path;

/// The controllers that work without nodes and that tests or users of the service rely on.
const CONTROLLERS: [&str; 9] = [
    "namespace",
    "serviceaccount",
    "serviceaccount-token",
    "garbagecollector",
    "root-ca-certificate-publisher-controller",
    "certificatesigningrequest-signing-controller",
    "certificatesigningrequest-cleaner-controller",
    "certificatesigningrequest-approving-controller",
    "clusterrole-aggregation-controller",
];

pub(super) fn etcd(data: &Path, pki: &Pki, client_port: u16, peer_port: u16) -> Result<Vec<String>> {
    let (client, peer) =
        (format!("https://127.0.0.1:{client_port}"), format!("https://127.0.0.1:{peer_port}"));
    let (certificate, key) = (text(&pki.etcd.certificate)?, text(&pki.etcd.key)?);
    let ca = text(&pki.etcd_ca.certificate)?;
    // TLS with its own CA: if another control plane on this machine takes the port first, our API server must
    // not write into its etcd.
    Ok(vec![
        flag("name", "control-plane"),
        flag("data-dir", text(data)?),
        flag("listen-client-urls", &client),
        flag("advertise-client-urls", &client),
        flag("cert-file", certificate),
        flag("key-file", key),
        flag("trusted-ca-file", ca),
        flag("client-cert-auth", "true"),
        flag("listen-peer-urls", &peer),
        flag("initial-advertise-peer-urls", &peer),
        flag("initial-cluster", &format!("control-plane={peer}")),
        flag("peer-cert-file", certificate),
        flag("peer-key-file", key),
        flag("peer-trusted-ca-file", ca),
        flag("peer-client-cert-auth", "true"),
        // The default, 2 GiB, is less than what `cargo xtask bench memory` stores.
        flag("quota-backend-bytes", "8589934592"),
        // The state is discarded with the control plane, so it need not survive a power cut.
        flag("unsafe-no-fsync", "true"),
        flag("log-level", "warn"),
    ])
}

pub(super) fn api_server(pki: &Pki, etcd_port: u16, secure_port: u16) -> Result<Vec<String>> {
    Ok(vec![
        flag("etcd-servers", &format!("https://127.0.0.1:{etcd_port}")),
        flag("etcd-cafile", text(&pki.etcd_ca.certificate)?),
        flag("etcd-certfile", text(&pki.etcd_client.certificate)?),
        flag("etcd-keyfile", text(&pki.etcd_client.key)?),
        flag("bind-address", "127.0.0.1"),
        flag("secure-port", &secure_port.to_string()),
        flag("tls-cert-file", text(&pki.api_server.certificate)?),
        flag("tls-private-key-file", text(&pki.api_server.key)?),
        flag("client-ca-file", text(&pki.ca.certificate)?),
        flag("service-account-issuer", "https://kubernetes.default.svc.cluster.local"),
        flag("service-account-key-file", text(&pki.service_account_public_key)?),
        flag("service-account-signing-key-file", text(&pki.service_account_key)?),
        flag("authorization-mode", "RBAC"),
        flag("service-cluster-ip-range", "10.0.0.0/24"),
        flag("allow-privileged", "true"),
        // It holds a pod back until its ServiceAccount exists, which takes a controller manager.
        flag("disable-admission-plugins", "ServiceAccount"),
    ])
}

pub(super) fn controller_manager(pki: &Pki, kubeconfig: &Path) -> Result<Vec<String>> {
    Ok(vec![
        flag("kubeconfig", text(kubeconfig)?),
        // Nothing connects to it, so it needs no port.
        flag("secure-port", "0"),
        flag("use-service-account-credentials", "true"),
        flag("service-account-private-key-file", text(&pki.service_account_key)?),
        flag("root-ca-file", text(&pki.ca.certificate)?),
        flag("cluster-signing-cert-file", text(&pki.ca.certificate)?),
        flag("cluster-signing-key-file", text(&pki.ca.key)?),
        flag("leader-elect", "false"),
        flag("controllers", &CONTROLLERS.join(",")),
        // The defaults, 20 and 30, cost seconds at the start and hide how fast others are.
        flag("kube-api-qps", "500"),
        flag("kube-api-burst", "1000"),
    ])
}

fn flag(name: &str, value: &str) -> String {
    format!("--{name}={value}")
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not valid text", path.display()))
}
