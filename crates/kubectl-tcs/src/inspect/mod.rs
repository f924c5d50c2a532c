//! `inspect`: a certificate, which issuer signed it, and which policies apply.

mod authority;
mod render;

use crate::certificate::Certificate;
use crate::cli::{InspectArgs, Options};
use crate::cluster::{Cluster, decode};
use crate::error::Error;
use crate::issuers::{Found, Issuer, all, described};
use crate::output::Output;
use authority::{Match, Search, best_first, known_certificates, relation};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use std::io::Read as _;
use std::path::Path;
use tcs_api::SERVICE_NAMESPACE;
use tcs_api::v1alpha1::CaStatus;

/// Longest input that is read. A chain of certificates is far shorter.
const LONGEST: u64 = 1024 * 1024;

/// Shows a file of certificates.
pub async fn run(
    args: &InspectArgs,
    options: &Options,
    now: Timestamp,
    output: &mut Output<'_>,
) -> Result<(), Error> {
    let certificates = read(&args.file)?;
    let search = if args.offline {
        None
    } else {
        let searched = match Cluster::connect(options).await {
            Ok(cluster) => search(&cluster, &certificates).await,
            Err(error) => Err(error),
        };
        let hint = "The issuer is looked for in a cluster; --offline shows the certificate without one.";
        Some(searched.inspect_err(|_| output.say(hint))?)
    };
    if output.json {
        return output.document(&render::document(&certificates, search.as_ref(), now));
    }
    render::write(&certificates, search.as_ref(), now, output)
}

fn read(path: &Path) -> Result<Vec<Certificate>, Error> {
    let unreadable =
        |cause: std::io::Error| Error::FileUnreadable { path: path.to_owned(), cause: cause.to_string() };
    let is_input = path.as_os_str() == "-";
    let mut text = Vec::new();
    if is_input {
        std::io::stdin().take(LONGEST).read_to_end(&mut text).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(LONGEST).read_to_end(&mut text).map_err(unreadable)?;
    }
    let source_name = if is_input { "standard input".to_owned() } else { path.display().to_string() };
    Certificate::all(&text).map_err(|cause| Error::CertificateUnreadable { source_name, cause })
}

/// Compares the first certificate with the CAs of all issuers that the user may read.
async fn search(cluster: &Cluster, certificates: &[Certificate]) -> Result<Search, Error> {
    let mut search = Search { matches: Vec::new(), compared: 0, unchecked: Vec::new() };
    for found in issuers(cluster, &mut search.unchecked).await? {
        match found {
            Found::Readable(issuer) => compare(cluster, certificates, *issuer, &mut search).await?,
            Found::Unreadable { id, cause } => {
                search.unchecked.push(format!("{} cannot be read: {cause}", described(&id)));
            }
        }
    }
    best_first(&mut search.matches);
    Ok(search)
}

/// The issuers of all namespaces or, for a user who may not list them, those of the namespace.
async fn issuers(cluster: &Cluster, unchecked: &mut Vec<String>) -> Result<Vec<Found>, Error> {
    let (found, incomplete) = match all(cluster, None).await {
        Err(Error::Forbidden { message, .. }) => {
            unchecked.push(format!("issuers of other namespaces: {message}"));
            all(cluster, Some(cluster.namespace())).await?
        }
        other => other?,
    };
    unchecked.extend(incomplete.map(|error| error.to_string()));
    Ok(found)
}

async fn compare(
    cluster: &Cluster,
    certificates: &[Certificate],
    issuer: Issuer,
    search: &mut Search,
) -> Result<(), Error> {
    let Some((leaf, others)) = certificates.split_first() else { return Ok(()) };
    search.compared = search.compared.saturating_add(1);
    let mut known = known_certificates(&issuer);
    let direct = relation(leaf, others, &known, &issuer);
    // The status contains trust anchors only. If the issuing CA is below one, the Secret contains it.
    let is_intermediate = |ca: &CaStatus| known.iter().all(|anchor| anchor.fingerprint != ca.fingerprint);
    if direct.is_none() && issuer.status.ca.as_ref().is_some_and(is_intermediate) {
        match published(cluster, &issuer).await {
            Ok(more) => known.extend(more),
            Err(error @ Error::Forbidden { .. }) => {
                search.unchecked.push(format!("intermediates of {}: {error}", described(&issuer.id)));
            }
            Err(error) => return Err(error),
        }
    }
    if let Some(relation) = direct.or_else(|| relation(leaf, others, &known, &issuer)) {
        search.matches.push(Match { issuer, relation });
    }
    Ok(())
}

/// The certificates that an issuer publishes. Its Secret contains no key.
async fn published(cluster: &Cluster, issuer: &Issuer) -> Result<Vec<Certificate>, Error> {
    let namespace = crate::issuers::namespace(&issuer.id).unwrap_or(SERVICE_NAMESPACE);
    let name = &issuer.spec.secret_name;
    let Some(object) = cluster.get::<Secret>(Some(namespace), name).await? else { return Ok(Vec::new()) };
    let secret: Secret = decode(&format!("Secret {namespace}/{name}"), object)?;
    let data = secret.data.unwrap_or_default();
    let of = |field: &str| data.get(field).and_then(|bytes| Certificate::all(&bytes.0).ok());
    Ok(["tls.crt", "ca.crt"].into_iter().filter_map(of).flatten().collect())
}
