//! Sealed CA keys: what this enclave did not seal for this issuer is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use tcs_enclave::Engine;
use tcs_enclave_rpc::{Handler, Request, Response, Restore};

static ENGINE: LazyLock<Engine> = LazyLock::new(tcs_fuzz::enclave);

fuzz_target!(|data: &[u8]| {
    let restore = Restore { issuer_uid: "uid".into(), blob: data.to_vec().into(), now: tcs_fuzz::NOW };
    assert!(matches!(ENGINE.handle(Request::Restore(restore)), Response::Refused(_)));
});
