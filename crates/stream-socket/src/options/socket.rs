//! Options that a listener and a connecting stream have in common.

use std::time::Duration;

/// What is set on a socket whichever way it is opened.
///
/// `None` leaves the system's default. A field that is set on a transport it does not apply to is
/// an error when the socket is opened, never ignored. What is set on a listener, its accepted
/// streams have too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SocketOptions {
    /// Sends small writes at once instead of gathering them: `TCP_NODELAY`. tcp.
    pub nodelay: Option<bool>,
    /// Probes an idle peer: `SO_KEEPALIVE`. tcp.
    pub keepalive: Option<bool>,
    /// Idle time before the first probe, in whole seconds: `TCP_KEEPIDLE`; turns
    /// [`keepalive`](Self::keepalive) on. tcp.
    pub keepalive_idle: Option<Duration>,
    /// Time between probes, in whole seconds: `TCP_KEEPINTVL`; turns keepalive on. tcp.
    pub keepalive_interval: Option<Duration>,
    /// Unanswered probes after which the peer counts as gone: `TCP_KEEPCNT`; turns keepalive on.
    /// tcp.
    pub keepalive_count: Option<u32>,
    /// How long close waits in the background for unsent data, in whole seconds: `SO_LINGER`.
    /// Zero discards it and resets the connection. tcp.
    pub linger: Option<Duration>,
    /// How long sent data may stay unacknowledged, in milliseconds: `TCP_USER_TIMEOUT`. tcp.
    pub user_timeout: Option<Duration>,
    /// The kernel's send buffer in bytes: `SO_SNDBUF`. All transports.
    pub send_buffer: Option<usize>,
    /// The kernel's receive buffer in bytes: `SO_RCVBUF`. All transports.
    pub receive_buffer: Option<usize>,
    /// Allows broadcast addresses: `SO_BROADCAST`. udp.
    pub broadcast: Option<bool>,
    /// The network interface that alone is used, by name: `SO_BINDTODEVICE`. tcp, udp.
    pub device: Option<String>,
    /// The mark for routing and filtering: `SO_MARK`; needs CAP_NET_ADMIN. tcp, udp.
    pub mark: Option<u32>,
    /// How long one read may take; no limit by default. All transports.
    pub read_timeout: Option<Duration>,
    /// How long one write may take; no limit by default. All transports.
    pub write_timeout: Option<Duration>,
    /// Leaves descriptors open across exec and, but for those of listeners, blocking: as programs
    /// expect them that inherit one. Reads and writes of ours keep their timeouts all the same.
    /// No key of a URL. Off by default.
    pub inheritable: bool,
}
