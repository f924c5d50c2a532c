//! Makes requests, approves them, and sees their certificates.

use super::stage::LIMIT;
use anyhow::{Context, Result, bail};
use futures::{AsyncBufReadExt as _, StreamExt as _, TryStreamExt as _};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::{
    CertificateSigningRequest, CertificateSigningRequestCondition, CertificateSigningRequestSpec,
};
use kube::api::{DeleteParams, ListParams, PostParams};
use kube::{Api, Client};
use std::collections::HashMap;
use std::time::Instant;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Requests that are made at the same time.
pub const AT_A_TIME: usize = 16;

/// Makes and approves requests as the administrator.
#[derive(Clone)]
pub struct Driver {
    /// A client of the administrator.
    pub client: Client,
    /// The PKCS#10 request, PEM.
    pub pem: ByteString,
    api: Api<CertificateSigningRequest>,
}

/// Sees certificates as soon as a watch of the API server reports them.
pub struct Certificates {
    seen: UnboundedReceiver<Result<Seen>>,
    watching: JoinHandle<()>,
}

/// A request whose certificate was seen.
pub struct Seen {
    /// The name of the request.
    pub name: String,
    /// When it was first seen.
    pub at: Instant,
}

impl Drop for Certificates {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

impl Driver {
    /// A driver with a request for a P-256 key.
    pub fn new(client: Client) -> Result<Self> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let pem = rcgen::CertificateParams::new(vec!["bench.example".to_owned()])?
            .serialize_request(&key)?
            .pem()?;
        Ok(Self { api: Api::all(client.clone()), client, pem: ByteString(pem.into_bytes()) })
    }

    /// Makes and approves requests, one for each signer.
    pub async fn fill(&self, prefix: &str, signers: impl Iterator<Item = String>) -> Result<()> {
        let requests = signers.enumerate().map(|(index, signer)| Ok((format!("{prefix}-{index}"), signer)));
        futures::stream::iter(requests)
            .try_for_each_concurrent(AT_A_TIME, async |(name, signer)| {
                let request = self.create(&name, &signer).await?;
                self.approve(request).await
            })
            .await
    }

    /// Makes a request.
    pub async fn create(&self, name: &str, signer: &str) -> Result<CertificateSigningRequest> {
        let mut request = CertificateSigningRequest {
            spec: CertificateSigningRequestSpec {
                request: self.pem.clone(),
                signer_name: signer.to_owned(),
                usages: Some(vec!["digital signature".to_owned(), "client auth".to_owned()]),
                ..CertificateSigningRequestSpec::default()
            },
            ..CertificateSigningRequest::default()
        };
        request.metadata.name = Some(name.to_owned());
        Ok(self.api.create(&PostParams::default(), &request).await?)
    }

    /// Approves a request.
    pub async fn approve(&self, mut request: CertificateSigningRequest) -> Result<()> {
        let name = request.metadata.name.clone().unwrap_or_default();
        let approved = CertificateSigningRequestCondition {
            type_: "Approved".to_owned(),
            status: "True".to_owned(),
            reason: Some("Bench".to_owned()),
            ..CertificateSigningRequestCondition::default()
        };
        request.status.get_or_insert_default().conditions.get_or_insert_default().push(approved);
        self.api.replace_subresource("approval", &name, &PostParams::default(), &request).await?;
        Ok(())
    }

    /// The certificate of a request, PEM.
    pub async fn certificate(&self, name: &str) -> Result<Vec<u8>> {
        let ByteString(pem) = self
            .api
            .get(name)
            .await?
            .status
            .unwrap_or_default()
            .certificate
            .context("the request has no certificate")?;
        Ok(pem)
    }

    /// Deletes all requests.
    pub async fn clear(&self) -> Result<()> {
        self.api.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
        Ok(())
    }

    /// Watches the certificates that are written from now on.
    pub async fn watch(&self) -> Result<Certificates> {
        watch(&self.client, &self.api).await
    }
}

/// Watches the certificates that are written from now on into the requests of an API.
pub async fn watch<K>(client: &Client, api: &Api<K>) -> Result<Certificates>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::de::DeserializeOwned,
{
    let list = api.list_metadata(&ListParams::default().limit(1)).await?;
    let version = list.metadata.resource_version.context("a list has a version")?;
    let uri = format!("{}?watch=true&resourceVersion={version}", api.resource_url());
    let lines = client.request_stream(http::Request::get(uri).body(Vec::new())?).await?.lines();
    let (send, seen) = unbounded_channel();
    let watching = tokio::spawn(async move {
        let mut lines = Box::pin(lines.filter_map(|line| std::future::ready(certified(line).transpose())));
        while let Some(line) = lines.next().await {
            if send.send(line).is_err() {
                return;
            }
        }
        let _ = send.send(Err(anyhow::anyhow!("the watch of the driver ended")));
    });
    Ok(Certificates { seen, watching })
}

/// The request of an event of a watch, if it has a certificate. Decoding every event would take more CPU
/// time than some signers do, which share it.
fn certified(line: std::io::Result<String>) -> Result<Option<Seen>> {
    let (line, at) = (line?, Instant::now());
    if line.contains(r#""type":"Failed""#)
        || line.contains(r#""reason":"Failed""#)
        || line.contains(r#"{"type":"ERROR""#)
    {
        bail!("a request failed: {line}");
    }
    if !line.contains(r#""certificate":""#) || !line.starts_with(r#"{"type":"MODIFIED""#) {
        return Ok(None);
    }
    let (_, name) = line.split_once(r#""name":""#).context("an object has a name")?;
    let (name, _) = name.split_once('"').context("a name ends")?;
    Ok(Some(Seen { name: name.to_owned(), at }))
}

impl Certificates {
    /// The next certificate.
    pub async fn next(&mut self) -> Result<Seen> {
        let next =
            timeout(LIMIT, self.seen.recv()).await.context("no certificate was seen for ten minutes")?;
        next.context("the watch ended")?
    }

    /// Waits for the certificates of `count` requests, and returns when each was first seen.
    pub async fn all(&mut self, count: usize) -> Result<HashMap<String, Instant>> {
        let mut first = HashMap::new();
        while first.len() < count {
            let Seen { name, at } = self.next().await?;
            first.entry(name).or_insert(at);
        }
        Ok(first)
    }
}
