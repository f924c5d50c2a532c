//! Base64, and the fields of Secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;

/// What `base64 -w 0` prints.
pub fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// What `base64 -d` prints.
pub fn decode(text: &str) -> Vec<u8> {
    STANDARD.decode(text).unwrap()
}

/// The bytes of a field that a Secret must have.
pub fn field<'a>(secret: &'a Secret, name: &str) -> &'a [u8] {
    let data = secret.data.as_ref().unwrap_or_else(|| panic!("the Secret has no data: {secret:?}"));
    &data.get(name).unwrap_or_else(|| panic!("the Secret has no {name}: {secret:?}")).0
}
