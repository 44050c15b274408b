//! By way of a proxy: SOCKS5 ([RFC 1928]) and HTTP's CONNECT ([RFC 9110 section 9.3.6]), with a
//! name and password or without.
//!
//! What is said and how answers are read, without I/O. Names are sent to the proxy as they are, so
//! that they are resolved there.
//!
//! [RFC 1928]: https://www.rfc-editor.org/rfc/rfc1928
//! [RFC 9110 section 9.3.6]: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6

mod credentials;

use self::credentials::Credentials;
use crate::error::{Error, Result, Stage};
use crate::printable::{excerpt, printable};
use crate::url::{Host, Port, SocketUrl, Target};

/// A proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Via {
    protocol: Protocol,
    /// Where it listens.
    url: SocketUrl,
    credentials: Option<Credentials>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Socks5,
    Http,
}

/// What is to be read next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expected {
    /// So many bytes.
    Bytes(usize),
    /// The head of an HTTP response, to its empty line.
    Head,
}

/// A conversation with a proxy: bytes to send, and then an answer to be read, in turns.
#[derive(Debug)]
pub(super) struct Dialogue {
    via: Via,
    target: SocketUrl,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// SOCKS5: which methods there are.
    Method,
    /// SOCKS5: whether it takes the name and password.
    Authentication,
    /// The first five bytes of the answer to the request.
    Reply,
    /// The address that it ends with.
    Bound,
    /// With so many bytes of answers before the final one.
    Http(usize),
}

/// Bytes that the answers before the final one may have together: they are no reason to listen for
/// ever.
const INTERIM: usize = 8 * 1024;

/// What follows an answer.
#[derive(Debug)]
pub(super) enum Turn {
    Say(Vec<u8>, Expected),
    Read(Expected),
    Done,
}

impl Via {
    /// Reads `socks5://host:port` or `http://host:port`, with `name:password@` before the host or
    /// without. What is wrong is told without a word of these.
    pub(super) fn parse(text: &str) -> std::result::Result<Self, String> {
        let (protocol, rest) = match text.split_once("://") {
            Some(("socks5", rest)) => (Protocol::Socks5, rest),
            Some(("http", rest)) => (Protocol::Http, rest.trim_end_matches('/')),
            _ => return Err("socks5://host:port or http://host:port".to_owned()),
        };
        let (credentials, rest) = match rest.rsplit_once('@') {
            Some((text, address)) => (Some(Credentials::parse(protocol, text)?), address),
            None => (None, rest),
        };
        let url = format!("tcp://{rest}").parse::<SocketUrl>();
        let url = url.map_err(|error| format!("a proxy: {}", error.reason()))?;
        if url.query().next().is_some() {
            return Err("a proxy without options of its own".to_owned());
        }
        Ok(Self {
            protocol,
            url,
            credentials,
        })
    }

    /// Whether a proxy can be told of the target.
    pub(super) fn judge(target: &SocketUrl) -> Result<()> {
        host_and_port(target).map(drop)
    }

    /// Whether it is told a name and a password.
    pub(super) fn has_credentials(&self) -> bool {
        self.credentials.is_some()
    }

    pub(super) fn url(&self) -> &SocketUrl {
        &self.url
    }

    fn name(&self) -> String {
        let protocol = match self.protocol {
            Protocol::Socks5 => "socks5",
            Protocol::Http => "http",
        };
        format!("{protocol}://{}", self.url.target())
    }
}

impl Dialogue {
    /// What to say first.
    pub(super) fn begin(via: Via, target: &SocketUrl) -> Result<(Self, Vec<u8>, Expected)> {
        let (state, words, expected) = match via.protocol {
            // Version 5, and the methods: no authentication, name and password.
            Protocol::Socks5 => {
                let methods: &[u8] = match via.credentials {
                    Some(_) => &[5, 2, 0, 2],
                    None => &[5, 1, 0],
                };
                (State::Method, methods.to_vec(), Expected::Bytes(2))
            }
            Protocol::Http => {
                let authority = authority(target)?;
                let credentials = via.credentials.as_ref().map(Credentials::to_http);
                let request = format!(
                    "CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{}\r\n",
                    credentials.unwrap_or_default()
                );
                (State::Http(0), request.into_bytes(), Expected::Head)
            }
        };
        let target = target.clone();
        Ok((Self { via, target, state }, words, expected))
    }

    /// Goes on after an answer.
    pub(super) fn hear(&mut self, answer: &[u8]) -> Result<Turn> {
        match (self.state, answer, &self.via.credentials) {
            (State::Method, [5, 0], _) | (State::Authentication, [1, 0], _) => {
                self.state = State::Reply;
                Ok(Turn::Say(socks5_request(&self.target)?, Expected::Bytes(5)))
            }
            (State::Method, [5, 2], Some(credentials)) => {
                let words = credentials.to_socks5();
                self.state = State::Authentication;
                Ok(Turn::Say(words, Expected::Bytes(2)))
            }
            (State::Authentication, [1, _], _) => {
                Err(self.refused("it does not take the name and password"))
            }
            (State::Method, [5, 0xff], None) => Err(self.refused("it wants us to authenticate")),
            (State::Method, [5, 0xff], Some(_)) => {
                Err(self.refused("it wants us to authenticate otherwise than by name and password"))
            }
            (State::Reply, [5, 0, 0, kind, first], _) => {
                self.state = State::Bound;
                // Of the address one byte is read already; two of the port follow.
                let left = match kind {
                    1 => 4 - 1 + 2,
                    4 => 16 - 1 + 2,
                    3 => usize::from(*first) + 2,
                    _ => return Err(self.garbled()),
                };
                Ok(Turn::Read(Expected::Bytes(left)))
            }
            (State::Reply, [5, code, 0, ..], _) => Err(self.refused(socks5_reason(*code))),
            (State::Bound, _, _) => Ok(Turn::Done),
            (State::Http(before), head, _) => self.hear_http(head, before + head.len()),
            _ => Err(self.garbled()),
        }
    }

    /// A final answer, or one before that: RFC 9110 section 15.2 has clients pass those over, but
    /// for 101, after which another protocol is spoken.
    fn hear_http(&mut self, head: &[u8], heard: usize) -> Result<Turn> {
        let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let status = line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..));
        match status {
            Some([b'2', _, _, ..]) => Ok(Turn::Done),
            Some([b'1', _, _, ..]) if heard > INTERIM => {
                Err(self.refused("its answer is too long"))
            }
            Some(status @ [b'1', _, _, ..]) if !status.starts_with(b"101") => {
                self.state = State::Http(heard);
                Ok(Turn::Read(Expected::Head))
            }
            Some(status) => {
                let status = printable(status).to_string();
                Err(self.refused(excerpt(&status)))
            }
            None => Err(self.garbled()),
        }
    }

    fn garbled(&self) -> Error {
        self.refused("what it answers can't be understood")
    }

    pub(super) fn refused(&self, reason: impl std::fmt::Display) -> Error {
        let reason = format!("the proxy {}: {reason}", self.via.name());
        Error::new(Stage::Proxy, &self.target, reason)
    }
}

/// Section 4 of RFC 1928.
fn socks5_request(target: &SocketUrl) -> Result<Vec<u8>> {
    let (host, port) = host_and_port(target)?;
    let mut request = vec![5, 1, 0];
    match host {
        Host::V4(ip) => {
            request.push(1);
            request.extend(ip.octets());
        }
        Host::V6 { address, .. } => {
            request.push(4);
            request.extend(address.octets());
        }
        Host::Name(name) => {
            let Ok(length) = u8::try_from(name.len()) else {
                let reason = "SOCKS5 has room for names of 255 bytes";
                return Err(Error::new(Stage::Proxy, target, reason));
            };
            request.extend([3, length]);
            request.extend(name.bytes());
        }
    }
    request.extend(port.to_be_bytes());
    Ok(request)
}

fn authority(target: &SocketUrl) -> Result<String> {
    let (host, port) = host_and_port(target)?;
    Ok(format!("{host}:{port}"))
}

fn host_and_port(target: &SocketUrl) -> Result<(&Host, u16)> {
    let refused = |reason| Err(Error::new(Stage::Parse, target, reason));
    match target.target() {
        Target::Inet {
            host: Host::V6 { zone: Some(_), .. },
            ..
        } => refused("a proxy can't be told of an interface of this host"),
        Target::Inet {
            host,
            port: Port::Number(port),
        } => Ok((host, *port)),
        _ => refused("a proxy needs the number of the port, not the name of a service"),
    }
}

/// Section 6 of RFC 1928.
fn socks5_reason(code: u8) -> &'static str {
    match code {
        1 => "general failure",
        2 => "its rules don't allow the connection",
        3 => "network unreachable",
        4 => "host unreachable",
        5 => "connection refused",
        6 => "the connection took too long",
        7 => "it does not know how to connect",
        8 => "it does not know this kind of address",
        _ => "a failure that the protocol does not know",
    }
}
