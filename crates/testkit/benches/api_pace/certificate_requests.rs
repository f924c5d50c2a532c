//! A queue of approved `CertificateRequests` of cert-manager, emptied by the service and by cert-manager's
//! own CA issuer. Either has just been started.

use super::bench::Bench;
use super::burst::{Drained, Figures};
use super::contestant::{CaKey, Contestant};
use super::driver::{AT_A_TIME, Certificates, watch};
use super::rounds::Limits;
use super::stage::{NAMESPACE, Stage, end};
use anyhow::{Context, Result};
use futures::TryStreamExt as _;
use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::time::Instant;
use tcs_testkit::cert_manager::{CertManagerAssets, controllers, install};
use tcs_testkit::process::{Program, Supervised, run as run_command};
use tcs_testkit::{ensure_cert_manager, repository};

/// Requests in a queue.
const REQUESTS: usize = 2000;
/// The CA issuer of cert-manager, and its Secret.
const CA: &str = "cert-manager-ca";

/// Prints the figures, and fails if a limit is missed.
pub fn run(programs: &Path, rounds: usize) -> Result<()> {
    let dir = tempfile::tempdir_in(repository().join("target"))?;
    let bench = Bench::new(programs, dir.path())?;
    let assets = ensure_cert_manager(|line| eprintln!("{line}"))?;
    install(&bench.stage.cluster, &assets)?;
    bench.make_issuers(&[CaKey::P256])?;
    let cert_manager = bench.stage.cert_manager(&assets, dir.path())?;
    let requests = Requests::new(bench.driver.client.clone(), &bench.driver.pem.0)?;
    let ours = json!({"group": "tcs.intel.com", "kind": "TCSIssuer", "name": CaKey::P256.issuer()});
    let theirs = json!({"group": "cert-manager.io", "kind": "Issuer", "name": CA});
    let (mut of_ours, mut of_theirs) = (Figures::default(), Figures::default());
    for round in 1..=rounds {
        let start = || Contestant::Tcs(CaKey::P256).start(&bench.stage);
        of_ours.add(round, "TCS", &bench.drain_requests(&requests, &ours, start)?);
        let start = || Ok(vec![cert_manager.spawn()?]);
        of_theirs.add(round, "cert-manager", &bench.drain_requests(&requests, &theirs, start)?);
    }
    println!("TCS, ECDSA-P256 CA: {of_ours}\ncert-manager, ECDSA-P256 CA: {of_theirs}");
    let mut limits = Limits::default();
    limits.at_least("TCS / cert-manager", &of_ours.rate.ratio_to(&of_theirs.rate), 1.5);
    limits.result()
}

impl Bench {
    /// Has somebody empty a queue, and empties the API server.
    fn drain_requests(
        &self,
        requests: &Requests,
        issuer: &Value,
        start: impl Fn() -> Result<Vec<Supervised>>,
    ) -> Result<Drained> {
        self.runtime.block_on(requests.fill(issuer))?;
        let mut certificates = self.runtime.block_on(requests.watch())?;
        let started = Instant::now();
        let processes = start()?;
        let drained = self.emptied(&mut certificates, REQUESTS, started, &processes);
        end(processes)?;
        self.runtime.block_on(requests.clear())?;
        drained.with_context(|| issuer.to_string())
    }
}

impl Stage {
    /// Makes a CA issuer of cert-manager. Returns its controllers.
    fn cert_manager(&self, assets: &CertManagerAssets, dir: &Path) -> Result<Program> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut parameters = rcgen::CertificateParams::new(Vec::new())?;
        parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        parameters.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        let certificate = parameters.self_signed(&key)?.pem();
        let metadata = json!({
            "name": CA, "namespace": NAMESPACE,
            // Otherwise cert-manager would read it from the API server for each request.
            "labels": {"controller.cert-manager.io/fao": "true"},
        });
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [
            {
                "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls", "metadata": metadata,
                "stringData": {"tls.crt": certificate, "tls.key": key.serialize_pem()},
            },
            {
                "apiVersion": "cert-manager.io/v1", "kind": "Issuer",
                "metadata": {"name": CA, "namespace": NAMESPACE}, "spec": {"ca": {"secretName": CA}},
            },
        ]});
        let file = dir.join("cert-manager-issuer.json");
        fs::write(&file, list.to_string())?;
        run_command(self.cluster.kubectl().args(["apply", "-f"]).arg(&file))?;
        let program = controllers(&self.cluster, assets)?;
        let running = program.spawn()?;
        let issuer = format!("issuers.cert-manager.io/{CA}");
        let ready = ["wait", "--for=condition=Ready", "--timeout=120s", "-n", NAMESPACE, &issuer];
        run_command(self.cluster.kubectl().args(ready))?;
        end(vec![running])?;
        Ok(program)
    }
}

/// Makes requests and approves them.
struct Requests {
    client: Client,
    api: Api<DynamicObject>,
    resource: ApiResource,
    /// The PKCS#10 request.
    request: String,
}

impl Requests {
    fn new(client: Client, pem: &[u8]) -> Result<Self> {
        let kind = GroupVersionKind::gvk("cert-manager.io", "v1", "CertificateRequest");
        let resource = ApiResource::from_gvk(&kind);
        let api = Api::namespaced_with(client.clone(), NAMESPACE, &resource);
        let encoded = serde_json::to_value(k8s_openapi::ByteString(pem.to_vec()))?;
        let request = encoded.as_str().context("it is a text")?.to_owned();
        Ok(Self { client, api, resource, request })
    }

    async fn fill(&self, issuer: &Value) -> Result<()> {
        let numbers = futures::stream::iter((0..REQUESTS).map(Ok));
        numbers.try_for_each_concurrent(AT_A_TIME, |number| self.approved(number, issuer)).await
    }

    async fn approved(&self, number: usize, issuer: &Value) -> Result<()> {
        let name = format!("queued-{number}");
        let mut request = DynamicObject::new(&name, &self.resource).data(json!({"spec": {
            "request": self.request, "issuerRef": issuer, "usages": ["digital signature", "client auth"],
        }}));
        request = self.api.create(&PostParams::default(), &request).await?;
        let approved = json!({
            "type": "Approved", "status": "True", "reason": "Bench", "message": "approved",
            "lastTransitionTime": request.metadata.creation_timestamp,
        });
        let status = json!({"conditions": [approved]});
        request.data.as_object_mut().context("an object")?.insert("status".to_owned(), status);
        self.api.replace_status(&name, &PostParams::default(), &request).await?;
        Ok(())
    }

    async fn watch(&self) -> Result<Certificates> {
        watch(&self.client, &self.api).await
    }

    async fn clear(&self) -> Result<()> {
        self.api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        Ok(())
    }
}
