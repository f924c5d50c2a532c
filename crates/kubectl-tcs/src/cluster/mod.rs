//! Calls of the API server. Objects are read as JSON and decoded one by one, so that one object that cannot
//! be decoded harms itself only.

mod access;
mod causes;
mod config;
mod pages;

use crate::cli::Options;
use crate::error::Error;
pub use access::is_allowed;
use causes::with_causes;
use k8s_openapi::serde::Serialize;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::{Request, Status};
use kube::{Client, Resource};
use pages::Pages;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use std::time::Duration;
use tcs_api::signer::{self, SignerName};

/// How many objects are asked for at once.
const PAGE: u32 = 500;

/// The API server, as the user of a kubeconfig.
pub struct Cluster {
    client: Client,
    namespace: String,
    limit: Option<Duration>,
    server: String,
}

impl Cluster {
    /// A client for the cluster that the options name. Nothing is sent yet.
    pub async fn connect(options: &Options) -> Result<Self, Error> {
        let config = config::load(options).await?;
        let namespace = options.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
        check_namespace(&namespace)?;
        let server = config.cluster_url.to_string();
        let client = Client::try_from(config).map_err(|error| Error::Kubeconfig(error.to_string()))?;
        let limit = Some(options.request_timeout).filter(|limit| !limit.is_zero());
        Ok(Self { client, namespace, limit, server })
    }

    /// The client, for watches.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The namespace of the options or of the context.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// An object; `None` if it does not exist. A namespace of `None` is for objects of the cluster.
    pub async fn get<K: Kind>(&self, namespace: Option<&str>, name: &str) -> Result<Option<Value>, Error> {
        let action = format!("get {}", object::<K>(namespace, name));
        let name = &segment(name)?;
        let request = Request::new(K::url_path(&(), namespace)).get(name, &kube::api::GetParams::default());
        match self.send(&action, request).await {
            Ok(found) => Ok(Some(found)),
            Err(Error::NotFound(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// All objects of a kind, of one namespace or of all.
    pub async fn list<K: Kind>(&self, namespace: Option<&str>) -> Result<Vec<Value>, Error> {
        self.list_with::<K>(namespace, ListParams::default()).await
    }

    /// The objects of a kind with these parameters.
    pub async fn list_with<K: Kind>(
        &self,
        namespace: Option<&str>,
        parameters: ListParams,
    ) -> Result<Vec<Value>, Error> {
        let place = namespace.map_or_else(String::new, |namespace| format!(" in namespace {namespace}"));
        let action = format!("list {}{place}", K::plural(&()));
        let first = parameters.limit(PAGE);
        let (mut parameters, mut pages) = (first.clone(), Pages::default());
        loop {
            let request = Request::new(K::url_path(&(), namespace)).list(&parameters);
            match self.send(&action, request).await {
                Ok(page) => match pages.take(&action, page)? {
                    Some(next) => parameters = first.clone().continue_token(&next),
                    None => return Ok(pages.objects),
                },
                Err(error) if pages.restart(&error) => parameters = first.clone(),
                Err(error) => return Err(error),
            }
        }
    }

    /// Creates an object; the object as the API server stored it.
    pub async fn create<K: Kind>(
        &self,
        namespace: Option<&str>,
        new: &impl Serialize,
    ) -> Result<Value, Error> {
        let action = format!("create a {}", K::kind(&()));
        let request = Request::new(K::url_path(&(), namespace)).create(&PostParams::default(), body(new)?);
        self.send(&action, request).await
    }

    /// Replaces a subresource of an object; the new object.
    pub async fn replace_subresource<K: Kind>(
        &self,
        subresource: &str,
        name: &str,
        new: &impl Serialize,
    ) -> Result<Value, Error> {
        let action = format!("update {subresource} of {}", object::<K>(None, name));
        let parameters =
            PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let name = &segment(name)?;
        let request = Request::new(K::url_path(&(), None)).replace_subresource(
            subresource,
            name,
            &parameters,
            body(new)?,
        );
        self.send(&action, request).await
    }

    /// Merges a patch into an object; the new object.
    pub async fn merge<K: Kind>(
        &self,
        namespace: Option<&str>,
        name: &str,
        patch: &Value,
    ) -> Result<Value, Error> {
        let action = format!("patch {}", object::<K>(namespace, name));
        let parameters =
            PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let name = &segment(name)?;
        let request =
            Request::new(K::url_path(&(), namespace)).patch(name, &parameters, &Patch::Merge(patch));
        self.send(&action, request).await
    }

    /// The version of the API server.
    pub async fn version(&self) -> Result<Value, Error> {
        let action = "get the version of the API server";
        let request = http::Request::get("/version").body(Vec::new());
        let request = request.map_err(|error| unreachable_server(action, &error))?;
        self.answer(action, request).await
    }

    async fn send(
        &self,
        action: &str,
        request: Result<http::Request<Vec<u8>>, kube::core::request::Error>,
    ) -> Result<Value, Error> {
        let request = request.map_err(|error| Error::Usage(format!("{action}: {error}")))?;
        self.answer(action, request).await
    }

    async fn answer(&self, action: &str, request: http::Request<Vec<u8>>) -> Result<Value, Error> {
        let call = self.client.request::<Value>(request);
        let answer = match self.limit {
            Some(limit) => tokio::time::timeout(limit, call)
                .await
                .map_err(|_| Error::RequestTimeout { action: action.to_owned() })?,
            None => call.await,
        };
        answer.map_err(|error| match api_error(action, error) {
            Error::Unreachable { action, cause } => {
                Error::Unreachable { action, cause: format!("{}: {cause}", self.server) }
            }
            other => other,
        })
    }
}

/// The name under which changes are recorded.
pub const FIELD_MANAGER: &str = "kubectl-tcs";

/// A kind of objects.
pub trait Kind: Resource<DynamicType = ()> {}

impl<K: Resource<DynamicType = ()>> Kind for K {}

/// An object as messages name it.
fn object<K: Kind>(namespace: Option<&str>, name: &str) -> String {
    let place = namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
    format!("{} {place}{name}", K::kind(&()))
}

/// Namespaces become part of paths as they are. Those of objects are checked when the objects are read.
fn check_namespace(namespace: &str) -> Result<(), Error> {
    // Only a DNS label can precede the name of an issuer in a signer name.
    if SignerName::parse(&signer::signer_name(namespace, "x")).is_some() && !namespace.contains('.') {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{namespace:?} is no name of a namespace; expected at most 63 lower-case letters, digits and hyphens"
    )))
}

/// A name as a segment of a path. kube takes names as they are, so that a question mark would begin a query.
///
/// No object can have one of the names that are refused ("Object Names and IDs" of the documentation of
/// Kubernetes, "Path Segment Names").
fn segment(name: &str) -> Result<String, Error> {
    if name.is_empty() || matches!(name, "." | "..") || name.contains(['/', '%']) {
        return Err(Error::Usage(format!(
            "{name:?} is no name of an object; expected a name without / and %, not empty, not . and not .."
        )));
    }
    Ok(utf8_percent_encode(name, NON_ALPHANUMERIC).to_string())
}

fn body(new: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(new).map_err(|error| Error::RequestNotMade(error.to_string()))
}

/// What an error of the client means.
#[must_use]
pub fn api_error(action: &str, error: kube::Error) -> Error {
    let status = match error {
        kube::Error::Api(status) => status,
        kube::Error::Auth(error) => return Error::Kubeconfig(with_causes(&error)),
        other => return unreachable_server(action, &other),
    };
    let action = action.to_owned();
    if status.is_forbidden() {
        return Error::Forbidden { action, message: status.message };
    }
    if status.code == 401 {
        return Error::Kubeconfig(format!(
            "{action}: the API server does not accept the credentials, which may have expired"
        ));
    }
    if status.code == 404 || status.is_not_found() {
        if is_kind_missing(&status) {
            return Error::KindMissing { action };
        }
        return Error::NotFound(status.message);
    }
    if matches!(status.code, 408 | 429 | 500..) {
        return Error::Unavailable { action, status: status.code, message: status.message };
    }
    Error::Rejected { action, reason: status.reason, message: status.message }
}

/// Whether not the object but its kind is missing: then the answer names no object.
fn is_kind_missing(status: &Status) -> bool {
    status.details.as_ref().is_none_or(|details| details.name.is_empty())
}

fn unreachable_server(action: &str, error: &dyn std::error::Error) -> Error {
    Error::Unreachable { action: action.to_owned(), cause: with_causes(error) }
}

/// An object without the record of who changed what. Others write it, and it must not make an object
/// unreadable.
pub fn without_record(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    object
}

/// Decodes an object.
pub fn decode<T: serde::de::DeserializeOwned>(what: &str, value: Value) -> Result<T, Error> {
    serde_json::from_value(value)
        .map_err(|error| Error::ObjectUnreadable { object: what.to_owned(), cause: error.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kube::core::response::StatusDetails;

    fn failure(code: u16, reason: &str, name: &str) -> Error {
        let mut status = Status::failure("said", reason).with_code(code);
        if !name.is_empty() {
            let details: StatusDetails = serde_json::from_value(serde_json::json!({"name": name})).unwrap();
            status = status.with_details(details);
        }
        api_error("get X a/b", kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn a_name_is_one_segment_of_a_path() {
        assert_eq!(segment("a?b c").unwrap(), "a%3Fb%20c");
        for wrong in ["", ".", "..", "a/b", "a%2fb"] {
            assert_eq!(segment(wrong).unwrap_err().code(), "Usage", "{wrong}");
        }
    }

    #[test]
    fn a_namespace_is_a_label() {
        assert!(check_namespace("kube-system").is_ok());
        for wrong in ["", "a/b", "a.b", "../x", "a?b", "A", "a b", "-a"] {
            assert_eq!(check_namespace(wrong).unwrap_err().code(), "Usage", "{wrong}");
        }
    }

    #[test]
    fn answers_are_told_apart() {
        for (error, code) in [
            (failure(404, "NotFound", "b"), "NotFound"),
            (failure(404, "NotFound", ""), "KindMissing"),
            (failure(403, "Forbidden", "b"), "Forbidden"),
            (failure(401, "Unauthorized", ""), "KubeconfigUnusable"),
            (failure(422, "Invalid", "b"), "Rejected"),
            (failure(409, "Conflict", "b"), "Rejected"),
            (failure(429, "TooManyRequests", "b"), "Unavailable"),
            (failure(500, "InternalError", "b"), "Unavailable"),
            (failure(503, "ServiceUnavailable", ""), "Unavailable"),
            (failure(408, "Timeout", ""), "Unavailable"),
        ] {
            assert_eq!(error.code(), code);
            assert!(error.to_string().contains("said") || code != "Rejected", "{error}");
        }
    }
}
