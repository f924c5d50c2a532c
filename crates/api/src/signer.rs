//! The grammar of signer names (`spec.signerName` of a `CertificateSigningRequest`).

use crate::GROUP;

/// The issuer that a signer name refers to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SignerName {
    /// A `TCSIssuer`.
    Namespaced {
        /// Its namespace, which contains no dots.
        namespace: String,
        /// Its name, which may contain dots.
        name: String,
    },
    /// A `TCSClusterIssuer`.
    Cluster {
        /// Its name, which may contain dots and is never split (`docs/conformance.md`, W-R4).
        name: String,
    },
}

impl SignerName {
    /// Parses `tcsissuer.tcs.intel.com/<namespace>.<name>` or `tcsclusterissuer.tcs.intel.com/<name>`. The
    /// kind is accepted in the singular and in the plural.
    ///
    /// Returns `None` for the names of all other signers, and for a namespace or name that no object can
    /// have. So the result can be looked up without further checks.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (domain, path) = text.split_once('/')?;
        let kind = domain.strip_suffix(GROUP)?.strip_suffix('.')?;
        match kind {
            "tcsissuer" | "tcsissuers" => {
                let (namespace, name) = path.split_once('.')?;
                (is_label(namespace) && is_subdomain(name))
                    .then(|| Self::Namespaced { namespace: namespace.into(), name: name.into() })
            }
            "tcsclusterissuer" | "tcsclusterissuers" => {
                is_subdomain(path).then(|| Self::Cluster { name: path.into() })
            }
            _ => None,
        }
    }

    /// The issuer whose `QuoteAttestation` has this name: the inverse of [`quote_attestation_name`] and
    /// [`cluster_quote_attestation_name`]. `None` if no issuer's has.
    #[must_use]
    pub fn of_quote_attestation(name: &str) -> Option<Self> {
        let (path, kind) = name.strip_suffix(GROUP)?.strip_suffix('.')?.rsplit_once('.')?;
        // Only the singular is used in these names.
        let is_one = matches!(kind, "tcsissuer" | "tcsclusterissuer");
        is_one.then(|| Self::parse(&format!("{kind}.{GROUP}/{path}"))).flatten()
    }
}

/// The signer name of a `TCSIssuer` as the original walk-through spells it:
/// `tcsissuer.tcs.intel.com/<namespace>.<name>`.
#[must_use]
pub fn signer_name(namespace: &str, name: &str) -> String {
    format!("tcsissuer.{GROUP}/{namespace}.{name}")
}

/// All spellings of a `TCSIssuer`'s signer name that are served, the one of [`signer_name`] first.
#[must_use]
pub fn spellings(namespace: &str, name: &str) -> [String; 2] {
    [signer_name(namespace, name), format!("tcsissuers.{GROUP}/{namespace}.{name}")]
}

/// The signer name of a `TCSClusterIssuer`: `tcsclusterissuer.tcs.intel.com/<name>`.
#[must_use]
pub fn cluster_signer_name(name: &str) -> String {
    format!("tcsclusterissuer.{GROUP}/{name}")
}

/// All spellings of a `TCSClusterIssuer`'s signer name that are served, the one of [`cluster_signer_name`]
/// first.
#[must_use]
pub fn cluster_spellings(name: &str) -> [String; 2] {
    [cluster_signer_name(name), format!("tcsclusterissuers.{GROUP}/{name}")]
}

/// The name of a `TCSClusterIssuer`'s `QuoteAttestation`: `<name>.tcsclusterissuer.tcs.intel.com`.
///
/// The name of a `TCSIssuer`'s object has another suffix, so that no two issuers share one
/// (`docs/conformance.md`, W-S6).
#[must_use]
pub fn cluster_quote_attestation_name(name: &str) -> String {
    format!("{name}.tcsclusterissuer.{GROUP}")
}

/// The name of a `TCSIssuer`'s `QuoteAttestation`: `<namespace>.<name>.tcsissuer.tcs.intel.com`.
///
/// At most 63 + 1 + 63 + 24 = 151 characters: a namespace has at most 63 (DNS-1123 label), and so has an
/// issuer's name by a rule of the CRD.
#[must_use]
pub fn quote_attestation_name(namespace: &str, name: &str) -> String {
    format!("{namespace}.{name}.tcsissuer.{GROUP}")
}

/// A DNS-1123 label: 1 to 63 of `a-z0-9-`, not starting or ending with `-`.
fn is_label(text: &str) -> bool {
    let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
    !text.is_empty()
        && text.len() <= 63
        && text.bytes().all(inner)
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// A DNS-1123 subdomain as the API server checks the names of objects: labels separated by dots, at most 253
/// characters. A label in it has no length limit of its own.
fn is_subdomain(text: &str) -> bool {
    let label = |part: &str| {
        let inner = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-';
        !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn namespaced(namespace: &str, name: &str) -> SignerName {
        SignerName::Namespaced { namespace: namespace.into(), name: name.into() }
    }

    #[test]
    fn both_spellings_of_both_kinds_are_read() {
        for spelling in spellings("sandbox", "external-ca") {
            assert_eq!(
                SignerName::parse(&spelling),
                Some(namespaced("sandbox", "external-ca")),
                "{spelling}"
            );
        }
        let cluster = Some(SignerName::Cluster { name: "my-ca".into() });
        assert_eq!(SignerName::parse("tcsclusterissuer.tcs.intel.com/my-ca"), cluster);
        assert_eq!(SignerName::parse("tcsclusterissuers.tcs.intel.com/my-ca"), cluster);
        assert_eq!(SignerName::parse(&cluster_signer_name("my-ca")), cluster);
    }

    #[test]
    fn w_r4_a_cluster_issuers_name_with_dots_is_never_split() {
        let parsed = SignerName::parse("tcsclusterissuer.tcs.intel.com/sandbox.external-ca");
        assert_eq!(parsed, Some(SignerName::Cluster { name: "sandbox.external-ca".into() }));
    }

    #[test]
    fn review_m2_the_name_of_a_quote_attestation_leads_to_its_issuer() {
        for (namespace, name) in [("sandbox", "external-ca"), ("a", "b.c"), ("tcsissuer", "tcsissuer.x")] {
            let found = SignerName::of_quote_attestation(&quote_attestation_name(namespace, name));
            assert_eq!(found, Some(namespaced(namespace, name)));
            let dotted = format!("{namespace}.{name}");
            let found = SignerName::of_quote_attestation(&cluster_quote_attestation_name(&dotted));
            assert_eq!(found, Some(SignerName::Cluster { name: dotted }));
        }
        for other in
            ["", "a", "a.tcsissuer.tcs.intel.com", "a.b.tcsissuers.tcs.intel.com", "a.b.tcs.intel.com"]
        {
            assert_eq!(SignerName::of_quote_attestation(other), None, "{other}");
        }
    }

    #[test]
    fn w_r4_only_the_first_dot_ends_the_namespace() {
        assert_eq!(SignerName::parse("tcsissuer.tcs.intel.com/ns.a.b.c"), Some(namespaced("ns", "a.b.c")));
        assert_eq!(SignerName::parse(&signer_name("ns", "a.b")), Some(namespaced("ns", "a.b")));
    }

    #[test]
    fn other_names_and_impossible_ones_are_not_ours() {
        let long = format!("tcsclusterissuer.tcs.intel.com/{}", "a".repeat(254));
        let names = [
            "",
            "/",
            "tcsissuer.tcs.intel.com",
            "tcsissuer.tcs.intel.com/",
            "tcsissuer.tcs.intel.com/name-only",
            "tcsissuer.tcs.intel.com/.name",
            "tcsissuer.tcs.intel.com/ns.",
            "tcsissuer.tcs.intel.com/ns..name",
            "tcsissuer.tcs.intel.com/ns.name/more",
            "tcsissuer.tcs.intel.com/Ns.name",
            "tcsissuer.tcs.intel.com/ns.-name",
            "tcsclusterissuer.tcs.intel.com/",
            "tcsclusterissuer.tcs.intel.com/a/b",
            "tcsissuerss.tcs.intel.com/ns.name",
            "tcsissuertcs.intel.com/ns.name",
            "xtcsissuer.tcs.intel.com/ns.name",
            "kubernetes.io/kube-apiserver-client",
            "issuers.cert-manager.io/ns.name",
            "tcs.intel.com/ns.name",
            long.as_str(),
        ];
        for name in names {
            assert_eq!(SignerName::parse(name), None, "{name}");
        }
    }

    #[test]
    fn the_documents_names() {
        assert_eq!(signer_name("sandbox", "external-ca"), "tcsissuer.tcs.intel.com/sandbox.external-ca");
        assert_eq!(
            quote_attestation_name("sandbox", "external-ca"),
            "sandbox.external-ca.tcsissuer.tcs.intel.com"
        );
    }
}
