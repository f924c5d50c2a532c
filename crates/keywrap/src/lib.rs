//! Wraps and unwraps CA keys in the formats of KMRA (docs/protocol.md, "Wrapped keys").
//!
//! A wrapped key is `C1 ‖ C2` without header, version or hash name: `C1`, 384 bytes, is RSAES-OAEP (RFC 8017,
//! empty label, MGF1 with the same hash) of a fresh 32-byte AES key, for the RSA-3072 key of the quote. `C2`
//! is AES-256-KWP (RFC 5649) of the CA key's PKCS#8 DER under that AES key.
//!
//! The two [`WrapFormat`]s differ only in the hash of OAEP. The layout is that of the PKCS#11 mechanism
//! `CKM_RSA_AES_KEY_WRAP`. Neither format is authenticated: anyone can wrap a key.
#![forbid(unsafe_code)]

mod error;
mod format;
mod format_names;
mod kmra;
mod layout;

pub use error::Error;
pub use format::WrapFormat;
pub use kmra::{Unwrapped, check_length, check_pkcs8, unwrap, wrap};
pub use layout::{KEK_LEN, MAX_LEN, MIN_LEN, OAEP_LEN};
