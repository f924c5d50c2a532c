//! Programs that end in the middle of a burst of Certificates.

use crate::support::api_server;
use crate::support::cert_manager::{Certificate, Issued, NewCertificate, Stage, condition, revision_of};
use crate::support::encoding::{decode, field};
use crate::support::history::{Recorded, Recorder};
use crate::support::issuer::Issuer;
use crate::support::openssl;
use crate::support::test_cluster::{CONTROLLER, ENCLAVE, LEASE};
use crate::support::wait::DEADLINE;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::{Api, ResourceExt as _};
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use tcs_api::SERVICE_NAMESPACE;
use tcs_testkit::process::{Signal, wait_for};
use tokio::runtime::Runtime;

/// Certificates that are made before each fault.
const AT_ONCE: usize = 40;

impl Recorded for DynamicObject {
    fn certificate(&self) -> Option<String> {
        let text = self.data["status"]["certificate"].as_str()?;
        Some(String::from_utf8(decode(text)).unwrap())
    }

    fn failed(&self) -> Option<String> {
        let object = json!({"status": self.data["status"]});
        let ready = condition(&object, "Ready");
        let reason = ready["reason"].as_str().filter(|reason| matches!(*reason, "Failed" | "Denied"))?;
        Some(reason.to_owned())
    }
}

/// Certificates of one issuer, and a record of their requests.
struct Burst<'a> {
    stage: &'a Stage,
    issuer: &'a Issuer<'a>,
    made: Vec<Certificate<'a>>,
    recorder: Recorder<DynamicObject>,
    /// The recorder ends with it.
    runtime: Runtime,
}

impl<'a> Burst<'a> {
    fn new(stage: &'a Stage, issuer: &'a Issuer<'a>) -> Self {
        let runtime = Runtime::new().unwrap();
        let kubeconfig = stage.cluster.stack.cluster.admin_kubeconfig();
        let client = runtime.block_on(api_server::client(&kubeconfig));
        let kind = GroupVersionKind::gvk("cert-manager.io", "v1", "CertificateRequest");
        let api: Api<DynamicObject> = Api::all_with(client, &ApiResource::from_gvk(&kind));
        let at_start = runtime.block_on(api.list_metadata(&ListParams::default().limit(1))).unwrap();
        let recorder = Recorder::new(api, "certificate-");
        runtime.spawn(recorder.clone().run(at_start.metadata.resource_version.unwrap()));
        Self { stage, issuer, made: Vec::new(), recorder, runtime }
    }

    /// Makes Certificates, kills a program as soon as some of their requests have a certificate, and requires
    /// that others have none then.
    fn disturb(&mut self, kill: impl FnOnce(&Stage), recover: impl FnOnce(&Stage)) {
        let before = self.recorder.certified();
        let new: Vec<_> = (0..AT_ONCE).map(|_| NewCertificate::new(self.issuer, "").object()).collect();
        let list = json!({"apiVersion": "v1", "kind": "List", "items": new});
        self.stage.cluster.try_kubectl_with(&["create"], &list).unwrap();
        self.made.extend(new.iter().map(|object| Certificate {
            cluster: &self.stage.cluster,
            namespace: self.issuer.namespace.clone(),
            name: object["metadata"]["name"].as_str().unwrap().to_owned(),
        }));
        self.await_certified(before + AT_ONCE / 10);
        kill(self.stage);
        let open = self.made.len() - self.recorder.certified();
        eprintln!("{open} of {AT_ONCE} Certificates had no certificate at the fault");
        assert!(open > AT_ONCE / 4, "only {open} Certificates are open");
        recover(self.stage);
    }

    fn await_certified(&self, count: usize) {
        let certified = || self.recorder.certified();
        wait_for(DEADLINE, &format!("{count} certificates"), || Ok((certified() >= count).then_some(())))
            .unwrap_or_else(|error| {
                let log = self.stage.cert_manager.log().unwrap_or_default();
                panic!("{error:#}; there are {}\n{}\n{log}", certified(), self.stage.cluster.logs())
            });
    }

    /// Requires that every Certificate gets ready, and that it has exactly one current certificate.
    fn check(self) {
        let cluster = &self.stage.cluster;
        let list = ["-n", &self.issuer.namespace, "certificates.cert-manager.io"];
        let items = |list: Value| list["items"].as_array().cloned().unwrap_or_default();
        // The Secret is written before the revision.
        let is_settled = |one: &Value| {
            condition(one, "Ready")["status"] == "True" && condition(one, "Issuing")["status"] != "True"
        };
        let certificates = cluster.wait_for("all Certificates to be ready", || {
            let all = items(cluster.get_json(&list));
            (all.len() == self.made.len() && all.iter().all(is_settled)).then_some(all)
        });
        let histories = self.runtime.block_on(self.recorder.histories()).unwrap();
        let requests =
            items(cluster.get_json(&["-n", &self.issuer.namespace, "certificaterequests.cert-manager.io"]));
        let secrets = cluster.list::<Secret>(&self.issuer.namespace).into_iter();
        let secrets: HashMap<_, _> = secrets.map(|secret| (secret.name_any(), secret)).collect();
        let mut leaves: Vec<PathBuf> = Vec::new();
        let mut distinct = HashSet::new();
        for certificate in &self.made {
            let object =
                certificates.iter().find(|one| one["metadata"]["name"] == certificate.name.as_str()).unwrap();
            let is_current = |request: &&Value| {
                request["metadata"]["ownerReferences"][0]["uid"] == object["metadata"]["uid"]
                    && Some(revision_of(request)) == object["status"]["revision"].as_u64()
            };
            let current: Vec<_> = requests.iter().filter(is_current).collect();
            let [request] = current.as_slice() else { panic!("{object}: {requests:?}") };
            let name = request["metadata"]["name"].as_str().unwrap();
            let only = histories[name].only_certificate(name);
            let secret = &secrets[&certificate.name];
            assert_eq!(String::from_utf8_lossy(field(secret, "tls.crt")), only, "{name}");
            assert!(distinct.insert(only));
            let issued = Issued::of(cluster, secret);
            issued.check();
            leaves.push(issued.chain);
        }
        for (name, history) in &histories {
            // Requests of earlier revisions, too, had one certificate at most.
            assert!(history.certificates() <= 1, "{name}");
        }
        openssl::verify(&self.issuer.bundle(), &leaves.iter().collect::<Vec<_>>());
    }
}

#[test]
fn case_10_4_leader_enclave_api_server_and_cert_manager_killed_in_a_burst_of_certificates() {
    let stage = Stage::new();
    let issuer = Issuer::self_signed_ready(&stage.cluster, "chaos");
    let mut burst = Burst::new(&stage, &issuer);
    // The successor need not wait until the Lease of its predecessor expires.
    let lease = ["delete", "lease", "-n", SERVICE_NAMESPACE, LEASE, "--ignore-not-found"];
    burst.disturb(
        |stage| {
            stage.cluster.signal(CONTROLLER, Signal::KILL);
        },
        |stage| drop(stage.cluster.kubectl(&lease)),
    );
    burst.disturb(
        |stage| {
            stage.cluster.signal(ENCLAVE, Signal::KILL);
        },
        |_| {},
    );
    burst.disturb(
        |stage| stage.cluster.stack.cluster.kill_api_server().unwrap(),
        |stage| stage.cluster.stack.cluster.start_api_server().unwrap(),
    );
    burst.disturb(
        |stage| stage.cert_manager.kill_controllers().unwrap(),
        |stage| stage.cert_manager.start_controllers().unwrap(),
    );
    burst.check();
}
