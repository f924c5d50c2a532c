//! Writes the status of a request.

use super::RequestKind;
use super::status_write::StatusWrite;
use http::HeaderValue;
use http::header::ACCEPT;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::Request;
use kube::{Client, Error, ResourceExt as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use std::time::Duration;
use tcs_api::SERVICE_ACCOUNT;
use tokio::time::timeout;

/// What stays as it is in a segment of a path (RFC 3986, section 2.3, "unreserved").
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How long a write may take, together with the pause for which the API server asks (429 with `Retry-After`).
/// A connection that died silently would otherwise hold a worker for ever.
const LIMIT: Duration = Duration::from_mins(1);

/// The answer need not contain the object that was written: the watch reports it. The API server and the
/// controller save the time to encode and decode it
/// (<https://kubernetes.io/docs/reference/using-api/api-concepts/>, "Metadata-only fetches").
const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json");

/// Writes the status of this object; its new resource version. The one in `write` has the API server refuse
/// it (409) if the object was changed since it was read, or is another one of the same name.
///
/// # Errors
///
/// If the API server refuses it, or its answer does not show that this object was written.
pub async fn write_status<K: RequestKind>(
    client: &Client,
    object: &K,
    write: StatusWrite,
) -> Result<String, Error> {
    let name = segment(&object.name_any());
    let path = Request::new(K::url_path(&(), object.meta().namespace.as_deref()));
    let request = match write {
        StatusWrite::Replace(body) => path.replace_subresource("status", &name, &PostParams::default(), body),
        // Nobody else has anything to write into the fields that the service applies, so it takes them over.
        StatusWrite::Apply(document) => {
            let parameters = PatchParams::apply(SERVICE_ACCOUNT).force();
            path.patch_subresource("status", &name, &parameters, &Patch::Apply(document))
        }
    };
    let mut request = request.map_err(Error::BuildRequest)?;
    request.headers_mut().insert(ACCEPT, METADATA_ONLY);
    let answer = timeout(LIMIT, client.request::<Written>(request)).await;
    let Written { metadata } = answer.map_err(|elapsed| Error::Service(elapsed.into()))??;
    let is_new = |version: &String| object.meta().resource_version.as_ref() != Some(version);
    match metadata.resource_version.filter(is_new) {
        Some(version) if metadata.uid == object.meta().uid => Ok(version),
        _ => {
            let name = object.name_any();
            Err(Error::Service(
                format!("the answer to the write of {name} does not show a new version of it").into(),
            ))
        }
    }
}

/// A name as a segment of a path. Names of some kinds may contain any character but a slash and a percent
/// sign, and kube writes a name into the path as it is.
pub fn segment(name: &str) -> String {
    utf8_percent_encode(name, ENCODED).to_string()
}

/// The part of the answer by which it is known that the object was written.
#[derive(Deserialize)]
struct Written {
    metadata: WrittenMetadata,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenMetadata {
    uid: Option<String>,
    resource_version: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::requests::csr::KubernetesCsr;
    use kube::client::Body;
    use serde_json::{Value, json};
    use std::convert::Infallible;
    use std::future::ready;

    fn request(name: &str) -> KubernetesCsr {
        serde_json::from_value(json!({
            "metadata": {"name": name, "uid": "u", "resourceVersion": "1"},
            "spec": {"request": "", "signerName": "tcsissuer.tcs.intel.com/a.b"},
        }))
        .unwrap()
    }

    /// Writes to an API server that gives this answer if the path of the request ends so.
    async fn write(name: &str, path: &'static str, status: u16, answer: Value) -> Result<String, Error> {
        let server = tower::service_fn(move |request: http::Request<Body>| {
            assert_eq!(request.method(), http::Method::PUT);
            let uri = request.uri().to_string();
            assert_eq!(uri.trim_end_matches(['?', '&']).rsplit_once("requests/").unwrap().1, path);
            assert_eq!(request.headers()[ACCEPT], METADATA_ONLY);
            let body = Body::from(answer.to_string().into_bytes());
            ready(Ok::<_, Infallible>(http::Response::builder().status(status).body(body).unwrap()))
        });
        let object = request(name);
        let write = StatusWrite::replace(&object).unwrap();
        write_status(&Client::new(server, "default"), &object, write).await
    }

    fn written(uid: &str, version: &str) -> Value {
        json!({"kind": "PartialObjectMetadata", "metadata": {"uid": uid, "resourceVersion": version}})
    }

    #[tokio::test]
    async fn a_write_counts_only_if_the_answer_shows_a_new_version_of_this_object() {
        assert_eq!(write("r", "r/status", 200, written("u", "2")).await.unwrap(), "2");
        let others = [written("u", "1"), written("v", "2"), json!({"metadata": {}}), json!({}), json!("ok")];
        for answer in others {
            write("r", "r/status", 200, answer.clone()).await.expect_err(&answer.to_string());
        }
        let conflict = json!({"kind": "Status", "status": "Failure", "code": 409, "reason": "Conflict"});
        let refused = write("r", "r/status", 409, conflict).await.unwrap_err();
        assert!(matches!(&refused, Error::Api(status) if status.is_conflict()), "{refused}");
    }

    /// By the paused clock.
    #[tokio::test(start_paused = true)]
    async fn a_write_that_gets_no_answer_ends() {
        let server = tower::service_fn(|_: http::Request<Body>| {
            std::future::pending::<Result<http::Response<Body>, Infallible>>()
        });
        let client = Client::new(server, "default");
        let object = request("r");
        let write = StatusWrite::replace(&object).unwrap();
        let ended = timeout(LIMIT * 2, write_status(&client, &object, write)).await;
        assert!(matches!(ended.expect("an error"), Err(Error::Service(_))));
    }

    #[tokio::test]
    async fn a_name_stays_one_segment_of_the_path() {
        write("a?dryRun=All&b#c d", "a%3FdryRun%3DAll%26b%23c%20d/status", 200, written("u", "2"))
            .await
            .unwrap();
    }
}
