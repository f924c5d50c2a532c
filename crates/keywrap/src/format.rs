//! The named formats.

use aws_lc_rs::rsa::{OAEP_SHA1_MGF1SHA1, OAEP_SHA256_MGF1SHA256, OaepAlgorithm};
use core::fmt;

/// How a private key is wrapped. A wrapped key does not name its format, so the receiver tries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WrapFormat {
    /// `kmra-v1-sha256`: OAEP with SHA-256. Preferred.
    KmraV1Sha256,
    /// `kmra-v1`: OAEP with SHA-1, the only one that SoftHSM2 and KMRA support. Legacy; may be forbidden.
    KmraV1,
}

impl WrapFormat {
    /// Every format, in the order in which [`unwrap`](crate::unwrap) tries them.
    pub const ALL: &'static [Self] = &[Self::KmraV1Sha256, Self::KmraV1];

    /// The name in settings, options, statuses and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KmraV1Sha256 => "kmra-v1-sha256",
            Self::KmraV1 => "kmra-v1",
        }
    }

    pub(crate) fn oaep(self) -> &'static OaepAlgorithm {
        match self {
            Self::KmraV1Sha256 => &OAEP_SHA256_MGF1SHA256,
            Self::KmraV1 => &OAEP_SHA1_MGF1SHA1,
        }
    }
}

impl fmt::Display for WrapFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
