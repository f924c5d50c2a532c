//! A right to read, as a request to the API server uses it.

use http::{Method, Uri};
use std::fmt;
use tcs_api::GROUP;

/// What a request reads: all objects of a kind, in one namespace or in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Read {
    /// `list` or `watch`, as RBAC names it.
    pub verb: &'static str,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural name of the kind.
    pub resource: String,
    /// The namespace; `None` for all.
    pub namespace: Option<String>,
}

impl Read {
    /// What a request reads; `None` if it is no list and no watch.
    pub fn of(method: &Method, uri: &Uri) -> Option<Self> {
        if *method != Method::GET {
            return None;
        }
        let mut path = uri.path().split('/').skip(1);
        let group = match path.next()? {
            "api" => "",
            "apis" => path.next()?,
            _ => return None,
        };
        let _version = path.next()?;
        let rest: Vec<&str> = path.collect();
        let (namespace, resource) = match rest.as_slice() {
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

    /// Plural name and group, for example `tcsissuers.tcs.intel.com`.
    pub fn full_resource(&self) -> String {
        if self.group.is_empty() {
            self.resource.clone()
        } else {
            format!("{}.{}", self.resource, self.group)
        }
    }

    /// Whether the kind is one of `deployment/crds`.
    pub fn is_own_kind(&self) -> bool {
        self.group == GROUP
    }
}

impl fmt::Display for Read {
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
        Read::of(method, &uri.parse().unwrap()).map(|read| read.to_string())
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
}
