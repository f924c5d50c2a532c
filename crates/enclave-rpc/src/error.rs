use std::io;

/// Everything that can fail in this crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The endpoint's text is neither an absolute socket path nor a numeric loopback address with port.
    #[error(
        "`{0}` is not an endpoint: give unix:/absolute/path or a loopback address such as 127.0.0.1:7443"
    )]
    EndpointInvalid(String),
    /// The endpoint's address can be reached from other machines; the RPC has no authentication of its own.
    #[error("{0} is not a loopback address: the enclave is reachable on loopback only")]
    EndpointNotLoopback(std::net::SocketAddr),
    /// The system refused a socket operation.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A frame announces more than [`MAX_FRAME`](crate::codec::MAX_FRAME) bytes, or a message would need
    /// more.
    #[error("a frame of {0} bytes is too long")]
    FrameTooLong(usize),
    /// A frame is too short for version and request id.
    #[error("a frame of {0} bytes is too short")]
    FrameTooShort(usize),
    /// The other side uses another version of the protocol.
    #[error("protocol version {0} is not supported")]
    VersionUnsupported(u8),
    /// The message in a frame cannot be decoded.
    #[error("a message cannot be decoded")]
    MessageMalformed,
    /// The message in a frame contains something that this version does not know, and that may be a rule.
    #[error(
        "the request contains a field that this version of the enclave does not know: run a controller and an enclave of the same version"
    )]
    MessageNotKnown,
    /// The other side began a frame and did not finish it in time.
    #[error("a frame did not arrive in time")]
    FrameStalled,
    /// The connection has ended.
    #[error("the connection to the enclave has ended")]
    Disconnected,
    /// No response came in time. The request may still be carried out.
    #[error("the enclave did not answer in time")]
    Timeout,
}

impl Error {
    /// Stable name of the case.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::EndpointInvalid(_) => "EndpointInvalid",
            Self::EndpointNotLoopback(_) => "EndpointNotLoopback",
            Self::Io(_) => "Io",
            Self::FrameTooLong(_) => "FrameTooLong",
            Self::FrameTooShort(_) => "FrameTooShort",
            Self::VersionUnsupported(_) => "VersionUnsupported",
            Self::MessageMalformed => "MessageMalformed",
            Self::MessageNotKnown => "MessageNotKnown",
            Self::FrameStalled => "FrameStalled",
            Self::Disconnected => "Disconnected",
            Self::Timeout => "Timeout",
        }
    }
}
