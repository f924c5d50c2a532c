//! Finds issuers in the cluster.

use super::{Found, IssuerArgument, described};
use crate::cluster::Cluster;
use crate::error::Error;
use tcs_api::signer::SignerName;
use tcs_api::v1alpha1::{TCSClusterIssuer, TCSIssuer};

/// All issuers of a namespace, or of all namespaces, and all cluster issuers.
///
/// A user of one namespace often may not list cluster issuers. Then only those of the namespace are listed,
/// and the second value says why the others are missing.
pub async fn all(cluster: &Cluster, namespace: Option<&str>) -> Result<(Vec<Found>, Option<Error>), Error> {
    let read = |is_of_cluster| move |object| Found::read(is_of_cluster, object);
    let mut found: Vec<Found> =
        cluster.list::<TCSIssuer>(namespace).await?.into_iter().map(read(false)).collect();
    match cluster.list::<TCSClusterIssuer>(None).await {
        Ok(objects) => found.extend(objects.into_iter().map(read(true))),
        Err(error @ Error::Forbidden { .. }) => return Ok((found, Some(error))),
        Err(error) => return Err(error),
    }
    Ok((found, None))
}

/// One issuer; `None` if it does not exist.
pub async fn get(cluster: &Cluster, id: &SignerName) -> Result<Option<Found>, Error> {
    Ok(match id {
        SignerName::Namespaced { namespace, name } => {
            cluster.get::<TCSIssuer>(Some(namespace), name).await?.map(|object| Found::read(false, object))
        }
        SignerName::Cluster { name } => {
            cluster.get::<TCSClusterIssuer>(None, name).await?.map(|object| Found::read(true, object))
        }
    })
}

/// The issuers that an argument names: at least one, at most one of each kind.
///
/// If the argument names no kind, and the user may not look at one of them, the second value is the error.
pub async fn find(
    cluster: &Cluster,
    argument: &IssuerArgument,
) -> Result<(Vec<Found>, Option<Error>), Error> {
    let name = argument.name.clone();
    let namespaced = SignerName::Namespaced { namespace: cluster.namespace().to_owned(), name: name.clone() };
    let of_cluster = SignerName::Cluster { name };
    let wanted = match argument.is_of_cluster {
        Some(false) => vec![namespaced],
        Some(true) => vec![of_cluster],
        None => vec![namespaced, of_cluster],
    };
    let (mut found, mut forbidden) = (Vec::new(), None::<Error>);
    for id in &wanted {
        match get(cluster, id).await {
            Ok(issuer) => found.extend(issuer),
            // The first is that of the namespace, which is meant more often.
            Err(error @ Error::Forbidden { .. }) => forbidden = forbidden.or(Some(error)),
            Err(error) => return Err(error),
        }
    }
    match (found.is_empty(), forbidden) {
        (false, forbidden) => Ok((found, forbidden)),
        // Whether it exists cannot be known.
        (true, Some(error)) => Err(error),
        (true, None) => {
            Err(Error::NotFound(wanted.iter().map(described).collect::<Vec<_>>().join(" and no ")))
        }
    }
}
