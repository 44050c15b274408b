//! Why the command ends without having done its work.

use std::fmt;
use std::io;

use stream_socket::{Error, Stage};

use crate::exit;

/// What is told before the command ends.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line makes no sense in a way that its parser could not see.
    Usage(String),
    /// The library's error.
    Socket(Error),
    /// Something was waited for in vain; the whole sentence.
    Silence(String),
    /// A signal ended it, of this name and number.
    Signal(&'static str, u8),
    /// Something other than a socket failed: a file, standard output.
    System(String, io::Error),
}

impl Failure {
    /// An error of a stream, which is the library's where it went through its hands.
    pub(crate) fn of_stream(error: io::Error) -> Self {
        match error.downcast::<Error>() {
            Ok(error) => Failure::Socket(error),
            Err(error) => Failure::System("cannot use the socket".to_owned(), error),
        }
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match (self, self.stage()) {
            (Failure::Signal(_, number), _) => exit::SIGNAL + number,
            (_, Some(Stage::Parse)) => exit::USAGE,
            _ => exit::FAILED,
        }
    }

    /// Where it failed, if it has to do with a socket.
    pub(crate) fn stage(&self) -> Option<Stage> {
        match self {
            Failure::Usage(_) => Some(Stage::Parse),
            Failure::Socket(error) => Some(error.stage()),
            Failure::Silence(_) => Some(Stage::Io),
            Failure::Signal(..) | Failure::System(..) => None,
        }
    }

    /// The system's number, if a system call gave one.
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            Failure::Usage(_) | Failure::Silence(_) | Failure::Signal(..) => None,
            Failure::Socket(error) => error.errno(),
            Failure::System(_, error) => error.raw_os_error(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::Usage(sentence) | Failure::Silence(sentence) => f.write_str(sentence),
            Failure::Socket(error) => error.fmt(f),
            Failure::Signal(name, _) => write!(f, "ended by {name}"),
            Failure::System(action, error) => write!(f, "{action}: {error}"),
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Socket(error)
    }
}
