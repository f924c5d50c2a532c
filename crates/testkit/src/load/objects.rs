//! The objects of a load.

use super::kind::Load;
use crate::process::run;
use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use k8s_openapi::api::core::v1::Event;
use kube::api::{ApiResource, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use std::cell::Cell;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

/// The namespace of the issuers.
pub const NAMESPACE: &str = "load";
/// Writes at the same time.
const WRITES: usize = 8;
/// The largest annotations that the API server takes have 256 KiB with their keys.
const ANNOTATIONS: usize = (256 << 10) - 64;
/// Labels with the longest keys and values. The API server bounds their number only by the size of an object,
/// in which each key is once more in `managedFields`.
const LABELS: usize = 345;
/// Length of a request.
const REQUEST: usize = 1 << 20;

/// The objects of a load, and how to see that the controller knows them.
pub struct Objects {
    load: Load,
    api: Api<DynamicObject>,
    requests: Api<CertificateSigningRequest>,
    events: Api<Event>,
    pem: Vec<u8>,
    /// How many objects exist.
    made: Cell<usize>,
    /// How many of the issuers have a condition, from the first.
    served: Cell<usize>,
}

impl Objects {
    /// The objects, which do not exist yet.
    pub fn new(load: Load, client: &Client, dir: &Path) -> Result<Self> {
        let issuers = ApiResource {
            group: "tcs.intel.com".into(),
            version: "v1alpha1".into(),
            api_version: "tcs.intel.com/v1alpha1".into(),
            kind: "TCSIssuer".into(),
            plural: "tcsissuers".into(),
        };
        let api = if load.is_of_issuers() {
            Api::namespaced_with(client.clone(), NAMESPACE, &issuers)
        } else {
            Api::all_with(client.clone(), &ApiResource::erase::<CertificateSigningRequest>(&()))
        };
        let (requests, events) = (Api::all(client.clone()), Api::namespaced(client.clone(), "default"));
        let (made, served) = (Cell::new(0), Cell::new(0));
        Ok(Self { load, api, requests, events, pem: request(dir)?, made, served })
    }

    /// Makes more of them, until there are `count`.
    pub async fn create(&self, count: usize) -> Result<()> {
        self.each(self.made.replace(count)..count, async |index| {
            let object = serde_json::from_value(self.object(index))?;
            self.api.create(&PostParams::default(), &object).await.context("create")?;
            if self.load == Load::ApprovedRequests {
                self.approve(&name(index)).await?;
            }
            Ok(())
        })
        .await
    }

    /// Changes a tenth of them.
    pub async fn change(&self) -> Result<()> {
        let patch = Patch::Merge(json!({"metadata": {"annotations": {"changed": "yes"}}}));
        self.each(0..self.made.get() / 10, async |index| {
            self.api.patch(&name(index), &PatchParams::default(), &patch).await.context("change")?;
            Ok(())
        })
        .await
    }

    /// Makes an object that the controller answers after it has seen everything before.
    pub async fn mark(&self, round: usize) -> Result<()> {
        if self.load.is_of_issuers() {
            let marker = issuer(&mark(round), &json!({}), &json!({}));
            self.api.create(&PostParams::default(), &serde_json::from_value(marker)?).await?;
            return Ok(());
        }
        let marker = request_object(&mark(round), "tcsissuer.tcs.intel.com/load.none", &self.pem);
        let marker: CertificateSigningRequest = serde_json::from_value(marker)?;
        self.requests.create(&PostParams::default(), &marker).await?;
        self.approve(&mark(round)).await
    }

    async fn approve(&self, request: &str) -> Result<()> {
        let approved = json!({"type": "Approved", "status": "True", "reason": "Load"});
        let patch = Patch::Merge(json!({"status": {"conditions": [approved]}}));
        self.requests.patch_approval(request, &PatchParams::default(), &patch).await.context("approve")?;
        Ok(())
    }

    /// Whether the controller has answered the marker of a round, and all issuers.
    pub async fn is_seen(&self, round: usize) -> Result<bool> {
        if !self.load.is_of_issuers() {
            let parameters = ListParams::default().fields(&format!("involvedObject.name={}", mark(round)));
            return Ok(!self.events.list(&parameters).await?.items.is_empty());
        }
        while self.served.get() < self.made.get() {
            if !self.is_served(&name(self.served.get())).await? {
                return Ok(false);
            }
            self.served.set(self.served.get().saturating_add(1));
        }
        self.is_served(&mark(round)).await
    }

    /// Whether an issuer has a condition.
    async fn is_served(&self, issuer: &str) -> Result<bool> {
        let issuer = self.api.get(issuer).await?;
        let conditions = issuer.data.pointer("/status/conditions").and_then(Value::as_array);
        Ok(conditions.is_some_and(|conditions| !conditions.is_empty()))
    }

    async fn each(&self, indices: Range<usize>, act: impl AsyncFn(usize) -> Result<()>) -> Result<()> {
        let act = &act;
        futures::stream::iter(indices)
            .map(move |index| act(index))
            .buffer_unordered(WRITES)
            .try_collect()
            .await
    }

    fn object(&self, index: usize) -> Value {
        let name = name(index);
        match self.load {
            Load::AnnotatedIssuers => {
                let policy =
                    json!({"dnsNames": (0..32).map(|n| format!("{n:024}.example")).collect::<Vec<_>>()});
                let mut object =
                    issuer(&name, &json!({"large": "a".repeat(ANNOTATIONS)}), &json!({"policy": policy}));
                if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
                    metadata.insert("labels".into(), largest_labels());
                }
                object
            }
            Load::LargestPolicies => {
                let (policy, ca) = (largest_policy(), json!({"policy": largest_policy()}));
                issuer(&name, &json!({}), &json!({"policy": policy, "ca": ca}))
            }
            Load::ForeignRequests => request_object(&name, "example.com/foreign", &self.large_pem()),
            Load::UnapprovedRequests | Load::ApprovedRequests => {
                request_object(&name, "tcsissuer.tcs.intel.com/load.none", &self.large_pem())
            }
        }
    }

    /// Text before a PEM block is no part of it (RFC 7468, section 2).
    fn large_pem(&self) -> Vec<u8> {
        let text = b"text before the block\n".repeat(REQUEST.saturating_sub(self.pem.len()) / 22);
        [text.as_slice(), &self.pem].concat()
    }
}

fn request_object(name: &str, signer: &str, pem: &[u8]) -> Value {
    let request = k8s_openapi::ByteString(pem.to_vec());
    json!({
        "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest",
        "metadata": {"name": name},
        "spec": {"request": request, "signerName": signer, "usages": ["digital signature", "server auth"]},
    })
}

fn name(index: usize) -> String {
    format!("object-{index}")
}

fn mark(round: usize) -> String {
    format!("marker-{round}")
}

fn issuer(name: &str, annotations: &Value, more: &Value) -> Value {
    let mut spec = json!({"secretName": format!("{name}-ca"), "selfSign": true});
    if let (Some(spec), Some(more)) = (spec.as_object_mut(), more.as_object()) {
        spec.extend(more.clone());
    }
    json!({
        "apiVersion": "tcs.intel.com/v1alpha1", "kind": "TCSIssuer",
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations}, "spec": spec,
    })
}

fn largest_labels() -> Value {
    let prefix = ["a".repeat(63), "b".repeat(63), "c".repeat(63), "d".repeat(61)].join(".");
    let label = |n: usize| (format!("{prefix}/{n:063}"), Value::from("v".repeat(63)));
    Value::Object((0..LABELS).map(label).collect())
}

/// The policy that needs most memory: as many texts as the CRD takes, with 16 KiB together.
fn largest_policy() -> Value {
    let list = |text: fn(usize) -> String| (0..64).map(text).collect::<Vec<_>>();
    json!({
        "ipRanges": list(|n| format!("2001:0db8:0000:0000:0000:0000:0000:{n:04x}")),
        "dnsNames": list(|n| format!("{n:028}.example")),
        "uris": list(|n| format!("spiffe://{n:019}.example")),
        "emailAddresses": list(|n| format!("{n:028}@example")),
        "commonNames": list(|n| format!("{n:036}")),
        "organizations": list(|n| format!("{n:036}")),
        "organizationalUnits": list(|n| format!("{n:036}")),
    })
}

/// A certificate request in PEM.
fn request(dir: &Path) -> Result<Vec<u8>> {
    let path = dir.join("request.pem");
    let mut openssl = Command::new("openssl");
    openssl.args([
        "req",
        "-new",
        "-nodes",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-subj",
        "/CN=load",
    ]);
    run(openssl.arg("-keyout").arg(dir.join("request.key")).arg("-out").arg(&path))?;
    Ok(fs::read(path)?)
}
