//! `inspect`: a certificate, which issuer signed it, and which policies apply.

mod authority;
mod render;

use crate::certificate::Certificate;
use crate::cli::{InspectArgs, Options};
use crate::cluster::{Cluster, decode};
use crate::error::Error;
use crate::issuers::{Found, Issuer, all, described};
use crate::output::Output;
use authority::{Relation, Search, known_certificates, missing, relation};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use std::io::Read as _;
use std::path::Path;
use tcs_api::SERVICE_NAMESPACE;

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
    let source_name = if is_input { "standard input".to_owned() } else { path.display().to_string() };
    let mut text = Vec::new();
    // One byte more tells what is too long from what is not.
    let limit = LONGEST.saturating_add(1);
    if is_input {
        std::io::stdin().take(limit).read_to_end(&mut text).map_err(unreadable)?;
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(limit).read_to_end(&mut text).map_err(unreadable)?;
    }
    parse(&text).map_err(|cause| Error::CertificateUnreadable { source_name, cause })
}

fn parse(text: &[u8]) -> Result<Vec<Certificate>, String> {
    if u64::try_from(text.len()).map_or(true, |length| length > LONGEST) {
        return Err(format!("it has more than {LONGEST} bytes, which no chain of certificates has"));
    }
    Certificate::all(text)
}

/// Compares the first certificate with the CAs of all issuers that the user may read.
async fn search(cluster: &Cluster, certificates: &[Certificate]) -> Result<Search, Error> {
    let mut search = Search { matches: Vec::new(), compared: 0, unchecked: Vec::new() };
    for found in issuers(cluster, &mut search.unchecked).await? {
        match found {
            Found::Readable(issuer) => compare(cluster, certificates, *issuer, &mut search).await,
            Found::Unreadable { id, cause } => {
                search.unchecked.push(format!("{} cannot be read: {cause}", described(&id)));
            }
        }
    }
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

async fn compare(cluster: &Cluster, certificates: &[Certificate], issuer: Issuer, search: &mut Search) {
    let Some((leaf, others)) = certificates.split_first() else { return };
    let mut known = known_certificates(&issuer);
    let of = |known: &[Certificate]| missing(&issuer, &known.iter().chain(others).collect::<Vec<_>>());
    let mut found = relation(leaf, others, &known, &issuer);
    let mut unknown = of(&known);
    let is_settled = found.is_some_and(|found| found != Relation::BelowTrustAnchor);
    // The status contains trust anchors only. If the issuing CA is below one, the Secret contains it.
    if !is_settled && !unknown.is_empty() {
        match published(cluster, &issuer).await {
            Ok(more) => {
                known.extend(more);
                unknown = of(&known);
                found = relation(leaf, others, &known, &issuer);
            }
            Err(error) => unknown.push(format!("intermediates of {}: {error}", described(&issuer.id))),
        }
    }
    search.take(issuer, found, unknown);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_is_refused_and_never_cut() {
        let one = include_str!("../../tests/data/leaf.pem");
        assert_eq!(parse(one.as_bytes()).unwrap().len(), 1);
        // Each certificate is compared with each, so there is a limit, which is that of PEM texts.
        assert_eq!(parse(one.repeat(64).as_bytes()).unwrap().len(), 64);
        assert!(parse(one.repeat(65).as_bytes()).is_err());
        // The end, which would be cut, is no certificate.
        let long = format!("{one}{}", "#".repeat(usize::try_from(LONGEST).unwrap()));
        assert!(parse(long.as_bytes()).unwrap_err().contains("more than 1048576 bytes"));
    }
}
