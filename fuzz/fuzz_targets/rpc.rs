//! Frames of the RPC, and the requests in them as the enclave answers them. No offer is made and no RSA key:
//! that takes a second.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;
use std::time::Duration;
use tcs_enclave::Engine;
use tcs_enclave_rpc::{Handler, Request, Response, codec};

/// Takes a good part of a second to generate.
const SLOW: &str = "RSA-3072";

static ENGINE: LazyLock<Engine> = LazyLock::new(tcs_fuzz::enclave);

fuzz_target!(|data: &[u8]| {
    let mut stream = data;
    while let Ok(Some(frame)) = codec::read(&mut stream, Duration::from_secs(1)) {
        let _ = codec::decode::<Response>(&frame.body);
        match codec::decode_known::<Request>(&frame.body) {
            Ok(Request::BeginProvisioning(_)) | Err(_) => {}
            Ok(Request::GenerateCa(generate)) if generate.key_algorithm == SLOW => {}
            Ok(Request::RenewCa(renew)) if renew.new_key.as_deref() == Some(SLOW) => {}
            Ok(request) => {
                let answer = ENGINE.handle(request);
                assert!(codec::encode(frame.id, &answer).is_ok());
            }
        }
    }
});
