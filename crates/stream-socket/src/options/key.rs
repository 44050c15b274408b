//! The one table of option keys.
//!
//! It makes the URL's query, the command's flags and their help, and the table in the
//! documentation: there is no second list to keep in step.

use std::fmt;

use super::connect::ConnectOptions;
use super::judge;
use super::listen::ListenOptions;
use super::socket::SocketOptions;
use super::value::{Kind, Slot};
use crate::error::{Error, Result, Stage};
use crate::nearest::suggestion;
use crate::printable::excerpt;
use crate::url::{SocketUrl, Transport};

/// Which way a socket is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Role {
    /// Bound, to be accepted from or to receive datagrams.
    Listen,
    /// Connected to a peer.
    Connect,
}

/// An option: its name and what it means.
///
/// In a URL's query it is written `name=value`, as a flag of the command `--name value` with
/// hyphens for underscores.
pub struct Key {
    /// The name, in a URL and in the options structs alike.
    pub name: &'static str,
    /// The transports that it applies to.
    pub transports: &'static [Transport],
    /// What holds where it is not given.
    pub default: &'static str,
    /// One line of help, without a dot.
    pub help: &'static str,
    /// The name of the same option in PHP's stream contexts, where PHP has it: its manual's page
    /// of socket context options, with what PHP 8.6 adds.
    pub php: Option<&'static str>,
    field: Field,
}

/// Where the value goes.
enum Field {
    Both(for<'a> fn(&'a mut SocketOptions) -> Slot<'a>),
    Listen(for<'a> fn(&'a mut ListenOptions) -> Slot<'a>),
    Connect(for<'a> fn(&'a mut ConnectOptions) -> Slot<'a>),
    /// One field of each, of the same name.
    Each(
        for<'a> fn(&'a mut ListenOptions) -> Slot<'a>,
        for<'a> fn(&'a mut ConnectOptions) -> Slot<'a>,
    ),
}

impl Key {
    /// The kind of its value.
    pub fn kind(&self) -> Kind {
        match self.field {
            Field::Both(field) => field(&mut SocketOptions::default()).kind(),
            Field::Listen(field) | Field::Each(field, _) => {
                field(&mut ListenOptions::default()).kind()
            }
            Field::Connect(field) => field(&mut ConnectOptions::default()).kind(),
        }
    }

    /// Whether it means something for a socket of this transport, opened this way. What means
    /// something over tcp or unix, does so over TLS on top of it.
    pub fn applies(&self, transport: Transport, role: Role) -> bool {
        let of = |transport| self.transports.contains(&transport);
        self.has_role(role) && (of(transport) || of(transport.carrier()))
    }

    /// Whether it means something for a socket opened this way, on some transport.
    pub fn has_role(&self, role: Role) -> bool {
        match self.field {
            Field::Both(_) | Field::Each(..) => true,
            Field::Listen(_) => role == Role::Listen,
            Field::Connect(_) => role == Role::Connect,
        }
    }

    fn inapplicable(&self, transport: Transport) -> String {
        let names: Vec<_> = self
            .transports
            .iter()
            .map(|transport| transport.name())
            .collect();
        format!(
            "option {} applies to {}, not to {transport}",
            self.name,
            names.join(", ")
        )
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// All keys, in the order in which help lists them.
///
/// # Examples
///
/// ```
/// use stream_socket::{Role, Transport, keys};
///
/// let key = keys().iter().find(|key| key.name == "backlog").unwrap();
/// assert!(key.applies(Transport::Tcp, Role::Listen));
/// assert!(!key.applies(Transport::Udp, Role::Listen));
/// ```
pub fn keys() -> &'static [Key] {
    TABLE
}

const ALL: &[Transport] = &[
    Transport::Tcp,
    Transport::Udp,
    Transport::Unix,
    Transport::Udg,
    Transport::Vsock,
    Transport::Fd,
    Transport::Systemd,
];
const TCP: &[Transport] = &[Transport::Tcp];
const UDP: &[Transport] = &[Transport::Udp];
const INET: &[Transport] = &[Transport::Tcp, Transport::Udp];
const UNIX: &[Transport] = &[Transport::Unix, Transport::Udg];
const ANY: &[Transport] = &[
    Transport::Tcp,
    Transport::Udp,
    Transport::Unix,
    Transport::Udg,
    Transport::Vsock,
];
const NAMED: &[Transport] = &[
    Transport::Tcp,
    Transport::Udp,
    Transport::Unix,
    Transport::Udg,
];
const DATAGRAMS: &[Transport] = &[Transport::Udp, Transport::Udg];
const ACCEPTING: &[Transport] = &[Transport::Tcp, Transport::Unix, Transport::Vsock];
const TLS: &[Transport] = &[
    Transport::Tls,
    Transport::Ssl,
    Transport::Tlsv12,
    Transport::Tlsv13,
    Transport::TlsUnix,
    Transport::TlsVsock,
    Transport::TlsFd,
    Transport::TlsSystemd,
];

macro_rules! table {
    ($($name:ident $transports:ident $default:literal $help:literal $php:expr,
        $way:ident $slot:ident $($path:ident).+;)*) => {
        &[$(Key {
            name: stringify!($name),
            transports: $transports,
            default: $default,
            help: $help,
            php: $php,
            field: field!($way $slot $($path).+),
        }),*]
    };
}

macro_rules! field {
    (Each $slot:ident $($path:ident).+) => {
        Field::Each(
            |options| Slot::$slot(&mut options.$($path).+),
            |options| Slot::$slot(&mut options.$($path).+),
        )
    };
    ($way:ident $slot:ident $($path:ident).+) => {
        Field::$way(|options| Slot::$slot(&mut options.$($path).+))
    };
}

#[rustfmt::skip]
const TABLE: &[Key] = table! {
    backlog ACCEPTING "4096" "Connections that may wait to be accepted" Some("backlog"),
        Listen Count backlog;
    reuse_address TCP "1" "Take an address whose old connections linger" Some("so_reuseaddr"),
        Listen Flag reuse_address;
    reuse_port INET "0" "Let several sockets share the address" Some("so_reuseport"),
        Listen Flag reuse_port;
    v6only INET "the system's" "Refuse IPv4 clients on an IPv6 address" Some("ipv6_v6only"),
        Listen Flag v6only;
    fast_open TCP "0" "Accept data in a client's first packet" None,
        Listen Flag fast_open;
    defer_accept TCP "off"
        "Accept a client only once it sent data, or drop it after this time" None,
        Listen Span defer_accept;
    max_connections ACCEPTING "no limit" "Connections at once; the rest waits in the backlog" None,
        Listen Count max_connections;
    max_connections_per_ip TCP "no limit"
        "Connections at once from one address; the rest is closed" None,
        Listen Count max_connections_per_ip;
    close_when_full ACCEPTING "0" "Close what finds no place or no descriptor" None,
        Listen Flag close_when_full;
    idle_timeout ACCEPTING "never" "How long a connection is kept on which nothing moves" None,
        Listen Span idle_timeout;
    lifetime ACCEPTING "never" "How long a connection is kept at all" None,
        Listen Span lifetime;
    proxy_protocol ANY "absent" "Header of the PROXY protocol: required or absent" None,
        Listen Choice proxy_protocol;
    proxy_from INET "nobody" "Networks whose headers are believed" None,
        Listen List proxy_from;
    proxy_timeout ACCEPTING "5s" "Limit for a connection's header" None,
        Listen Span proxy_timeout;
    max_peers DATAGRAMS "4096" "Peers that may have a stream or wait to be accepted" None,
        Listen Count max_peers;
    peer_idle_timeout DATAGRAMS "60s" "Idle time after which the stream of a peer ends" None,
        Listen Span peer_idle_timeout;
    mode UNIX "0777 less umask" "Permissions of the socket file" None,
        Listen Mode unix.mode;
    owner UNIX "the process's" "Owner of the socket file, by name or number" None,
        Listen Text unix.owner;
    group UNIX "the process's" "Group of the socket file, by name or number" None,
        Listen Text unix.group;
    unlink UNIX "1" "Remove a dead socket file in the way, and ours when done" None,
        Listen Flag unix.unlink;
    more_certificates TLS "none" "PEM files with certificate and key for further names" None,
        Listen Identities tls.more_certificates;
    self_signed TLS "0" "Make a certificate, to try things out" None,
        Listen Flag tls.self_signed;
    client_ca TLS "none" "Authorities whose clients are let in, asked for a certificate" None,
        Listen Path tls.client_ca;
    client_optional TLS "0" "Let in clients without a certificate as well" None,
        Listen Flag tls.client_optional;
    tickets TLS "2" "Tickets for a client to resume its session; 0 for none" None,
        Listen Count tls.tickets;
    handshake TLS "accept" "When handshakes are made: accept, first-use" None,
        Listen Choice tls.handshake;
    connect_timeout ALL "60s" "Limit for resolving and connecting, all addresses together" None,
        Connect Span connect_timeout;
    attempt_delay TCP "250ms" "Time given to one address before the next is tried beside it" None,
        Connect Span attempt_delay;
    bind NAMED "any" "Local address to connect from" Some("bindto"),
        Connect Text bind;
    via TCP "direct" "Proxy to go by: socks5://host:port or http://host:port" None,
        Connect Text via;
    send_proxy ALL "off" "Begin with a header of the PROXY protocol: v1 or v2" None,
        Connect Choice send_proxy;
    ca TLS "the system's" "Authorities to trust: a PEM file, or a folder of hashed names" None,
        Connect Path tls.ca;
    peer_name TLS "the host" "Name that the server's certificate must have" Some("peer_name"),
        Connect Text tls.peer_name;
    sni TLS "1" "Tell the server which name is asked for" Some("SNI_enabled"),
        Connect Flag tls.sni;
    fingerprint TLS "any" "SHA-256 of the server's certificate, enough without ca" None,
        Connect List tls.fingerprint;
    verify_depth TLS "any"
        "Certificates up to the authority of a peer's: 1 is issued by it" Some("verify_depth"),
        Each Count tls.verify_depth;
    certificate TLS "none" "Certificate chain, a PEM file" Some("local_cert"),
        Each Path tls.certificate;
    key TLS "in the certificate's file" "Private key, a PEM file" Some("local_pk"),
        Each Path tls.key;
    passphrase_file TLS "none" "File with the passphrase of the private key" None,
        Each Path tls.passphrase_file;
    ciphers TLS "all" "Cipher suites that may be agreed upon" None,
        Each List tls.ciphers;
    alpn TLS "none" "Protocols over TLS, best first" Some("alpn_protocols"),
        Each List tls.alpn;
    min_version TLS "1.2" "Oldest version of TLS: 1.2, 1.3" None,
        Each Choice tls.min_version;
    max_version TLS "1.3" "Newest version of TLS: 1.2, 1.3" None,
        Each Choice tls.max_version;
    handshake_timeout TLS "10s" "Limit for a handshake" None,
        Each Span tls.handshake_timeout;
    nodelay TCP "0" "Send small writes at once" Some("tcp_nodelay"),
        Both Flag nodelay;
    keepalive TCP "0" "Probe an idle peer" Some("so_keepalive"),
        Both Flag keepalive;
    keepalive_idle TCP "the system's" "Idle time before the first probe" Some("tcp_keepidle"),
        Both Span keepalive_idle;
    keepalive_interval TCP "the system's" "Time between probes" Some("tcp_keepintvl"),
        Both Span keepalive_interval;
    keepalive_count TCP "the system's"
        "Unanswered probes until the peer counts as gone" Some("tcp_keepcnt"),
        Both Count keepalive_count;
    linger TCP "off" "How long close waits for unsent data; 0s resets" Some("so_linger"),
        Both Span linger;
    user_timeout TCP "the system's" "How long sent data may stay unacknowledged" None,
        Both Span user_timeout;
    send_buffer ALL "the system's" "Size of the kernel's send buffer" Some("so_sndbuf"),
        Both Bytes send_buffer;
    receive_buffer ALL "the system's" "Size of the kernel's receive buffer" Some("so_rcvbuf"),
        Both Bytes receive_buffer;
    broadcast UDP "0" "Allow broadcast addresses" Some("so_broadcast"),
        Both Flag broadcast;
    device INET "any" "Network interface to use alone" None,
        Both Text device;
    mark INET "0" "Mark for routing and filtering" None,
        Both Count mark;
    read_timeout ALL "never" "Limit for one read" None,
        Both Span read_timeout;
    write_timeout ALL "never" "Limit for one write" None,
        Both Span write_timeout;
};

/// An options struct whose fields the table names.
pub(crate) trait Options: Clone {
    const ROLE: Role;

    /// The field of a key; `None` for a key of another role.
    fn slot(&mut self, key: &Key) -> Option<Slot<'_>>;

    /// Why the options can't be meant together, if they can't.
    fn judge(&self, url: &SocketUrl) -> std::result::Result<(), String>;

    /// Sets one option from text.
    fn assign(&mut self, name: &str, value: &str) -> std::result::Result<(), String> {
        let key = find(name, Self::ROLE)?;
        let Some(slot) = self.slot(key) else {
            return Ok(());
        };
        slot.set(value)
            .map_err(|expected| format!("option {name} is {value:?}, but takes {expected}"))
    }

    /// These options with those of the URL's query laid over, judged for its transport.
    fn for_url(&self, url: &SocketUrl) -> Result<Self> {
        let fail = |why: String| Error::new(Stage::Parse, url, why);
        let mut merged = self.clone();
        for (name, value) in url.query() {
            merged.assign(name, value).map_err(fail)?;
        }
        for key in TABLE {
            let is_set = merged.slot(key).is_some_and(|slot| slot.is_set());
            if is_set && !key.applies(url.transport(), Self::ROLE) {
                return Err(fail(key.inapplicable(url.transport())));
            }
        }
        merged.judge(url).map_err(fail)?;
        Ok(merged)
    }
}

impl Options for ListenOptions {
    const ROLE: Role = Role::Listen;

    fn judge(&self, url: &SocketUrl) -> std::result::Result<(), String> {
        judge::listen(self, url)
    }

    fn slot(&mut self, key: &Key) -> Option<Slot<'_>> {
        match key.field {
            Field::Both(field) => Some(field(&mut self.socket)),
            Field::Listen(field) | Field::Each(field, _) => Some(field(self)),
            Field::Connect(_) => None,
        }
    }
}

impl Options for ConnectOptions {
    const ROLE: Role = Role::Connect;

    fn judge(&self, url: &SocketUrl) -> std::result::Result<(), String> {
        judge::connect(self, url)
    }

    fn slot(&mut self, key: &Key) -> Option<Slot<'_>> {
        match key.field {
            Field::Both(field) => Some(field(&mut self.socket)),
            Field::Connect(field) | Field::Each(_, field) => Some(field(self)),
            Field::Listen(_) => None,
        }
    }
}

impl ListenOptions {
    /// Sets the option `name` from text, as a URL's query does.
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`]: the key is unknown or one of connecting, or the text is no value of
    /// its kind.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        set(self, name, value)
    }
}

impl ConnectOptions {
    /// Sets the option `name` from text, as a URL's query does.
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`]: the key is unknown or one of listening, or the text is no value of
    /// its kind.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        set(self, name, value)
    }
}

fn set(options: &mut impl Options, name: &str, value: &str) -> Result<()> {
    options
        .assign(name, value)
        .map_err(|why| Error::new(Stage::Parse, excerpt(&format!("{name}={value}")), why))
}

fn find(name: &str, role: Role) -> std::result::Result<&'static Key, String> {
    match TABLE.iter().find(|key| key.name == name) {
        Some(key) if key.has_role(role) => Ok(key),
        Some(_) if role == Role::Listen => Err(format!(
            "option {name} is for connecting, not for listening"
        )),
        Some(_) => Err(format!(
            "option {name} is for listening, not for connecting"
        )),
        None => {
            let known = TABLE
                .iter()
                .filter(|key| key.has_role(role))
                .map(|key| key.name);
            Err(format!(
                "there is no option {name:?}{}",
                suggestion(name, known)
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(url: &str) -> Result<ListenOptions> {
        ListenOptions::default().for_url(&url.parse()?)
    }

    #[test]
    fn the_query_sets_fields() {
        let options =
            listen("tcp://[::1]:1?backlog=7&nodelay=1&linger=0s&send_buffer=4KiB").unwrap();
        assert_eq!(options.backlog, Some(7));
        assert_eq!(options.socket.nodelay, Some(true));
        assert_eq!(options.socket.linger, Some(std::time::Duration::ZERO));
        assert_eq!(options.socket.send_buffer, Some(4096));
    }

    #[test]
    fn the_query_overrides_the_struct() {
        let options = ListenOptions {
            backlog: Some(1),
            ..ListenOptions::default()
        };
        let merged = options
            .for_url(&"tcp://[::1]:1?backlog=2".parse().unwrap())
            .unwrap();
        assert_eq!(merged.backlog, Some(2));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (url, expected) in [
            (
                "tcp://h:1?backlgo=7",
                "there is no option \"backlgo\"; did you mean \"backlog\"?",
            ),
            ("tcp://h:1?zebra=7", "there is no option \"zebra\""),
            (
                "tcp://h:1?backlog=x",
                "option backlog is \"x\", but takes a whole number",
            ),
            (
                "tcp://h:1?connect_timeout=1s",
                "connect_timeout is for connecting, not for listening",
            ),
            (
                "udp://h:1?backlog=7",
                "option backlog applies to tcp, unix, vsock, not to udp",
            ),
            (
                "unix:///a?nodelay=1",
                "option nodelay applies to tcp, not to unix",
            ),
        ] {
            let error = listen(url).unwrap_err();
            assert_eq!(
                (error.stage(), error.errno()),
                (Stage::Parse, None),
                "{url}"
            );
            assert!(error.to_string().contains(expected), "{url}: {error}");
        }
    }

    #[test]
    fn a_field_that_does_not_apply_is_refused_like_a_key() {
        let mut options = ListenOptions::default();
        options.unix.mode = Some(0o600);
        let error = options.for_url(&"tcp://h:1".parse().unwrap()).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("option mode applies to unix, udg, not to tcp")
        );
    }

    #[test]
    fn every_key_has_one_name_one_field_and_a_help_line() {
        for (index, key) in TABLE.iter().enumerate() {
            assert!(
                TABLE[..index].iter().all(|other| other.name != key.name),
                "{key:?}"
            );
            assert!(!key.help.is_empty() && !key.help.ends_with('.'), "{key:?}");
            assert!(!key.transports.is_empty(), "{key:?}");
            for role in [Role::Listen, Role::Connect] {
                let slot = match role {
                    Role::Listen => ListenOptions::default().slot(key).is_some(),
                    Role::Connect => ConnectOptions::default().slot(key).is_some(),
                };
                assert_eq!(slot, key.has_role(role), "{key:?}");
            }
        }
    }
}
