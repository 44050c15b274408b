//! Why a measurement counts for nothing.

use std::fmt::{self, Display, Formatter};

use nix::errno::Errno;

/// One sentence for the report.
#[derive(Debug)]
pub(crate) struct Failure(String);

impl Failure {
    pub(crate) fn new(sentence: impl Into<String>) -> Self {
        Self(sentence.into())
    }

    /// A system call that failed; the sockets have timeouts, and EAGAIN is one that passed.
    pub(crate) fn call(what: &str, errno: Errno) -> Self {
        if errno == Errno::EAGAIN || errno == Errno::EINPROGRESS {
            let seconds = crate::socket::PATIENCE_SECONDS;
            Self(format!("cannot {what}: nothing happened for {seconds} s"))
        } else {
            Self(format!("cannot {what}: {} ({errno:?})", errno.desc()))
        }
    }
}

impl Display for Failure {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
