//! How the key owner may deliver a CA key.

use super::schema::{no_blanks, not_null};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is accepted of the key owner.
#[derive(Clone, Debug, Default, Deserialize, KubeSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[x_kube(validation = no_blanks(&["formats"]))]
pub struct DeliverySpec {
    /// Formats in which the CA key may be wrapped: `kmra-v1-sha256`, and `kmra-v1`, which uses SHA-1 and is
    /// the only one that PKCS#11 tokens support. Without this list both are accepted. The list is sent with
    /// each delivery, and the enclave enforces it, so that it binds only an honest controller.
    #[serde(default, deserialize_with = "not_null", skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2))]
    pub formats: Option<Vec<WrapFormat>>,
}

/// The name of a format of wrapped keys (`docs/protocol.md`, "Wrapped keys").
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum WrapFormat {
    /// RSAES-OAEP with SHA-256.
    #[serde(rename = "kmra-v1-sha256")]
    KmraV1Sha256,
    /// RSAES-OAEP with SHA-1.
    #[serde(rename = "kmra-v1")]
    KmraV1,
}

impl WrapFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::KmraV1Sha256, Self::KmraV1];

    /// The name of the format.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KmraV1Sha256 => "kmra-v1-sha256",
            Self::KmraV1 => "kmra-v1",
        }
    }
}
