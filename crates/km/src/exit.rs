//! Exit statuses, the same for every tool of the key owner.

use std::process::ExitCode;

/// Class of a tool's result, so that scripts need not parse texts.
///
/// The numbers are stable. The one line on standard error names the failed check by a code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Success,
    /// 1: any error that no other class names.
    Other,
    /// 2: wrong options.
    Usage,
    /// 3: refused by verification: the evidence is not genuine, does not bind the key, or has an untrusted
    /// root.
    Verification,
    /// 4: refused by policy: the identity is not configured, or another rule does not accept the evidence.
    Policy,
    /// 5: collateral (certificates, revocation lists, TCB info) cannot be obtained or used.
    Collateral,
    /// 6: the PKCS#11 module, its token or the PIN cannot be used.
    Token,
    /// 7: a key file cannot be used.
    KeyInput,
}

impl Exit {
    /// The exit status.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Other => 1,
            Self::Usage => 2,
            Self::Verification => 3,
            Self::Policy => 4,
            Self::Collateral => 5,
            Self::Token => 6,
            Self::KeyInput => 7,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}
