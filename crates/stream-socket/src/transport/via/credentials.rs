//! The name and password that a proxy is told: [RFC 1929] for SOCKS5, [RFC 7617] for HTTP, "Basic".
//!
//! [RFC 1929]: https://www.rfc-editor.org/rfc/rfc1929
//! [RFC 7617]: https://www.rfc-editor.org/rfc/rfc7617

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Protocol;
use crate::url::decode;

/// A name and a password.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Credentials {
    name: Vec<u8>,
    password: Vec<u8>,
}

impl Credentials {
    /// Reads `name:password`, percent-encoded. What is wrong is told without a word of them.
    pub(super) fn parse(protocol: Protocol, text: &str) -> Result<Self, String> {
        let (name, password) = text.split_once(':').unwrap_or((text, ""));
        let decoded = |part| {
            decode(part).map_err(|_| "a proxy whose name and password have a % only in escapes")
        };
        let (name, password) = (decoded(name)?, decoded(password)?);
        let fits = |part: &[u8]| (1..=255).contains(&part.len());
        match protocol {
            Protocol::Socks5 if !fits(&name) || !fits(&password) => {
                Err("a name and password of 1 to 255 bytes for SOCKS5".to_owned())
            }
            Protocol::Http if name.contains(&b':') => {
                Err("a name without a colon for HTTP".to_owned())
            }
            _ => Ok(Self { name, password }),
        }
    }

    /// Section 2 of RFC 1929.
    pub(super) fn to_socks5(&self) -> Vec<u8> {
        let mut words = vec![1];
        for part in [&self.name, &self.password] {
            // It was looked at whether they fit.
            words.push(u8::try_from(part.len()).unwrap_or(u8::MAX));
            words.extend(part);
        }
        words
    }

    /// A line of a request's head.
    pub(super) fn to_http(&self) -> String {
        let both = [&*self.name, b":", &*self.password].concat();
        format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode(both))
    }
}

/// Without a word of them.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_said_as_the_protocols_want_it() {
        // The example of RFC 7617 section 2.
        let known = Credentials::parse(Protocol::Http, "Aladdin:open%20sesame").unwrap();
        let line = "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n";
        assert_eq!(known.to_http(), line);
        let known = Credentials::parse(Protocol::Socks5, "a%3Ab:c:d%40").unwrap();
        assert_eq!(known.to_socks5(), b"\x01\x03a:b\x04c:d@");
        assert_eq!(format!("{known:?}"), "Credentials");
    }

    #[test]
    fn what_can_not_be_said_is_refused_in_silence_about_it() {
        let long = format!("{}:secret", "s".repeat(256));
        for (protocol, text) in [
            (Protocol::Socks5, ":secret"),
            (Protocol::Socks5, "secret"),
            (Protocol::Socks5, &long),
            (Protocol::Http, "a%3Ab:secret"),
            (Protocol::Http, "a:secret%2"),
        ] {
            let reason = Credentials::parse(protocol, text).unwrap_err();
            assert!(
                !reason.contains("secret") && !reason.contains("sss"),
                "{reason}"
            );
        }
    }
}
