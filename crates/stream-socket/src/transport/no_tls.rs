//! What stands in the place of TLS in a build without it: contexts that can't be made, and so
//! sessions that there are none of.

use std::fmt;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::error::{Error, Result, Stage};
use crate::options::{TlsClientOptions, TlsServerOptions};
use crate::pieces::Pieces;
use crate::read_buffer::ReadBuffer;
use crate::sys::Errno;
use crate::sys::wait::Events;
use crate::transport::TlsFacts;
use crate::url::{SocketUrl, Transport};

pub(crate) fn common_name(_der: &[u8]) -> Option<String> {
    None
}

pub(crate) fn subject_and_issuer(_der: &[u8]) -> Option<(String, String)> {
    None
}

#[derive(Debug)]
pub(crate) enum ServerContext {}

#[derive(Debug)]
pub(crate) enum ClientContext {}

#[derive(Debug)]
pub(crate) enum Session {}

#[derive(Clone, Debug)]
pub(crate) struct PeerName(());

/// As where there is TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "nothing hinders what there is none of")]
pub(crate) enum Hindrance {
    Blocked(Events),
    System(Errno),
    Broken(String),
    Truncated,
    Late,
}

fn absent(url: &impl fmt::Display) -> Error {
    Error::new(Stage::Parse, url, "this build has no TLS")
}

impl ServerContext {
    pub(crate) fn of(
        url: &impl fmt::Display,
        _transport: Transport,
        _host: Option<&SocketUrl>,
        _options: &TlsServerOptions,
        _before: Option<&Self>,
    ) -> Result<Arc<Self>> {
        Err(absent(url))
    }

    pub(crate) fn session(&self, _url: &impl fmt::Display) -> Result<Session> {
        match *self {}
    }

    pub(crate) fn options(&self) -> &TlsServerOptions {
        match *self {}
    }

    pub(crate) fn fingerprint(&self) -> Option<&str> {
        match *self {}
    }
}

impl ClientContext {
    pub(crate) fn of(
        url: &impl fmt::Display,
        _transport: Transport,
        _options: &TlsClientOptions,
    ) -> Result<Arc<Self>> {
        Err(absent(url))
    }

    pub(crate) fn session(&self, _url: &impl fmt::Display, _name: &PeerName) -> Result<Session> {
        match *self {}
    }
}

impl PeerName {
    pub(crate) fn of(url: &SocketUrl, _options: &TlsClientOptions) -> Result<Self> {
        Err(absent(url))
    }

    pub(crate) fn unknown(peer: &impl fmt::Display, _options: &TlsClientOptions) -> Result<Self> {
        Err(absent(peer))
    }

    pub(crate) fn new(peer: &impl fmt::Display, _name: &str) -> Result<Self> {
        Err(absent(peer))
    }
}

type Attempt<T> = std::result::Result<T, Hindrance>;

macro_rules! none {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {
        impl Session {
            $(pub(crate) fn $name(&self $(, $argument: $type)*) -> $result {
                $(_ = $argument;)*
                match *self {}
            })*
        }
    };
}

none! {
    is_handshaking() -> bool;
    is_client() -> bool;
    handshake_deadline() -> Deadline;
    handshake_timeout() -> Duration;
    has_begun() -> bool;
    has_output() -> bool;
    has_ended() -> bool;
    is_amid_write() -> bool;
    is_truncated() -> bool;
    received() -> u64;
    facts() -> TlsFacts;
    handshake(socket: BorrowedFd<'_>, rest: &mut ReadBuffer) -> Attempt<()>;
    read_in_place(socket: BorrowedFd<'_>) -> Attempt<Pieces>;
    read(socket: BorrowedFd<'_>, target: &mut [u8], rest: &mut ReadBuffer) -> Attempt<usize>;
    write(socket: BorrowedFd<'_>, bytes: &[u8], rest: &mut ReadBuffer) -> Attempt<usize>;
    take(socket: BorrowedFd<'_>, bytes: &[u8], rest: &mut ReadBuffer) -> Attempt<()>;
    close(socket: BorrowedFd<'_>, rest: &mut ReadBuffer) -> Attempt<()>;
    flush(socket: BorrowedFd<'_>) -> Attempt<()>;
    cut() -> ();
    end(socket: BorrowedFd<'_>) -> ();
    is_closed() -> bool;
    take_unread(rest: &mut ReadBuffer) -> ();
}
