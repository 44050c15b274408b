//! The port of an internet target: a number, or the name of a service.
//!
//! Floor 1. Which number a service has is the resolver's to say.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result, Stage};
use crate::printable::excerpt;

/// The longest service name
/// ([RFC 6335 section 5.1](https://www.rfc-editor.org/rfc/rfc6335#section-5.1)).
const SERVICE_BYTES: usize = 15;

/// The port in `tcp://host:port`.
///
/// # Examples
///
/// ```
/// use stream_socket::Port;
///
/// assert_eq!("8000".parse::<Port>()?, Port::Number(8000));
/// assert_eq!("daytime".parse::<Port>()?, Port::Service("daytime".to_owned()));
/// let error = "70000".parse::<Port>().unwrap_err();
/// assert_eq!(error.reason(), "port 70000 is not in 0–65535");
/// # Ok::<(), stream_socket::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Port {
    /// The number itself; 0 lets the system choose one.
    Number(u16),
    /// A name to look up, as in `/etc/services`: at most 15 letters, digits and single hyphens
    /// ([RFC 6335 section 5.1](https://www.rfc-editor.org/rfc/rfc6335#section-5.1)). It begins
    /// with a letter here, although the RFC would let it begin with a digit: `80x` is far more
    /// often a slip of the finger than a service.
    Service(String),
}

impl Port {
    pub(super) fn parse(text: &str) -> std::result::Result<Self, String> {
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        match text.split_at(digits) {
            ("", "") => Err("the port is missing".to_owned()),
            ("", service) => check_service(service).map(|()| Port::Service(service.to_owned())),
            (number, "") => number
                .parse()
                .map(Port::Number)
                .map_err(|_| format!("port {} is not in 0–65535", excerpt(number))),
            (number, rest) => Err(format!(
                "{} after port {} has no meaning in an address",
                excerpt(rest),
                excerpt(number)
            )),
        }
    }

    /// Whether a value put together by hand is one that [`parse`](Self::parse) could have made.
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        match self {
            Port::Number(_) => Ok(()),
            Port::Service(name) => check_service(name),
        }
    }
}

fn check_service(name: &str) -> std::result::Result<(), String> {
    let well_formed = name.len() <= SERVICE_BYTES
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !name.ends_with('-')
        && !name.contains("--");
    if well_formed {
        Ok(())
    } else {
        Err(format!(
            "port {} is neither a number nor the name of a service",
            excerpt(name)
        ))
    }
}

/// The number or the service name.
impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Port::Number(number) => number.fmt(f),
            Port::Service(name) => f.write_str(name),
        }
    }
}

/// A number from 0 to 65535, or a service name.
///
/// # Errors
///
/// [`Stage::Parse`] for anything else; the sentence names the offending part.
impl FromStr for Port {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text).map_err(|reason| Error::new(Stage::Parse, excerpt(text), reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_services() {
        for (text, port) in [
            ("0", Port::Number(0)),
            ("65535", Port::Number(65535)),
            ("0080", Port::Number(80)),
            ("http", Port::Service("http".to_owned())),
            ("z39-50", Port::Service("z39-50".to_owned())),
            (
                "FIFTEEN-LETTERS",
                Port::Service("FIFTEEN-LETTERS".to_owned()),
            ),
        ] {
            assert_eq!(Port::parse(text), Ok(port));
        }
    }

    #[test]
    fn what_is_no_port_is_refused_with_its_reason() {
        let wrong = |text| format!("port {text} is neither a number nor the name of a service");
        for (text, reason) in [
            ("", "the port is missing".to_owned()),
            ("65536", "port 65536 is not in 0–65535".to_owned()),
            (
                "99999999999999999999",
                "port 99999999999999999999 is not in 0–65535".to_owned(),
            ),
            (
                "80/path",
                "/path after port 80 has no meaning in an address".to_owned(),
            ),
            (
                "80x",
                "x after port 80 has no meaning in an address".to_owned(),
            ),
            (
                "80 ",
                "  after port 80 has no meaning in an address".to_owned(),
            ),
            ("+80", wrong("+80")),
            ("-1", wrong("-1")),
            (" 80", wrong(" 80")),
            ("http-", wrong("http-")),
            ("a--b", wrong("a--b")),
            ("ht tp", wrong("ht tp")),
            ("sixteen-letters-", wrong("sixteen-letters-")),
            ("sixteen-letters1", wrong("sixteen-letters1")),
            ("\u{661}", wrong("\u{661}")),
        ] {
            assert_eq!(Port::parse(text), Err(reason));
        }
    }
}
