//! A stream made from a descriptor, and taken apart into one.

use std::mem;
use std::os::fd::OwnedFd;

use super::{Source, Stream};
use crate::error::{Error, Result, Stage};
use crate::gate::Place;
use crate::options::{ConnectOptions, SocketOptions};
use crate::sys::{self, Errno, failed};
use crate::transport::{Inherited, Race};

impl Stream {
    /// A connected stream over a socket that this process was started with; what `options` say of
    /// connecting comes too late for it, and is refused. Over TLS its peer's certificate
    /// must be of the peer's address, where no other name is given.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect), and at [`Stage::Socket`] for a socket that listens, at
    /// [`Stage::Connect`] for one that is not connected.
    pub fn inherit(socket: Inherited, options: &ConnectOptions) -> Result<Self> {
        Self::won(Race::over(socket, options)?)
    }

    /// Takes out the stream's place among its listener's connections, where they are limited.
    ///
    /// To be kept as long as the connection is served by somebody to whom the descriptor went,
    /// such as a child process.
    pub fn take_place(&mut self) -> Option<Place> {
        self.rare.as_mut()?.place.take()
    }

    /// Takes the stream apart: the descriptor, and what was received and not yet read.
    ///
    /// The descriptor is blocking, as another program expects of its standard input, unless it
    /// was inherited: such a one is left as it came.
    ///
    /// A stream that a listener of datagrams accepted is given a descriptor of its own if it has
    /// none; datagrams that wait to be read are returned one after the other.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`] when the system can't make it blocking. At [`Stage::Socket`],
    /// [`Stage::Bind`] or [`Stage::Connect`] when a descriptor can't be made, as over udg
    /// (`EOPNOTSUPP`). Over TLS: what is on the socket is not what is read from the stream.
    pub fn into_parts(mut self) -> Result<(OwnedFd, Vec<u8>)> {
        let name = self.to_string();
        if self.source.secure().is_some() {
            let reason = "it carries TLS, which whoever takes the descriptor would not see through";
            return Err(Error::new(Stage::Io, name, reason).with_action("hand over"));
        }
        self.share_descriptor()?;
        let mut unread = Vec::new();
        let length = self.buffer.bytes().len();
        let mut buffer = mem::take(&mut self.buffer);
        buffer.append_to(&mut unread, length);
        let socket = match self.source {
            Source::Socket(socket) => socket,
            Source::Secure(_) => return Err(failed(Stage::Io, name, Errno::PROTO)),
            Source::Peer(peer) => {
                let (socket, datagrams) = peer.into_socket()?;
                datagrams
                    .iter()
                    .for_each(|datagram| unread.extend(datagram));
                socket
            }
        };
        if self.ours {
            sys::socket::set_blocking(&socket, true)
                .map_err(|errno| failed(Stage::Io, &name, errno).with_action("hand over"))?;
        }
        if let Some(file) = self.rare.and_then(|rare| rare.file) {
            // The new owner's to remove.
            file.leave();
        }
        Ok((socket, unread))
    }
}

/// A stream over an inherited descriptor, whose transport is asked of the kernel.
///
/// Its blocking mode, which other processes may share, is neither relied on nor changed.
impl TryFrom<OwnedFd> for Stream {
    type Error = Error;

    /// # Errors
    ///
    /// At [`Stage::Socket`] for what is no socket, is one of another family, or listens; at
    /// [`Stage::Connect`] for one that is not connected.
    fn try_from(socket: OwnedFd) -> Result<Self> {
        let inherited = Inherited::over(socket)?;
        let transport = inherited.url().transport();
        let (socket, peer) = inherited.into_connected()?;
        let mut stream = Self::new(socket, transport, peer, None, &SocketOptions::default());
        stream.ours = false;
        Ok(stream)
    }
}
