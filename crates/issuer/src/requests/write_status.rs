//! Writes the status of a request.

use super::RequestKind;
use http::HeaderValue;
use http::header::ACCEPT;
use kube::api::PostParams;
use kube::core::Request;
use kube::{Client, Error, ResourceExt as _};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::IgnoredAny;
use std::time::Duration;
use tokio::time::timeout;

/// What stays as it is in a segment of a path (RFC 3986, section 2.3, "unreserved").
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How long a write may take, together with what the client tries again when the API server asks it to wait
/// (429 with `Retry-After`). A connection that died silently would otherwise hold a worker for ever.
const LIMIT: Duration = Duration::from_mins(1);

/// The answer need not contain the object that was written: the watch reports it. The API server and the
/// controller save the time to encode and decode it ([Receiving resources as Tables], "metadata only").
const METADATA_ONLY: HeaderValue =
    HeaderValue::from_static("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json");

/// Replaces the status of a request by a PUT. The resource version of `object` has the API server refuse it
/// if the object was changed since it was read.
pub async fn write_status<K: RequestKind>(client: &Client, object: &K) -> Result<(), Error> {
    let body = serde_json::to_vec(object).map_err(Error::SerdeError)?;
    // Names of some kinds may contain any character but a slash and a percent sign, and kube writes a name
    // into the path as it is.
    let name = object.name_any();
    let name = utf8_percent_encode(&name, ENCODED).to_string();
    let path = K::url_path(&(), object.meta().namespace.as_deref());
    let request = Request::new(path).replace_subresource("status", &name, &PostParams::default(), body);
    let mut request = request.map_err(Error::BuildRequest)?;
    request.headers_mut().insert(ACCEPT, METADATA_ONLY);
    match timeout(LIMIT, client.request::<IgnoredAny>(request)).await {
        Ok(answer) => answer.map(|IgnoredAny| ()),
        Err(elapsed) => Err(Error::Service(elapsed.into())),
    }
}
