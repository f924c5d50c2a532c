//! A right to read or to write, as a request to the API server uses it.

use http::{Method, Uri};
use std::fmt;
use tcs_api::{CERT_MANAGER_GROUP, GROUP, SERVICE_NAMESPACE};

/// The verbs of RBAC that the service uses.
const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", SIGN];
/// The right to sign, which the API server asks for when a certificate is written.
const SIGN: &str = "sign";
const CERTIFICATES: &str = "certificates.k8s.io";

/// A right of the service: to list or to watch all objects of a kind, in one namespace or in all, or what
/// another request needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// `list`, `watch` or another verb, as RBAC names it.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural name of the kind, and the subresource.
    pub resource: String,
    /// The namespace; `None` for all.
    pub namespace: Option<String>,
}

impl Right {
    /// The right that a list or a watch needs; `None` if the request is neither.
    pub fn to_list_or_watch(method: &Method, uri: &Uri) -> Option<Self> {
        if *method != Method::GET {
            return None;
        }
        let (group, path) = split(uri)?;
        let (namespace, resource) = match path.as_slice() {
            [resource] => (None, *resource),
            ["namespaces", namespace, resource] => (Some(*namespace), *resource),
            _ => return None,
        };
        let mut parameters = uri.query().unwrap_or_default().split('&');
        let watches = parameters.any(|one| matches!(one, "watch=true" | "watch=1"));
        Some(Self {
            verb: if watches { "watch" } else { "list" },
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
        })
    }

    /// The right that a request for one object, or for a new one, needs. Only the namespace of the service is
    /// told from others, because strangers make those.
    pub fn to_one_object(method: &Method, uri: &Uri) -> Option<Self> {
        let (group, path) = split(uri)?;
        let (namespace, path) = match path.as_slice() {
            ["namespaces", namespace, path @ ..] => (Some(*namespace), path),
            path => (None, path),
        };
        let (resource, name) = match path {
            [resource] => ((*resource).to_owned(), None),
            [resource, name] => ((*resource).to_owned(), Some(name)),
            [resource, name, subresource] => (format!("{resource}/{subresource}"), Some(name)),
            _ => return None,
        };
        let verb = match (method, name) {
            (&Method::GET, Some(_)) => "get",
            (&Method::POST, None) => "create",
            (&Method::PUT, Some(_)) => "update",
            (&Method::PATCH, Some(_)) => "patch",
            (&Method::DELETE, Some(_)) => "delete",
            _ => return None,
        };
        Some(Self { verb, group: group.to_owned(), resource, namespace: own(namespace) })
    }

    /// The right that is missing according to an answer 403 of the API server: `User "…" cannot update
    /// resource "secrets" in API group "" in the namespace "tcs-issuer"`. `None` if something else refused.
    pub fn missing(answer: &str) -> Option<Self> {
        if answer.contains("not permitted to sign requests with signerName") {
            return Some(Self::of_signing());
        }
        // It is a text within JSON.
        let answer = answer.replace("\\\"", "\"");
        let (verb, rest) = answer.split_once("\" cannot ")?.1.split_once(" resource \"")?;
        let (resource, rest) = rest.split_once("\" in API group \"")?;
        let (group, rest) = rest.split_once('"')?;
        let namespace = rest.strip_prefix(" in the namespace \"").and_then(|rest| rest.split('"').next());
        let verb = VERBS.into_iter().find(|known| *known == verb)?;
        Some(Self { verb, group: group.to_owned(), resource: resource.to_owned(), namespace: own(namespace) })
    }

    /// The right that somebody who may use this one has as well.
    pub fn implied(&self) -> Option<Self> {
        let writes = self.verb == "update" && self.resource == "certificatesigningrequests/status";
        writes.then(Self::of_signing)
    }

    fn of_signing() -> Self {
        Self { verb: SIGN, group: CERTIFICATES.to_owned(), resource: "signers".to_owned(), namespace: None }
    }

    /// Plural name and group, for example `tcsissuers.tcs.intel.com`.
    pub fn full_resource(&self) -> String {
        if self.group.is_empty() {
            self.resource.clone()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }

    /// Whether the service also works without the kind. It is served while the API server knows it.
    pub fn is_optional(&self) -> bool {
        self.group == CERT_MANAGER_GROUP
    }

    /// Whether the kind is one of `deployment/crds`.
    pub fn is_own_kind(&self) -> bool {
        self.group == GROUP
    }
}

/// The group and the rest of the path of a request for objects.
fn split(uri: &Uri) -> Option<(&str, Vec<&str>)> {
    let mut path = uri.path().split('/').skip(1);
    let group = match path.next()? {
        "api" => "",
        "apis" => path.next()?,
        _ => return None,
    };
    let _version = path.next()?;
    Some((group, path.collect()))
}

fn own(namespace: Option<&str>) -> Option<String> {
    namespace.filter(|namespace| *namespace == SERVICE_NAMESPACE).map(str::to_owned)
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb, self.full_resource())?;
        match &self.namespace {
            Some(namespace) => write!(f, " in namespace {namespace}"),
            None => f.write_str(" in the whole cluster"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(method: &Method, uri: &str) -> Option<String> {
        Right::to_list_or_watch(method, &uri.parse().unwrap()).map(|right| right.to_string())
    }

    #[test]
    fn lists_and_watches_are_told_from_other_requests() {
        let issuers = "/apis/tcs.intel.com/v1alpha1/tcsissuers";
        let secrets = "/api/v1/namespaces/tcs-issuer/secrets";
        for (uri, expected) in [
            (issuers.to_owned(), Some("list tcsissuers.tcs.intel.com in the whole cluster")),
            (
                format!("{issuers}?watch=true&sendInitialEvents=true"),
                Some("watch tcsissuers.tcs.intel.com in the whole cluster"),
            ),
            (format!("{secrets}?limit=16"), Some("list secrets in namespace tcs-issuer")),
            (format!("{secrets}?a=b&watch=true"), Some("watch secrets in namespace tcs-issuer")),
            (format!("{secrets}/wrapped-key"), None),
            ("/apis/tcs.intel.com/v1alpha1/namespaces/ns/tcsissuers/a/status".to_owned(), None),
            ("/apis/admissionregistration.k8s.io/v1".to_owned(), None),
            ("/version".to_owned(), None),
        ] {
            assert_eq!(of(&Method::GET, &uri).as_deref(), expected, "{uri}");
        }
        assert_eq!(of(&Method::POST, secrets), None);
    }

    #[test]
    fn a_missing_right_is_named_as_the_request_that_needs_it() {
        let csr = "/apis/certificates.k8s.io/v1/certificatesigningrequests/a/status";
        let sealed = "/api/v1/namespaces/tcs-issuer/secrets/tcs-sealed-u";
        let user = "User \\\"system:serviceaccount:tcs-issuer:tcs-issuer\\\" cannot";
        let in_service = "in the namespace \\\"tcs-issuer\\\"";
        for (method, uri, answer, expected) in [
            (
                Method::PUT,
                csr,
                format!(
                    "{user} update resource \\\"certificatesigningrequests/status\\\" in API group \\\"certificates.k8s.io\\\" at the cluster scope"
                ),
                "update certificatesigningrequests/status.certificates.k8s.io in the whole cluster",
            ),
            (
                Method::PATCH,
                sealed,
                format!("{user} patch resource \\\"secrets\\\" in API group \\\"\\\" {in_service}"),
                "patch secrets in namespace tcs-issuer",
            ),
            (
                Method::DELETE,
                sealed,
                format!("{user} delete resource \\\"secrets\\\" in API group \\\"\\\" {in_service}"),
                "delete secrets in namespace tcs-issuer",
            ),
            (
                Method::POST,
                "/api/v1/namespaces/sandbox/secrets",
                format!(
                    "{user} create resource \\\"secrets\\\" in API group \\\"\\\" in the namespace \\\"sandbox\\\""
                ),
                "create secrets in the whole cluster",
            ),
            (
                Method::POST,
                "/apis/authorization.k8s.io/v1/subjectaccessreviews",
                format!(
                    "{user} create resource \\\"subjectaccessreviews\\\" in API group \\\"authorization.k8s.io\\\" at the cluster scope"
                ),
                "create subjectaccessreviews.authorization.k8s.io in the whole cluster",
            ),
        ] {
            let answer = format!("{{\"message\":\"x is forbidden: {answer}\",\"code\":403}}");
            let missing = Right::missing(&answer).unwrap();
            assert_eq!(missing.to_string(), expected);
            assert_eq!(Right::to_one_object(&method, &uri.parse().unwrap()), Some(missing));
        }
        let sign = Right::missing("user not permitted to sign requests with signerName \\\"s\\\"").unwrap();
        assert_eq!(sign.to_string(), "sign signers.certificates.k8s.io in the whole cluster");
        assert_eq!(Right::to_one_object(&Method::PUT, &csr.parse().unwrap()).unwrap().implied(), Some(sign));
        for other in
            ["", "denied the request", "User \\\"u\\\" cannot fly resource \\\"x\\\" in API group \\\"\\\""]
        {
            assert_eq!(Right::missing(other), None);
        }
    }
}
