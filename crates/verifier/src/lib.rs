//! Appraisal of attestation evidence.
#![forbid(unsafe_code)]
