//! Exit statuses.

use std::process::ExitCode;

/// Class of the result, so that scripts need not parse texts. The numbers are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0: done.
    Success,
    /// 1: any error that no other class names.
    Other,
    /// 2: wrong options.
    Usage,
    /// 3: refused: a request was denied or has failed, or a renewal makes no sense.
    Refused,
    /// 4: the deadline passed.
    Waiting,
    /// 5: an object does not exist.
    NotFound,
    /// 6: the API server cannot be reached or denies a right.
    Cluster,
    /// 7: `doctor` found something wrong.
    Faults,
    /// 8: `doctor` found nothing wrong, but could not check everything.
    Unchecked,
}

impl Exit {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::Success,
        Self::Other,
        Self::Usage,
        Self::Refused,
        Self::Waiting,
        Self::NotFound,
        Self::Cluster,
        Self::Faults,
        Self::Unchecked,
    ];

    /// The exit status.
    #[must_use]
    pub fn status(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Other => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Waiting => 4,
            Self::NotFound => 5,
            Self::Cluster => 6,
            Self::Faults => 7,
            Self::Unchecked => 8,
        }
    }

    /// What it means, for the documentation.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Success => "done",
            Self::Other => "any other error, for example a file that cannot be read or written",
            Self::Usage => "wrong options",
            Self::Refused => "refused: the request was denied or has failed, or the renewal makes no sense",
            Self::Waiting => "the deadline passed before the certificate was there",
            Self::NotFound => "the object does not exist",
            Self::Cluster => "the API server cannot be reached, does not answer in time or denies a right",
            Self::Faults => "`doctor` found something wrong",
            Self::Unchecked => "`doctor` found nothing wrong, but it could not check everything",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.status())
    }
}
