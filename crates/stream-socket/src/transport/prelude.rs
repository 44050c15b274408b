//! What is said on a new connection before it is the caller's: to a proxy on the way, and then the
//! header of the PROXY protocol.

use std::fmt;
use std::os::fd::AsFd;

use super::plan::Plan;
use super::race::Connected;
use super::via::{Dialogue, Expected, Turn, Via};
use crate::error::{Error, Result, Stage};
use crate::options::ConnectOptions;
use crate::printable::without_password;
use crate::proxy_protocol::{ProxyHeader, ProxyVersion};
use crate::sys::socket::{Give, Take};
use crate::sys::wait::Events;
use crate::sys::{self, Errno, failed};
use crate::url::SocketUrl;

/// Bytes that the head of an HTTP response may have: as many as common servers allow.
const HEAD: usize = 8 * 1024;

/// A connection on which something is said first.
pub(super) struct Prelude {
    connected: Connected,
    outgoing: Vec<u8>,
    sent: usize,
    /// The proxy that it goes by, until that has done its part.
    dialogue: Option<(Dialogue, Expected)>,
    incoming: Vec<u8>,
    /// The header that follows.
    header: Vec<u8>,
}

/// Without what is said, which may be a password.
impl fmt::Debug for Prelude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prelude")
            .field("connected", &self.connected)
            .field("dialogue", &self.dialogue)
            .finish_non_exhaustive()
    }
}

/// Where a new connection stands.
pub(super) enum Step {
    Done(Connected),
    Wait(Box<Prelude>),
}

impl Prelude {
    /// What is to be said on the connection, if anything is.
    pub(super) fn begin(
        mut connected: Connected,
        plan: &Plan,
        proxied: Option<&ProxyHeader>,
    ) -> Result<Step> {
        let (url, options) = (&**plan.url(), plan.options());
        let proxied = proxied.or(options.proxied.as_ref());
        let mut header = match options.send_proxy {
            Some(version) => header(version, &connected, proxied, url)?.to_bytes()?,
            None => Vec::new(),
        };
        if url.transport().is_datagram() && !header.is_empty() {
            connected.prefix = Some(std::mem::take(&mut header).into());
        }
        let (dialogue, outgoing) = match &plan.via {
            Some(via) => {
                let (dialogue, words, expected) = Dialogue::begin(via.clone(), url)?;
                (Some((dialogue, expected)), words)
            }
            None if header.is_empty() => return Ok(Step::Done(connected)),
            None => (None, std::mem::take(&mut header)),
        };
        let prelude = Self {
            connected,
            outgoing,
            sent: 0,
            dialogue,
            incoming: Vec::new(),
            header,
        };
        prelude.advance(url)
    }

    /// Goes on as far as it can without waiting.
    pub(super) fn advance(mut self, url: &SocketUrl) -> Result<Step> {
        loop {
            if !self.say(url)? {
                return Ok(Step::Wait(Box::new(self)));
            }
            let Some((mut dialogue, expected)) = self.dialogue.take() else {
                return Ok(Step::Done(self.connected));
            };
            if !self.hear(&dialogue, expected)? {
                self.dialogue = Some((dialogue, expected));
                return Ok(Step::Wait(Box::new(self)));
            }
            let answer = std::mem::take(&mut self.incoming);
            match dialogue.hear(&answer)? {
                Turn::Say(words, expected) => {
                    (self.outgoing, self.sent) = (words, 0);
                    self.dialogue = Some((dialogue, expected));
                }
                Turn::Read(expected) => self.dialogue = Some((dialogue, expected)),
                Turn::Done => (self.outgoing, self.sent) = (std::mem::take(&mut self.header), 0),
            }
        }
    }

    /// Sends what is to be sent; whether all of it is.
    fn say(&mut self, url: &SocketUrl) -> Result<bool> {
        while self.sent < self.outgoing.len() {
            let rest = &self.outgoing[self.sent..];
            match sys::socket::send(self.connected.socket.as_fd(), rest, Give::Now) {
                Ok(length) => self.sent += length,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(failed(Stage::Proxy, url, errno)),
            }
        }
        Ok(true)
    }

    /// Receives the answer, and not a byte more, which is the caller's; whether it is whole.
    fn hear(&mut self, dialogue: &Dialogue, expected: Expected) -> Result<bool> {
        loop {
            let missing = match expected {
                Expected::Bytes(count) => count - self.incoming.len(),
                Expected::Head => self.length_of_head(dialogue)?,
            };
            if missing == 0 {
                return Ok(true);
            }
            let start = self.incoming.len();
            self.incoming.resize(start + missing, 0);
            let room = &mut self.incoming[start..];
            let received = sys::socket::receive(self.connected.socket.as_fd(), room, Take::Consume);
            self.incoming.truncate(start + received.unwrap_or(0));
            match received {
                Ok(0) => return Err(dialogue.refused("it has closed the connection")),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(false),
                Err(errno) => return Err(dialogue.refused(sys::phrase(errno))),
            }
            if expected == Expected::Head && self.incoming.ends_with(b"\r\n\r\n") {
                return Ok(true);
            }
        }
    }

    /// How much of what has come is the head's: looked at, and left in the socket. At least one
    /// byte, so that the receive that follows waits if there is nothing.
    fn length_of_head(&self, dialogue: &Dialogue) -> Result<usize> {
        let mut peeked = [0; HEAD];
        let socket = self.connected.socket.as_fd();
        let length = sys::socket::receive(socket, &mut peeked, Take::Peek).unwrap_or(0);
        let seen = [&self.incoming, &peeked[..length]].concat();
        if self.incoming.len() >= HEAD {
            return Err(dialogue.refused("its answer is too long"));
        }
        let end = seen.windows(4).position(|bytes| bytes == b"\r\n\r\n");
        let end = end.map_or(seen.len(), |at| at + 4);
        Ok((end - self.incoming.len()).max(1))
    }

    pub(super) fn connected(&self) -> &Connected {
        &self.connected
    }

    /// What it waits for.
    pub(super) fn events(&self) -> Events {
        if self.sent < self.outgoing.len() {
            Events::WRITE
        } else {
            Events::READ
        }
    }
}

/// The option `via`, if it is given.
pub(super) fn via(options: &ConnectOptions, url: &SocketUrl) -> Result<Option<Via>> {
    let Some(text) = &options.via else {
        return Ok(None);
    };
    let refused = |expected: String| {
        let reason = format!(
            "option via is {:?}, but takes {expected}",
            without_password(text)
        );
        Error::new(Stage::Parse, url.without_query(), reason)
    };
    let via = Via::parse(text).map_err(refused)?;
    Via::judge(url)?;
    let is_shown = url.query().any(|(name, _)| name == "via");
    if is_shown && via.has_credentials() {
        let expected = "no name and password in the query of a URL, which is shown";
        return Err(refused(expected.to_owned()));
    }
    Ok(Some(via))
}

/// The header that is sent: what the caller says, or the connection's own two ends.
fn header(
    version: ProxyVersion,
    connected: &Connected,
    proxied: Option<&ProxyHeader>,
    url: &SocketUrl,
) -> Result<ProxyHeader> {
    let mut header = match proxied {
        Some(header) => header.clone(),
        None => {
            let local = sys::socket::local_address(connected.socket.as_fd())
                .map_err(|errno| failed(Stage::Proxy, url, errno))?;
            let mut header = ProxyHeader::new(version, local, connected.peer.clone());
            header.is_datagram = url.transport().is_datagram();
            header
        }
    };
    header.version = version;
    Ok(header)
}
