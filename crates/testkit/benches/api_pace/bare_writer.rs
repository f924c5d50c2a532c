//! A signer that signs nothing: it writes the same certificate into every request.

use anyhow::{Context, Result};
use futures::{TryStreamExt as _, pin_mut};
use http::HeaderValue;
use http::header::ACCEPT;
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::api::{ListParams, PostParams, WatchEvent, WatchParams};
use kube::core::Request;
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde::de::IgnoredAny;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json");

/// What the bare writer does.
#[derive(clap::Args)]
pub struct Settings {
    /// The signer whose requests it answers
    #[arg(long)]
    signer: String,
    /// Writes at the same time
    #[arg(long)]
    workers: usize,
    /// The certificate that it writes, a file in PEM
    #[arg(long)]
    certificate: PathBuf,
}

/// Answers the requests that exist, then those that a watch reports as approved.
pub fn run(settings: Settings) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(answer(settings))
}

async fn answer(settings: Settings) -> Result<()> {
    let client = Client::try_default().await?;
    let api: Api<CertificateSigningRequest> = Api::all(client.clone());
    let certificate = ByteString(std::fs::read(&settings.certificate)?);
    let fields = format!("spec.signerName={}", settings.signer);
    let list = api.list(&ListParams::default().fields(&fields)).await?;
    let version = list.metadata.resource_version.context("a list has a version")?;
    let queue = Arc::new(Mutex::new(list.items.into_iter().filter(is_approved).collect::<Vec<_>>()));
    let workers = (0..settings.workers).map(|_| {
        let (client, queue, certificate) = (client.clone(), Arc::clone(&queue), certificate.clone());
        tokio::spawn(async move {
            loop {
                let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop();
                let Some(request) = next else { return anyhow::Ok(()) };
                write(&client, request, &certificate).await?;
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await??;
    }
    let events = api.watch(&WatchParams::default().fields(&fields), &version).await?;
    pin_mut!(events);
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Modified(request) = event
            && is_approved(&request)
        {
            write(&client, request, &certificate).await?;
        }
    }
    // It does not end by itself, so that its CPU time can be read.
    std::future::pending().await
}

/// Whether a request is approved and has no certificate yet.
fn is_approved(request: &CertificateSigningRequest) -> bool {
    let Some(status) = &request.status else { return false };
    status.certificate.is_none() && status.conditions.iter().flatten().any(|one| one.type_ == "Approved")
}

/// As the service writes: the answer contains the metadata only.
async fn write(
    client: &Client,
    mut request: CertificateSigningRequest,
    certificate: &ByteString,
) -> Result<()> {
    request.status.get_or_insert_default().certificate = Some(certificate.clone());
    let path = CertificateSigningRequest::url_path(&(), None);
    let body = serde_json::to_vec(&request)?;
    let put = Request::new(path);
    let mut put = put.replace_subresource("status", &request.name_any(), &PostParams::default(), body)?;
    put.headers_mut().insert(ACCEPT, METADATA_ONLY);
    client.request::<IgnoredAny>(put).await?;
    Ok(())
}
