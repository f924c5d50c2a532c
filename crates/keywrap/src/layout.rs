//! Lengths of the KMRA formats.

/// Length of `C1` in bytes: the modulus of RSA-3072.
pub const OAEP_LEN: usize = 384;
/// Length of the AES key inside `C1` in bytes.
pub const KEK_LEN: usize = 32;
/// Minimum length of a wrapped key in bytes: `C1` and three KWP blocks.
pub const MIN_LEN: usize = OAEP_LEN + 24;
/// Maximum length of a wrapped key in bytes. RSA-8192 needs about 5 KiB.
pub const MAX_LEN: usize = 16 * 1024;
