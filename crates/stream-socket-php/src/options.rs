//! The `socket` section of a stream context, turned into the library's options.
//!
//! Names are PHP 8.6's where it has one. What PHP tests for truth, C has tested; what is out of
//! range is refused here with a sentence.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Duration;

use stream_socket::{ConnectOptions, ListenOptions, ProxyReading, SocketOptions};

use crate::failure::Failure;

/// An option that may be absent.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct Number {
    value: i64,
    given: bool,
    /// It was something else, of which PHP has made a number.
    odd: bool,
}

/// The options that are numbers, in the order of `ss_options`.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Numbers {
    backlog: Number,
    reuse_address: Number,
    reuse_port: Number,
    broadcast: Number,
    v6only: Number,
    nodelay: Number,
    keepalive: Number,
    keepalive_idle: Number,
    keepalive_interval: Number,
    keepalive_count: Number,
    linger: Number,
    user_timeout: Number,
    receive_buffer: Number,
    send_buffer: Number,
    fast_open: Number,
    defer_accept: Number,
    max_connections: Number,
    max_connections_per_ip: Number,
    close_when_full: Number,
    max_peers: Number,
    peer_idle_timeout: Number,
    unix_mode: Number,
    unix_unlink: Number,
    proxy_timeout: Number,
    happy_eyeballs: Number,
}

/// All options of a context.
#[derive(Debug)]
pub(crate) struct Wishes<'a> {
    pub(crate) numbers: &'a Numbers,
    pub(crate) bindto: Option<&'a [u8]>,
    pub(crate) unix_owner: Option<&'a [u8]>,
    pub(crate) unix_group: Option<&'a [u8]>,
    pub(crate) proxy_protocol: Option<&'a [u8]>,
    pub(crate) proxy_from: Option<&'a [u8]>,
}

/// Seconds of keepalive, and probes, that the kernel takes at most: tcp(7).
const MOST_KEPT: u32 = 32_767;
const MOST_PROBES: u32 = 127;

/// PHP's default backlog.
const BACKLOG: u32 = 32;

impl Number {
    fn get(self) -> Option<i64> {
        self.given.then_some(self.value)
    }

    fn truth(self) -> Option<bool> {
        self.get().map(|value| value != 0)
    }

    /// Of those that PHP has not, what is no number is not taken for one.
    fn within(self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Failure> {
        match self.get() {
            Some(_) if self.odd => Err(Failure::of_words(format!(
                "the socket option {name} takes another kind of value"
            ))),
            Some(value) if !range.contains(&value) => Err(out_of_range(name, value)),
            value => Ok(value),
        }
    }

    fn count(self, name: &str, least: u32, most: u32) -> Result<Option<u32>, Failure> {
        let value = self.within(name, least.into()..=most.into())?;
        Ok(value.and_then(|value| u32::try_from(value).ok()))
    }

    fn size(self, name: &str) -> Result<Option<usize>, Failure> {
        let value = self.within(name, 1..=i64::from(i32::MAX))?;
        Ok(value.and_then(|value| usize::try_from(value).ok()))
    }

    fn seconds(self, name: &str, least: u32, most: u32) -> Result<Option<Duration>, Failure> {
        let value = self.count(name, least, most)?;
        Ok(value.map(|value| Duration::from_secs(value.into())))
    }

    fn milliseconds(self, name: &str, least: i64, most: i64) -> Result<Option<Duration>, Failure> {
        let value = self.within(name, least..=most)?;
        Ok(value.map(|value| Duration::from_millis(value.unsigned_abs())))
    }
}

fn out_of_range(name: &str, value: i64) -> Failure {
    Failure::of_words(format!("the socket option {name} is out of range: {value}"))
}

impl Wishes<'_> {
    /// For a socket that is bound, to an address of the IPv6 family or another.
    pub(crate) fn to_listen(&self, datagram: bool, v6: bool) -> Result<ListenOptions, Failure> {
        let numbers = self.numbers;
        let mut options = ListenOptions::default();
        options.socket = self.to_socket(datagram)?;
        // The kernel's limit where PHP says -1.
        let backlog = numbers.backlog.get().unwrap_or(BACKLOG.into());
        options.backlog = (!datagram).then(|| u32::try_from(backlog).unwrap_or(u32::MAX));
        options.reuse_address = numbers.reuse_address.truth().filter(|_| !datagram);
        options.reuse_port = numbers.reuse_port.truth();
        options.v6only = numbers.v6only.truth().filter(|_| v6);
        options.fast_open = numbers.fast_open.truth();
        options.defer_accept = numbers
            .defer_accept
            .seconds("tcp_defer_accept", 0, u32::MAX)?;
        options.max_connections = numbers
            .max_connections
            .count("max_connections", 1, u32::MAX)?;
        options.max_connections_per_ip =
            numbers
                .max_connections_per_ip
                .count("max_connections_per_ip", 1, u32::MAX)?;
        options.close_when_full = numbers.close_when_full.truth();
        if datagram {
            options.max_peers = numbers.max_peers.count("max_peers", 1, u32::MAX)?;
            let idle = numbers.peer_idle_timeout;
            options.peer_idle_timeout = idle.milliseconds("peer_idle_timeout", 1, i64::MAX)?;
        }
        options.bind_only = true;
        self.behind_a_proxy(&mut options)?;
        Ok(options)
    }

    /// The section `proxy`.
    fn behind_a_proxy(&self, options: &mut ListenOptions) -> Result<(), Failure> {
        options.proxy_protocol = match self.proxy_protocol {
            None => None,
            Some(b"required") => Some(ProxyReading::Required),
            Some(b"absent") => Some(ProxyReading::Absent),
            Some(other) => {
                let other = String::from_utf8_lossy(other);
                return Err(Failure::of_words(format!(
                    "the proxy option protocol is \"{other}\", but takes required or absent"
                )));
            }
        };
        let networks = text("from", self.proxy_from)?.unwrap_or_default();
        let networks = networks.split(',').map(str::trim);
        options.proxy_from = networks
            .filter(|network| !network.is_empty())
            .map(str::to_owned)
            .collect();
        options.proxy_timeout = self
            .numbers
            .proxy_timeout
            .milliseconds("timeout", 0, i64::MAX)?;
        Ok(())
    }

    /// The same for a unix name, of which a file may be made. As in PHP, it is left behind.
    pub(crate) fn to_listen_unix(
        &self,
        datagram: bool,
        is_file: bool,
    ) -> Result<ListenOptions, Failure> {
        let mut options = self.to_listen(datagram, false)?;
        // PHP takes these on any listener, and they mean nothing here.
        options.reuse_address = None;
        options.reuse_port = None;
        options.fast_open = None;
        options.defer_accept = None;
        if is_file {
            options.unix.mode = self.numbers.unix_mode.count("unix_mode", 0, 0o7777)?;
            options.unix.owner = text("unix_owner", self.unix_owner)?;
            options.unix.group = text("unix_group", self.unix_group)?;
            options.unix.unlink = Some(self.numbers.unix_unlink.truth().unwrap_or(false));
        }
        Ok(options)
    }

    /// Whether all addresses of a name are tried, staggered, rather than one after another.
    pub(crate) fn races(&self) -> bool {
        self.numbers.happy_eyeballs.truth().unwrap_or(false)
    }

    /// Whether a backlog is asked for.
    pub(crate) fn has_backlog(&self) -> bool {
        self.numbers.backlog.given
    }

    pub(crate) fn to_connect(&self, datagram: bool) -> Result<ConnectOptions, Failure> {
        let mut options = ConnectOptions::default();
        options.socket = self.to_socket(datagram)?;
        Ok(options)
    }

    fn to_socket(&self, datagram: bool) -> Result<SocketOptions, Failure> {
        let numbers = self.numbers;
        let mut options = SocketOptions::default();
        options.receive_buffer = numbers.receive_buffer.size("so_rcvbuf")?;
        options.send_buffer = numbers.send_buffer.size("so_sndbuf")?;
        options.inheritable = true;
        if datagram {
            options.broadcast = numbers.broadcast.truth();
            return Ok(options);
        }
        options.nodelay = numbers.nodelay.truth();
        options.keepalive = numbers.keepalive.truth();
        options.keepalive_idle = numbers
            .keepalive_idle
            .seconds("tcp_keepidle", 1, MOST_KEPT)?;
        options.keepalive_interval =
            numbers
                .keepalive_interval
                .seconds("tcp_keepintvl", 1, MOST_KEPT)?;
        options.keepalive_count = numbers
            .keepalive_count
            .count("tcp_keepcnt", 1, MOST_PROBES)?;
        options.linger = linger(numbers.linger)?;
        options.user_timeout =
            numbers
                .user_timeout
                .milliseconds("tcp_user_timeout", 0, i32::MAX.into())?;
        Ok(options)
    }
}

/// PHP 8.6: above zero it is on, and no longer than the kernel's field holds.
fn linger(number: Number) -> Result<Option<Duration>, Failure> {
    let seconds = number.within("so_linger", i64::MIN..=i64::MAX)?;
    let seconds = seconds.filter(|seconds| *seconds > 0);
    Ok(seconds.map(|seconds| Duration::from_secs(seconds.min(65_535).unsigned_abs())))
}

fn text(name: &str, bytes: Option<&[u8]>) -> Result<Option<String>, Failure> {
    let not_utf8 = |_| Failure::of_words(format!("the socket option {name} is not UTF-8"));
    bytes
        .map(|bytes| String::from_utf8(bytes.to_owned()).map_err(not_utf8))
        .transpose()
}

/// What the options of a unix client or server leave of those for tcp.
pub(crate) fn without_tcp(options: &mut SocketOptions) {
    options.nodelay = None;
    options.keepalive = None;
    options.keepalive_idle = None;
    options.keepalive_interval = None;
    options.keepalive_count = None;
    options.linger = None;
    options.user_timeout = None;
    options.broadcast = None;
}

/// `bindto`, for a target of the same family: an address, and a port unless that is 0 or left out.
/// A `0` in place of the address is any.
pub(crate) fn local_address(bindto: &[u8], target: IpAddr) -> Result<String, Failure> {
    let shown = || String::from_utf8_lossy(bindto).into_owned();
    let (host, port) = if bindto.contains(&b':') {
        let parsed = crate::target::parse(bindto)?;
        (parsed.host, parsed.port)
    } else {
        (bindto, 0)
    };
    let host = std::str::from_utf8(host).unwrap_or_default();
    let ip = match (host, target) {
        ("0", IpAddr::V4(_)) => "0.0.0.0".to_owned(),
        ("0", IpAddr::V6(_)) => "::".to_owned(),
        _ => host.to_owned(),
    };
    let ip: IpAddr = ip
        .parse()
        .map_err(|_| Failure::of_words(format!("Invalid IP Address: {}", shown())))?;
    if ip.is_ipv4() != target.is_ipv4() {
        return Err(Failure::of_words(format!(
            "bindto is {}, of another family than the address to connect to",
            shown()
        )));
    }
    Ok(std::net::SocketAddr::new(ip, port).to_string())
}
