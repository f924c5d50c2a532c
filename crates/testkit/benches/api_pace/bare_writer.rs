//! A signer that signs nothing: it writes the same certificate into every request.

use anyhow::{Context, Result};
use futures::{StreamExt as _, TryStreamExt as _, pin_mut};
use k8s_openapi::ByteString;
use k8s_openapi::api::certificates::v1::CertificateSigningRequest;
use kube::api::{ListParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt as _};
use std::path::PathBuf;

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
    let api: Api<CertificateSigningRequest> = Api::all(client);
    let certificate = ByteString(std::fs::read(&settings.certificate)?);
    let fields = format!("spec.signerName={}", settings.signer);
    let list = api.list(&ListParams::default().fields(&fields)).await?;
    let version = list.metadata.resource_version.context("a list has a version")?;
    futures::stream::iter(list.items.into_iter().filter(is_approved))
        .map(Ok)
        .try_for_each_concurrent(settings.workers, |request| write(&api, request, &certificate))
        .await?;
    let events = api.watch(&WatchParams::default().fields(&fields), &version).await?;
    pin_mut!(events);
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Modified(request) = event
            && is_approved(&request)
        {
            write(&api, request, &certificate).await?;
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

async fn write(
    api: &Api<CertificateSigningRequest>,
    mut request: CertificateSigningRequest,
    certificate: &ByteString,
) -> Result<()> {
    request.status.get_or_insert_default().certificate = Some(certificate.clone());
    api.replace_status(&request.name_any(), &PostParams::default(), &request).await?;
    Ok(())
}
