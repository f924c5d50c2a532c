//! Reads a request that is not held in memory.

use super::RequestKind;
use super::write_status::segment;
use crate::error::ReconcileError;
use crate::runtime::guarded::Guarded;
use crate::runtime::unreadable::ObjectName;
use kube::api::GetParams;
use kube::core::Request;
use kube::{Client, Error};
use std::time::Duration;
use tokio::time::timeout;

/// How long a read may take. The one place for what finds no room must not be occupied for ever.
const LIMIT: Duration = Duration::from_secs(30);

/// Reads a request. `None` if it does not exist any more.
///
/// # Errors
///
/// If it cannot be read.
pub async fn read_again<K: RequestKind>(
    client: &Client,
    name: &ObjectName,
) -> Result<Option<K>, ReconcileError> {
    let path = Request::new(K::url_path(&(), name.namespace()));
    let request = path.get(&segment(name.name()), &GetParams::default()).map_err(Error::BuildRequest)?;
    let answer = timeout(LIMIT, client.request::<Guarded<K>>(request)).await;
    match answer.map_err(|elapsed| Error::Service(elapsed.into()))? {
        Ok(object) => Ok(Some(object.read()?)),
        Err(Error::Api(answer)) if answer.code == 404 => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::csr::KubernetesCsr;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
    use kube::client::Body;
    use std::convert::Infallible;

    /// By the paused clock.
    #[tokio::test(start_paused = true)]
    async fn a_read_that_gets_no_answer_ends() {
        let server = tower::service_fn(|_: http::Request<Body>| {
            std::future::pending::<Result<http::Response<Body>, Infallible>>()
        });
        let named = ObjectMeta { name: Some("a".into()), ..ObjectMeta::default() };
        let (client, name) = (Client::new(server, "default"), ObjectName::of(&named));
        let ended = timeout(LIMIT * 2, read_again::<KubernetesCsr>(&client, &name)).await;
        assert!(ended.expect("an error").is_err());
    }
}
