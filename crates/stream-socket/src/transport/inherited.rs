//! Sockets that this process did not open: inherited at its start, or handed over by a program.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};

use crate::address::SocketAddress;
use crate::error::{Error, Result, Stage};
use crate::options::{ConnectOptions, ListenOptions};
use crate::sys::inherited::{Announced, Refusal, announced, take};
use crate::sys::socket::{Family, Kind};
use crate::sys::{self, Errno, failed};
use crate::url::{SocketUrl, Target, ToSocketUrl, Transport};

/// A socket that this process was started with, taken by its URL: `fd://3`, or `systemd://web`.
///
/// - `fd` names a descriptor. Taken is only what was open when the process started: whatever it
///   opens itself is close-on-exec, and so told apart.
/// - `systemd` names sockets that a service manager has opened, as `FileDescriptorName=` of the
///   unit calls them, or `*` all of them, by the protocol of [sd_listen_fds(3)]. Where none has
///   that name, a number counts them from 0.
///
/// A descriptor is taken once, and belongs to this value from then on: it is close-on-exec, and
/// closed in the end. One that is standard input, output or error gets another number, and
/// /dev/null takes its place. Its family and type are asked of the kernel. Whether calls on it
/// wait, other processes may share: only of a listening socket is that changed, until it is handed
/// over again.
///
/// [`Listener::bind`](crate::Listener::bind), [`DatagramSocket::bind`](crate::DatagramSocket::bind)
/// and [`Stream::connect`](crate::Stream::connect) take these URLs as any others. Who wants to know
/// first what the socket is, takes it and asks.
///
/// # Examples
///
/// ```no_run
/// use stream_socket::{Inherited, ListenOptions, Listener};
///
/// for socket in Inherited::take("systemd://*")? {
///     println!("{} is {}", socket, socket.url());
///     let listener = Listener::inherit(socket, &ListenOptions::default())?;
/// }
/// # Ok::<(), stream_socket::Error>(())
/// ```
///
/// [sd_listen_fds(3)]: https://man7.org/linux/man-pages/man3/sd_listen_fds.3.html
#[derive(Debug)]
pub struct Inherited {
    socket: OwnedFd,
    kind: Kind,
    /// What it was taken by.
    name: String,
    url: SocketUrl,
    peer: Option<SocketAddress>,
    is_connected: bool,
}

impl Inherited {
    /// Takes the sockets of a URL, all or none: of `fd` one.
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`] for the URL; at [`Stage::Socket`] when there is no such socket, it was
    /// taken before, is not open (`EBADF`), no socket (`ENOTSOCK`), or of a kind that is not served
    /// (`EPROTONOSUPPORT`).
    pub fn take<U: ToSocketUrl + ?Sized>(url: &U) -> Result<Vec<Self>> {
        let url = url.to_socket_url()?;
        let numbers = numbers(&url)?;
        let sockets = numbers
            .into_iter()
            .map(|number| Self::numbered(&url, number));
        sockets.collect()
    }

    /// Takes the first socket of a URL that was not taken yet.
    ///
    /// # Errors
    ///
    /// As [`take`](Self::take).
    pub fn take_next<U: ToSocketUrl + ?Sized>(url: &U) -> Result<Self> {
        let url = &*url.to_socket_url()?;
        let numbers = numbers(url)?;
        let mut left = numbers.len();
        for number in numbers {
            left -= 1;
            match take(number, is_announced(url)) {
                // Another of the same name may be left.
                Err(Refusal::Taken) if left > 0 => {}
                taken => return Self::taken(url, number, taken),
            }
        }
        Err(Error::new(Stage::Socket, url, "there is no such socket"))
    }

    fn numbered(url: &SocketUrl, number: RawFd) -> Result<Self> {
        Self::taken(url, number, take(number, is_announced(url)))
    }

    fn taken(
        url: &SocketUrl,
        number: RawFd,
        taken: std::result::Result<OwnedFd, Refusal>,
    ) -> Result<Self> {
        let refused = |reason: &str| {
            let reason = format!("descriptor {number} {reason}");
            Error::new(Stage::Socket, url.without_query(), reason)
        };
        match taken {
            Ok(socket) => Self::named(socket, url.without_query().to_string(), Some(url)),
            Err(Refusal::Taken) => Err(refused("was taken before")),
            Err(Refusal::Ours) => Err(refused("was opened by this process, not inherited")),
            Err(Refusal::System(errno)) => Err(failed(Stage::Socket, url.without_query(), errno)),
        }
    }

    /// What another part of the program hands over.
    pub(crate) fn over(socket: OwnedFd) -> Result<Self> {
        Self::named(socket, "an inherited descriptor".to_owned(), None)
    }

    fn named(socket: OwnedFd, name: String, asked: Option<&SocketUrl>) -> Result<Self> {
        let unknown = |errno| failed(Stage::Socket, &name, errno);
        let kind = sys::socket::kind(socket.as_fd()).map_err(unknown)?;
        let local = sys::socket::local_address(socket.as_fd()).map_err(unknown)?;
        let (is_connected, peer) = match sys::socket::peer_address(socket.as_fd()) {
            Ok(peer) => (true, peer),
            Err(Errno::NOTCONN) => (false, None),
            // A peer that is gone already.
            Err(Errno::INVAL) => (!kind.listening, None),
            Err(errno) => return Err(unknown(errno)),
        };
        let transport = transport(kind, &name, asked)?;
        // It is the peer whose name TLS looks for.
        let named = peer.as_ref().or(local.as_ref());
        let target = match named {
            Some(address) => Target::from(address),
            None => Target::Autobind,
        };
        let url = match asked {
            Some(asked) => asked.found_as(transport, target),
            // A peer may have a name that no URL can have, and a stream needs none.
            None if is_connected => SocketUrl::new(transport, target)
                .or_else(|_| SocketUrl::new(transport, Target::Autobind))?,
            None => SocketUrl::new(transport, target)?,
        };
        Ok(Self {
            socket,
            kind,
            name,
            url,
            peer,
            is_connected,
        })
    }

    /// The URL of what it is: its transport, the address of its peer or, where it is not connected,
    /// the one that it is bound to and, as its options, those of the URL that it was taken by.
    pub fn url(&self) -> &SocketUrl {
        &self.url
    }

    /// For a listener or a socket of datagrams: what is bound and not connected.
    pub(crate) fn into_bound(self) -> Result<(OwnedFd, SocketAddress)> {
        let (datagram, listening) = (self.kind.datagram, self.kind.listening);
        let refused = |reason| Err(Error::new(Stage::Socket, &self.name, reason));
        if self.is_connected {
            return refused("it is connected: take it as a Stream");
        }
        if !datagram && !listening {
            return refused("it does not listen");
        }
        let address = sys::socket::local_address(self.socket.as_fd())
            .map_err(|errno| failed(Stage::Socket, &self.name, errno))?;
        match address {
            Some(address) => Ok((self.socket, address)),
            None => refused("it is not bound"),
        }
    }

    /// For a stream: what is connected, and its peer, if it has a name.
    pub(crate) fn into_connected(self) -> Result<(OwnedFd, Option<SocketAddress>)> {
        if self.kind.listening {
            let reason = "it listens: take it as a Listener";
            return Err(Error::new(Stage::Socket, &self.name, reason));
        }
        if !self.is_connected {
            return Err(failed(Stage::Connect, &self.name, Errno::NOTCONN));
        }
        Ok((self.socket, self.peer))
    }

    /// Whether it is a socket of datagrams.
    pub(crate) fn is_datagram(&self) -> bool {
        self.kind.datagram
    }
}

impl AsFd for Inherited {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The URL that it was taken by, without options.
impl fmt::Display for Inherited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

fn transport(kind: Kind, name: &str, asked: Option<&SocketUrl>) -> Result<Transport> {
    let plain = match (kind.family, kind.datagram) {
        (Family::Unix, false) => Transport::Unix,
        (Family::Unix, true) => Transport::Udg,
        (Family::V4 | Family::V6, false) if kind.multipath => Transport::Mptcp,
        (Family::V4 | Family::V6, false) => Transport::Tcp,
        (Family::V4 | Family::V6, true) => Transport::Udp,
        (Family::Vsock, false) => Transport::Vsock,
        (Family::Vsock, true) => return Err(failed(Stage::Socket, name, Errno::PROTONOSUPPORT)),
    };
    if !asked.is_some_and(|asked| asked.transport().is_tls()) {
        return Ok(plain);
    }
    let unfit = || Error::new(Stage::Socket, name, "TLS is for streams of bytes");
    plain.under_tls().ok_or_else(unfit)
}

/// What the service manager has passed may be close-on-exec already.
fn is_announced(url: &SocketUrl) -> bool {
    matches!(url.target(), Target::Activated(_))
}

/// The descriptors that a URL names, at least one.
fn numbers(url: &SocketUrl) -> Result<Vec<RawFd>> {
    let refused = |reason: String| Error::new(Stage::Socket, url.without_query(), reason);
    match url.target() {
        Target::Descriptor(number) => Ok(vec![RawFd::try_from(*number).unwrap_or(RawFd::MAX)]),
        Target::Activated(name) => {
            let announced = announced().map_err(refused)?;
            let found = chosen(&announced, name.as_deref());
            if found.is_empty() {
                return Err(refused(unknown(&announced)));
            }
            Ok(found)
        }
        _ => {
            let reason = "only sockets of fd and systemd are inherited";
            Err(Error::new(Stage::Parse, url, reason))
        }
    }
}

/// Those of a name; else the one that a number counts.
fn chosen(announced: &[Announced], name: Option<&str>) -> Vec<RawFd> {
    let is_meant = |one: &&Announced| name.is_none_or(|name| one.name == name);
    let named: Vec<_> = announced.iter().filter(is_meant).collect();
    if named.is_empty() {
        let counted = name.and_then(|name| announced.get(name.parse::<usize>().ok()?));
        return counted.map(|one| one.number).into_iter().collect();
    }
    named.iter().map(|one| one.number).collect()
}

fn unknown(announced: &[Announced]) -> String {
    let mut names: Vec<_> = announced.iter().map(|one| one.name.as_str()).collect();
    names.dedup();
    format!(
        "none of the sockets that were passed is called so; there are {}",
        names.join(", ")
    )
}

/// What is said of binding comes too late.
pub(crate) fn refuse_binding(url: &SocketUrl, options: &ListenOptions) -> Result<()> {
    let unix = &options.unix;
    refuse(
        url,
        &[
            ("reuse_address", options.reuse_address.is_some()),
            ("reuse_port", options.reuse_port.is_some()),
            ("v6only", options.v6only.is_some()),
            ("mode", unix.mode.is_some()),
            ("owner", unix.owner.is_some()),
            ("group", unix.group.is_some()),
            ("unlink", unix.unlink.is_some()),
        ],
        "option {} is for binding, and an inherited socket is bound already",
    )
}

/// What is said of connecting comes too late.
pub(super) fn refuse_connecting(url: &SocketUrl, options: &ConnectOptions) -> Result<()> {
    refuse(
        url,
        &[
            ("bind", options.bind.is_some()),
            ("via", options.via.is_some()),
            ("attempt_delay", options.attempt_delay.is_some()),
        ],
        "option {} is for connecting, and an inherited socket is connected already",
    )
}

fn refuse(url: &SocketUrl, given: &[(&str, bool)], sentence: &str) -> Result<()> {
    match given.iter().find(|(_, is_given)| *is_given) {
        Some((name, _)) => Err(Error::new(Stage::Parse, url, sentence.replace("{}", name))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_are_chosen_by_name_or_number() {
        let announced: Vec<_> = [(3, "web"), (4, "admin"), (5, "web"), (6, "0")]
            .into_iter()
            .map(|(number, name)| Announced {
                number,
                name: name.to_owned(),
            })
            .collect();
        for (name, numbers) in [
            (None, vec![3, 4, 5, 6]),
            (Some("web"), vec![3, 5]),
            (Some("admin"), vec![4]),
            (Some("1"), vec![4]),
            (Some("0"), vec![6]),
            (Some("4"), vec![]),
            (Some("we"), vec![]),
        ] {
            assert_eq!(chosen(&announced, name), numbers, "{name:?}");
        }
    }
}
