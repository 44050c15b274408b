//! What C, and PHP itself, read of a stream's data.

use super::tls::Tls;
use super::{TRANSPORTS, TimeVal};

/// `php_netstream_data_t`, which other extensions cast a socket stream's data to.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct NetStream {
    pub(crate) socket: i32,
    pub(super) is_blocked: i8,
    pub(super) timeout: TimeVal,
    pub(super) timeout_event: i8,
    pub(super) ownsize: usize,
}

/// The part that C reads: `ss_socket`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Head {
    pub(crate) net: NetStream,
    pub(super) transport: u8,
    pub(super) kind: Kind,
    pub(super) timeout_given: bool,
    pub(super) truncated: bool,
    pub(super) accepted: bool,
    pub(super) closing: bool,
    pub(super) waiting: u16,
    pub(super) shared: bool,
    pub(super) tls: Tls,
    pub(super) protocol: u8,
    pub(super) method: u8,
    pub(super) followed: u32,
    pub(super) proxied: bool,
    pub(super) counted: bool,
    pub(super) write_timeout: i64,
}

const _: () = assert!(size_of::<NetStream>() == 40 && size_of::<Head>() == 72);

/// `enum ss_kind`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Kind {
    Empty,
    Listener,
    Datagrams,
    Stream,
    Peer,
}

impl Head {
    pub(super) fn new(transport: u8, timeout: TimeVal) -> Self {
        Self {
            net: NetStream {
                socket: -1,
                is_blocked: 1,
                timeout,
                timeout_event: 0,
                ownsize: 0,
            },
            transport,
            kind: Kind::Empty,
            timeout_given: false,
            truncated: false,
            accepted: false,
            closing: false,
            waiting: 0,
            shared: false,
            tls: Tls::None,
            protocol: 0,
            method: 0,
            followed: 0,
            proxied: false,
            counted: false,
            write_timeout: -1,
        }
    }

    pub(super) fn is_datagram(&self) -> bool {
        TRANSPORTS[usize::from(self.transport)].is_datagram()
    }
}
