//! The one error type: where it failed, the system's number if there is one, and a sentence.
//!
//! Floor 0: nothing here names an operating system. The floor that makes system calls turns
//! their numbers into words and hands both over.

use std::borrow::Cow;
use std::fmt;
use std::io;

/// A result whose error is an [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// What failed, where, and why, in one sentence.
///
/// [`Display`](fmt::Display) prints the whole sentence, as in
/// `cannot bind tcp://[::1]:80: permission denied (EACCES)`, so
/// [`source`](std::error::Error::source) is always `None`. An `Error` travels inside
/// [`io::Error`] through [`Read`](io::Read) and [`Write`](io::Write), and [`Error::in_io`] finds
/// it there again. That a socket which does not wait would have to, which a loop meets at every
/// turn, is told without naming the socket and allocates nothing; in an [`io::Error`] it is the
/// bare kind.
///
/// # Examples
///
/// ```
/// use stream_socket::{SocketUrl, Stage};
///
/// let error = "tcp://localhost:70000".parse::<SocketUrl>().unwrap_err();
/// assert_eq!(error.stage(), Stage::Parse);
/// assert_eq!(error.errno(), None);
/// ```
#[derive(Clone)]
pub struct Error(Option<Box<Inner>>);

#[derive(Clone)]
struct Inner {
    stage: Stage,
    errno: Option<i32>,
    limit: Option<Limit>,
    resolver_code: Option<i32>,
    action: &'static str,
    url: Cow<'static, str>,
    reason: Cow<'static, str>,
}

/// What an error without a box says.
static WOULD_BLOCK: Inner = Inner {
    stage: Stage::Io,
    // errno(3) of Linux.
    errno: Some(11),
    limit: None,
    resolver_code: None,
    action: "go on with",
    url: Cow::Borrowed("a socket that does not wait"),
    reason: Cow::Borrowed("try again (EAGAIN)"),
};

/// How far an operation had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// The URL or an option in it could not be understood; no system call was made.
    Parse,
    /// The name could not be turned into addresses.
    Resolve,
    /// The socket could not be created, or an option could not be set on it.
    Socket,
    /// `bind` failed.
    Bind,
    /// `listen` failed.
    Listen,
    /// `accept` failed.
    Accept,
    /// No address could be connected to.
    Connect,
    /// A proxy on the way did not do its part, or said something that can't be understood.
    Proxy,
    /// The connection was there, and TLS could not be agreed upon: no version or cipher in common,
    /// a certificate that is not trusted, a peer that speaks something else, or keeps silent.
    Handshake,
    /// Reading, writing or waiting failed on a socket that was open.
    Io,
}

impl Stage {
    /// What was being attempted, as it stands between "cannot" and the URL.
    fn action(self) -> &'static str {
        match self {
            Stage::Parse => "parse",
            Stage::Resolve => "resolve",
            Stage::Socket => "open",
            Stage::Bind => "bind",
            Stage::Listen => "listen on",
            Stage::Accept => "accept from",
            Stage::Connect | Stage::Proxy => "connect to",
            Stage::Handshake => "shake hands with",
            Stage::Io => "use",
        }
    }
}

/// The stage's name in lower case, as machine-readable output shows it.
impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Parse => "parse",
            Stage::Resolve => "resolve",
            Stage::Socket => "socket",
            Stage::Bind => "bind",
            Stage::Listen => "listen",
            Stage::Accept => "accept",
            Stage::Connect => "connect",
            Stage::Proxy => "proxy",
            Stage::Handshake => "handshake",
            Stage::Io => "io",
        })
    }
}

/// A limit in time that an operation has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// The timeout given to accept.
    Accept,
    /// `connect_timeout`: resolving and connecting together, and a handshake that follows.
    Connect,
    /// `handshake_timeout`.
    Handshake,
    /// `read_timeout`.
    Read,
    /// `write_timeout`.
    Write,
    /// `proxy_timeout`.
    Proxy,
    /// `peer_idle_timeout`.
    PeerIdle,
}

/// The name of what timed out, as a sentence begins with it.
impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Limit::Accept => "accept",
            Limit::Connect => "connect",
            Limit::Handshake => "the handshake",
            Limit::Read => "read",
            Limit::Write => "write",
            Limit::Proxy => "the header",
            Limit::PeerIdle => "an idle peer",
        })
    }
}

impl Error {
    /// An error that no system call reported; `reason` is the rest of the sentence, without a dot.
    pub(crate) fn new(stage: Stage, url: impl fmt::Display, reason: impl fmt::Display) -> Self {
        Self(Some(Box::new(Inner {
            stage,
            errno: None,
            limit: None,
            resolver_code: None,
            action: stage.action(),
            url: url.to_string().into(),
            reason: reason.to_string().into(),
        })))
    }

    /// A socket that does not wait would have to.
    pub(crate) fn would_block() -> Self {
        Self(None)
    }

    fn inner(&self) -> &Inner {
        self.0.as_deref().unwrap_or(&WOULD_BLOCK)
    }

    /// The error of a stream, which is ours wherever it went through our hands.
    pub(crate) fn of_io(error: io::Error, url: impl fmt::Display) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::would_block(),
            Err(error) => Self::new(Stage::Io, url, error),
        }
    }

    /// The same error with the number that the system gave.
    pub(crate) fn with_errno(self, errno: i32) -> Self {
        self.change(|inner| inner.errno = Some(errno))
    }

    /// The same error, told apart as a limit in time that passed.
    pub(crate) fn with_limit(self, limit: Limit) -> Self {
        self.change(|inner| inner.limit = Some(limit))
    }

    /// The same error with what getaddrinfo(3) returned.
    pub(crate) fn with_resolver_code(self, code: i32) -> Self {
        self.change(|inner| inner.resolver_code = Some(code))
    }

    /// The same error with more at the end of its sentence.
    pub(crate) fn with_detail(self, detail: &str) -> Self {
        if !detail.is_empty() {
            return self
                .change(|inner| inner.reason = format!("{}; {detail}", inner.reason).into());
        }
        self
    }

    /// The same error about another URL: the one that its reader knows.
    pub(crate) fn with_url(self, url: impl fmt::Display) -> Self {
        self.change(|inner| inner.url = url.to_string().into())
    }

    /// The same error with its own words between "cannot" and the URL.
    pub(crate) fn with_action(self, action: &'static str) -> Self {
        self.change(|inner| inner.action = action)
    }

    fn change(mut self, change: impl FnOnce(&mut Inner)) -> Self {
        if let Some(inner) = &mut self.0 {
            change(inner);
        }
        self
    }

    /// How far the operation had come.
    pub fn stage(&self) -> Stage {
        self.inner().stage
    }

    /// The system's number of the failed call; `ETIMEDOUT` when a deadline of ours passed.
    ///
    /// `None` when it failed before any system call was made for the socket: parsing and
    /// resolving. PHP shows that as 0, which its manual's page of `stream_socket_server` defines
    /// as "failed before bind".
    pub fn errno(&self) -> Option<i32> {
        self.inner().errno
    }

    /// What [getaddrinfo(3)] returned, such as `EAI_NONAME`, where the name was looked up and has
    /// no address; gai_strerror(3) has the system's words for it.
    ///
    /// [getaddrinfo(3)]: https://man7.org/linux/man-pages/man3/getaddrinfo.3.html
    pub fn resolver_code(&self) -> Option<i32> {
        self.inner().resolver_code
    }

    /// The URL or the address that the operation was about.
    pub fn url(&self) -> &str {
        &self.inner().url
    }

    /// Why it failed: the end of the sentence, after the URL.
    pub fn reason(&self) -> &str {
        &self.inner().reason
    }

    /// Whether a deadline passed.
    pub fn is_timeout(&self) -> bool {
        self.inner().limit.is_some()
    }

    /// Which limit in time it was that passed, if one did.
    pub fn limit(&self) -> Option<Limit> {
        self.inner().limit
    }

    /// The nearest [`io::ErrorKind`].
    pub fn io_kind(&self) -> io::ErrorKind {
        match (self.inner().limit, self.inner().errno, self.inner().stage) {
            (Some(_), _, _) => io::ErrorKind::TimedOut,
            (_, Some(errno), _) => io::Error::from_raw_os_error(errno).kind(),
            (_, None, Stage::Parse) => io::ErrorKind::InvalidInput,
            (_, None, Stage::Resolve) => io::ErrorKind::NotFound,
            (_, None, Stage::Handshake) => io::ErrorKind::InvalidData,
            (_, None, _) => io::ErrorKind::Other,
        }
    }

    /// The `Error` inside an [`io::Error`], where this library put one.
    pub fn in_io(error: &io::Error) -> Option<&Error> {
        error.get_ref()?.downcast_ref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot {} {}: {}",
            self.inner().action,
            self.inner().url,
            self.inner().reason
        )
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("stage", &self.inner().stage)
            .field("errno", &self.inner().errno)
            .field("limit", &self.inner().limit)
            .field("message", &format_args!("{self}"))
            .finish()
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error.0 {
            Some(_) => io::Error::new(error.io_kind(), error),
            None => io::ErrorKind::WouldBlock.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sentence_names_what_where_and_why() {
        let error = Error::new(Stage::Bind, "tcp://[::1]:80", "permission denied (EACCES)");
        assert_eq!(
            error.to_string(),
            "cannot bind tcp://[::1]:80: permission denied (EACCES)"
        );
    }

    #[test]
    fn an_error_survives_the_way_through_io_error() {
        let error = Error::new(Stage::Io, "tcp://h:1", "gone").with_errno(104);
        let io = io::Error::from(error);
        assert_eq!(io.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(Error::in_io(&io).and_then(Error::errno), Some(104));
        assert!(Error::in_io(&io::Error::other("not ours")).is_none());
    }

    #[test]
    fn it_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
