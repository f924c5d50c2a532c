//! The typed RPC between the untrusted controller and the enclave: messages, codec, blocking server and
//! client.
#![forbid(unsafe_code)]

pub mod codec;

mod client;
mod endpoint;
mod error;
mod messages;
mod server;

pub use client::{Client, PendingResponse};
pub use endpoint::Endpoint;
pub use error::Error;
pub use messages::*;
pub use minicbor::bytes::ByteVec;
pub use server::{Answered, Handler, Server, ServerHandle, ServerOptions};

/// The error of a [`Client`].
pub type ClientError = Error;
