//! PKCS#11 sessions, objects and wrapping.
#![deny(unsafe_code)]
