//! The typed RPC between the untrusted controller and the enclave: messages, codec, blocking server and client.
#![forbid(unsafe_code)]

mod messages;
mod refusal;

pub use messages::*;
pub use minicbor::bytes::ByteVec;
pub use refusal::RefusalCode;
