//! Why an operation failed, as PHP tells it: a number and, where the system's words do not do, a
//! text.

use std::io;

use stream_socket::Error;

/// `EAGAIN`: what a write says that ran out of time.
pub(crate) const AGAIN: i32 = 11;
/// `EDESTADDRREQ`: a write on a socket that has no peer.
pub(crate) const NO_DESTINATION: i32 = 89;
/// `EOPNOTSUPP`
pub(crate) const NOT_SUPPORTED: i32 = 95;
/// `EBADF`: there is no socket.
pub(crate) const NO_SOCKET: i32 = 9;
/// `EPIPE`
pub(crate) const PIPE: i32 = 32;
/// `ETIMEDOUT`
pub(crate) const TIMED_OUT: i32 = 110;
/// `EPROTO`: what a peer sent is no TLS, or was tampered with.
pub(crate) const PROTOCOL: i32 = 71;
/// `EINVAL`
pub(crate) const INVALID: i32 = 22;
/// `ENOTCONN`
pub(crate) const NOT_CONNECTED: i32 = 107;

/// Why an operation failed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The system's number; 0 where it failed before any system call.
    pub(crate) number: i32,
    /// What PHP shows in place of strerror(3)'s text.
    pub(crate) text: Option<String>,
    /// Whether the time was up.
    pub(crate) timed_out: bool,
}

impl Failure {
    pub(crate) fn of_system(number: i32) -> Self {
        Self {
            number,
            text: None,
            timed_out: false,
        }
    }

    pub(crate) fn of_words(text: impl Into<String>) -> Self {
        Self {
            number: 0,
            text: Some(text.into()),
            timed_out: false,
        }
    }
}

/// PHP's texts for what the system refuses are the system's. Ours are for what it never saw, and
/// for an option that it refused, which its number alone would not name.
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let refused_option = error.reason().starts_with("option ");
        Self {
            number: error.errno().unwrap_or(0),
            text: (error.errno().is_none() || refused_option).then(|| error.reason().to_owned()),
            timed_out: error.is_timeout(),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match Error::in_io(&error) {
            Some(ours) => Self {
                number: ours.errno().unwrap_or(0),
                text: None,
                timed_out: ours.is_timeout(),
            },
            None => Self::of_system(error.raw_os_error().unwrap_or(AGAIN)),
        }
    }
}
