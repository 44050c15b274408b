//! A listener over a socket that others have opened, and one handed over to others.

use std::os::fd::{AsFd, OwnedFd};

use super::{Listener, accepting};
use crate::error::{Error, Result, Stage};
use crate::options::ListenOptions;
use crate::sys::{self, failed};
use crate::transport::{self, Bound, Inherited, inherited_options, refuse_binding};

impl Listener {
    /// Accepts from a socket that this process was started with: one that listens or, of
    /// datagrams, is bound.
    ///
    /// What `options` say of binding comes too late for it, and is refused; a backlog is set anew.
    /// The file of a unix socket is left when the listener is dropped.
    ///
    /// One that listens for connections is made non-blocking, for all who share it: otherwise an
    /// accept would wait beyond its deadline when another process was quicker. To hand it over
    /// again undoes that.
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`] for its options, at [`Stage::Socket`] for a socket that does not listen
    /// or, of datagrams, is not bound or is connected, and for options that the system refuses.
    pub fn inherit(socket: Inherited, options: &ListenOptions) -> Result<Self> {
        let url = socket.url().clone();
        let options = accepting(&url, options)?;
        refuse_binding(&url, &options)?;
        let (datagram, name) = (socket.is_datagram(), socket.to_string());
        let (socket, address) = socket.into_bound()?;
        let unmade = |errno| failed(Stage::Socket, &name, errno);
        inherited_options(socket.as_fd(), &url, &options)?;
        if !datagram && options.backlog.is_some() {
            transport::listen(&url, &socket, &options)?;
        }
        if options.socket.inheritable {
            sys::socket::make_inheritable(socket.as_fd()).map_err(unmade)?;
        }
        // accept(2) has no flag against waiting, and what a poll saw may be another's by then.
        let ours = !datagram && sys::socket::stop_blocking(socket.as_fd()).map_err(unmade)?;
        let bound = Bound {
            socket,
            address,
            file: None,
        };
        let mut listener = Self::new(&url, &options, bound)?;
        listener.ours = ours;
        Ok(listener)
    }
}

/// A listener over an inherited descriptor, whose transport is asked of the kernel; see
/// [`Listener::inherit`].
impl TryFrom<OwnedFd> for Listener {
    type Error = Error;

    /// # Errors
    ///
    /// At [`Stage::Socket`] for what is no socket, is one of another family, does not listen or,
    /// of datagrams, is not bound or is connected.
    fn try_from(socket: OwnedFd) -> Result<Self> {
        Self::inherit(Inherited::over(socket)?, &ListenOptions::default())
    }
}

/// Hands the socket over, listening still. The file of a unix socket stays: it is the new
/// owner's to remove. Streams of a listener of datagrams that share it are best dropped before:
/// what they receive for others than themselves is lost to the new owner.
impl From<Listener> for OwnedFd {
    fn from(mut listener: Listener) -> Self {
        if let Some(peers) = &listener.peers {
            // Streams may share the socket still. In place of one that is open already, there is
            // always room for another descriptor of it.
            let shared = peers.dispatcher().socket();
            _ = sys::socket::replace(&mut listener.socket, shared);
        }
        if let Some(file) = listener.file {
            file.leave();
        }
        if listener.ours {
            // It can't fail on an open socket, and a listener that does not wait harms nobody.
            _ = sys::socket::set_blocking(&listener.socket, true);
        }
        listener.socket
    }
}
