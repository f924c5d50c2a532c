//! The argument that names an issuer.

use crate::error::Error;
use tcs_api::GROUP;

/// An issuer as users name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerArgument {
    /// The kind, if it is named: true for cluster issuers.
    pub is_of_cluster: Option<bool>,
    /// The name.
    pub name: String,
}

impl IssuerArgument {
    /// Parses `NAME`, `tcsissuer/NAME` or `tcsclusterissuer/NAME`. The kind is accepted as kubectl accepts
    /// it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let wrong = |why: &str| Error::Usage(format!("{text:?} names no issuer: {why}"));
        let (kind, name) = text.split_once('/').map_or((None, text), |(kind, name)| (Some(kind), name));
        if name.is_empty() || name.contains('/') {
            return Err(wrong("expected NAME, tcsissuer/NAME or tcsclusterissuer/NAME"));
        }
        let is_of_cluster = kind.map(|kind| {
            let kind = kind.to_ascii_lowercase();
            let kind = kind.strip_suffix(GROUP).and_then(|kind| kind.strip_suffix('.')).unwrap_or(&kind);
            match kind {
                "tcsissuer" | "tcsissuers" => Ok(false),
                "tcsclusterissuer" | "tcsclusterissuers" => Ok(true),
                _ => Err(wrong("the kind is tcsissuer or tcsclusterissuer")),
            }
        });
        Ok(Self { is_of_cluster: is_of_cluster.transpose()?, name: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_read_as_kubectl_reads_them() {
        let parse = |text| IssuerArgument::parse(text).map(|read| (read.is_of_cluster, read.name)).ok();
        assert_eq!(parse("a.b"), Some((None, "a.b".into())));
        assert_eq!(parse("tcsissuer/a"), Some((Some(false), "a".into())));
        assert_eq!(parse("TCSIssuers.tcs.intel.com/a"), Some((Some(false), "a".into())));
        assert_eq!(parse("tcsclusterissuers/a"), Some((Some(true), "a".into())));
        for wrong in ["", "tcsissuer/", "issuer/a", "tcsissuer/a/b", "tcs.intel.com/a"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
