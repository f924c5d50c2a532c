//! The trusted side: holds CA keys, judges and signs.
#![forbid(unsafe_code)]
