//! Options: each is asked back of the kernel, on the socket and on what is accepted from it.

use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::time::Duration;

use socket2::SockRef;
use stream_socket::{
    ConnectOptions, DatagramSocket, ListenOptions, Listener, Role, Stage, Stream, keys,
};

use crate::support::child::{self, Surroundings};
use crate::support::peer::program;
use crate::support::{assert_error, connect, listen, own_file, receive_on};

/// What the kernel says of a socket.
type Asked = fn(&SockRef<'_>) -> String;

/// An option as it is written, whether streams are given it too, how the kernel is asked, and
/// what it answers.
struct Case {
    option: &'static str,
    on_streams: bool,
    ask: Asked,
    answer: &'static str,
}

const fn case(option: &'static str, ask: Asked, answer: &'static str) -> Case {
    Case {
        option,
        on_streams: true,
        ask,
        answer,
    }
}

/// One that a listener alone has, or that its streams have no need of.
const fn listener_case(option: &'static str, ask: Asked, answer: &'static str) -> Case {
    Case {
        on_streams: false,
        ..case(option, ask, answer)
    }
}

/// `TCP_FASTOPEN` and `TCP_DEFER_ACCEPT` of linux/tcp.h, of which no safe crate knows.
const FAST_OPEN: &str = "23";
const DEFER_ACCEPT: &str = "9";

const TCP: &[Case] = &[
    case(
        "nodelay=1",
        |s| format!("{:?}", s.tcp_nodelay()),
        "Ok(true)",
    ),
    case(
        "nodelay=0",
        |s| format!("{:?}", s.tcp_nodelay()),
        "Ok(false)",
    ),
    case(
        "keepalive=1",
        |s| format!("{:?}", s.keepalive()),
        "Ok(true)",
    ),
    case(
        "keepalive_idle=33s",
        |s| format!("{:?}", s.tcp_keepalive_time()),
        "Ok(33s)",
    ),
    case(
        "keepalive_idle=33s",
        |s| format!("{:?}", s.keepalive()),
        "Ok(true)",
    ),
    case(
        "keepalive_interval=7s",
        |s| format!("{:?}", s.tcp_keepalive_interval()),
        "Ok(7s)",
    ),
    case(
        "keepalive_interval=7s",
        |s| format!("{:?}", s.keepalive()),
        "Ok(true)",
    ),
    case(
        "keepalive_count=4",
        |s| format!("{:?}", s.tcp_keepalive_retries()),
        "Ok(4)",
    ),
    case(
        "keepalive_count=4",
        |s| format!("{:?}", s.keepalive()),
        "Ok(true)",
    ),
    case("linger=3s", |s| format!("{:?}", s.linger()), "Ok(Some(3s))"),
    case(
        "linger=0s",
        |s| format!("{:?}", s.linger()),
        "Ok(Some(0ns))",
    ),
    case(
        "user_timeout=1500ms",
        |s| format!("{:?}", s.tcp_user_timeout()),
        "Ok(Some(1.5s))",
    ),
    listener_case(
        "reuse_address=0",
        |s| format!("{:?}", s.reuse_address()),
        "Ok(false)",
    ),
    listener_case(
        "backlog=7",
        |s| format!("{:?}", s.reuse_address()),
        "Ok(true)",
    ),
    listener_case(
        "reuse_port=1",
        |s| format!("{:?}", s.reuse_port()),
        "Ok(true)",
    ),
    listener_case("defer_accept=3s", |s| number(s, DEFER_ACCEPT), "3"),
    listener_case("fast_open=0", |s| number(s, FAST_OPEN), "0"),
    listener_case("fast_open=1&backlog=77", |s| number(s, FAST_OPEN), "77"),
    listener_case("backlog=77", backlog_of, "77"),
];

const UDP: &[Case] = &[
    case(
        "broadcast=1",
        |s| format!("{:?}", s.broadcast()),
        "Ok(true)",
    ),
    listener_case(
        "reuse_port=1",
        |s| format!("{:?}", s.reuse_port()),
        "Ok(true)",
    ),
];

/// Of tcp and udp.
const INET: &[Case] = &[
    case(
        "device=lo",
        |s| format!("{:?}", s.device()),
        "Ok(Some([108, 111]))",
    ),
    case("mark=7", |s| format!("{:?}", s.mark()), "Ok(7)"),
];

/// Of all transports. The kernel doubles the size: socket(7).
const ALL: &[Case] = &[
    case(
        "send_buffer=64KiB",
        |s| format!("{:?}", s.send_buffer_size()),
        "Ok(131072)",
    ),
    case(
        "receive_buffer=32768",
        |s| format!("{:?}", s.recv_buffer_size()),
        "Ok(65536)",
    ),
];

const V6: &[Case] = &[
    listener_case("v6only=1", |s| format!("{:?}", s.only_v6()), "Ok(true)"),
    listener_case("v6only=0", |s| format!("{:?}", s.only_v6()), "Ok(false)"),
];

/// Keys that no socket option stands behind, and where they are tested.
const ELSEWHERE: &[(&str, &str)] = &[
    ("mode", "unix_file"),
    ("owner", "unix_file"),
    ("group", "unix_file"),
    ("unlink", "unix_file"),
    ("connect_timeout", "error"),
    ("attempt_delay", "connect"),
    ("bind", "connect"),
    ("read_timeout", "timeout"),
    ("write_timeout", "timeout"),
    ("max_connections", "engine"),
    ("max_connections_per_ip", "engine"),
    ("close_when_full", "engine"),
    ("idle_timeout", "engine"),
    ("lifetime", "engine"),
    ("max_peers", "udp_accept"),
    ("peer_idle_timeout", "udp_accept"),
    ("send_proxy", "proxy_protocol"),
    ("proxy_protocol", "proxied"),
    ("proxy_from", "proxied"),
    ("proxy_timeout", "proxied"),
    ("via", "via"),
    ("more_certificates", "tls::identities"),
    ("self_signed", "tls::identities"),
    ("fingerprint", "tls::identities"),
    ("passphrase_file", "tls::identities"),
    ("ciphers", "tls::identities"),
    ("client_ca", "tls::refusals"),
    ("client_optional", "tls::refusals"),
    ("sni", "tls::identities"),
    ("verify_depth", "tls::chains"),
    ("tickets", "tls::streams"),
    ("handshake", "tls::handshakes"),
    ("ca", "tls::refusals"),
    ("peer_name", "tls::refusals"),
    ("certificate", "tls::refusals"),
    ("key", "tls::refusals"),
    ("alpn", "tls::streams"),
    ("min_version", "tls::refusals"),
    ("max_version", "tls::streams"),
    ("handshake_timeout", "tls::handshakes"),
];

/// An option of tcp that python reads from its standard input, which is the socket.
fn number(socket: &SockRef<'_>, name: &str) -> String {
    let script = "import socket, sys; \
                  print(socket.socket(fileno=0).getsockopt(socket.IPPROTO_TCP, int(sys.argv[1])))";
    let socket = socket.try_clone().unwrap();
    let output = Command::new(program("python3"))
        .args(["-c", script, name])
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What ss(8) shows in the third column of a listening socket.
fn backlog_of(socket: &SockRef<'_>) -> String {
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let output = Command::new(program("ss"))
        .args(["-Hltn", "src", &address.to_string()])
        .output()
        .unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    line.split_whitespace()
        .nth(2)
        .unwrap_or("no line")
        .to_owned()
}

fn check(case: &Case, what: &str, socket: &impl AsFd) {
    let answer = (case.ask)(&SockRef::from(&socket.as_fd()));
    assert_eq!(answer, case.answer, "{} on {what}", case.option);
}

/// Where each group is bound.
fn groups() -> Vec<(&'static str, Vec<&'static Case>)> {
    vec![
        (
            "tcp://127.0.0.1:0",
            TCP.iter().chain(INET).chain(ALL).collect(),
        ),
        (
            "udp://127.0.0.1:0",
            UDP.iter().chain(INET).chain(ALL).collect(),
        ),
        ("tcp://[::]:0", V6.iter().collect()),
        ("udp://[::]:0", V6.iter().collect()),
        ("unix://@", ALL.iter().collect()),
        ("udg://@", ALL.iter().collect()),
    ]
}

/// As an administrator, since `mark` asks for one.
#[test]
fn every_option_is_in_force() {
    child::run(Surroundings::OwnNetwork, || {
        for (base, cases) in groups() {
            for case in cases {
                let url = format!("{base}?{}", case.option);
                if base.starts_with("tcp") || base.starts_with("unix") {
                    check_listening(case, &url);
                } else {
                    check(case, &url, &receive_on(&url));
                }
            }
        }
    });
}

/// The listener, a stream that it accepts, and a client with the same option.
fn check_listening(case: &Case, url: &str) {
    let listener = listen(url);
    check(case, url, &listener);
    if !case.on_streams {
        return;
    }
    let plain = connect(listener.url());
    let served = listener.accept(None).unwrap();
    check(case, &format!("a client of {url}"), &served);
    drop(plain);
    let url = format!("{}?{}", listener.url(), case.option);
    let client = Stream::connect(&*url, &ConnectOptions::default()).unwrap();
    check(case, &format!("the stream to {url}"), &client);
}

#[test]
fn a_datagram_client_has_its_options() {
    child::run(Surroundings::OwnNetwork, || {
        for (base, cases) in groups()
            .into_iter()
            .filter(|(base, _)| base.starts_with("ud"))
        {
            for case in cases.iter().filter(|case| case.on_streams) {
                let socket = receive_on(base);
                let url = format!("{}?{}", socket.url(), case.option);
                let client = Stream::connect(&*url, &ConnectOptions::default()).unwrap();
                check(case, &url, &client);
            }
        }
    });
}

#[test]
fn no_key_is_without_a_test() {
    for key in keys() {
        let is_name = |option: &str| {
            option
                .split('&')
                .any(|pair| pair.split('=').next() == Some(key.name))
        };
        let is_here = groups()
            .iter()
            .flat_map(|(_, cases)| cases)
            .any(|c| is_name(c.option));
        let is_elsewhere = ELSEWHERE.iter().any(|(name, _)| *name == key.name);
        assert!(is_here != is_elsewhere, "{}", key.name);
    }
}

#[test]
fn a_struct_and_a_url_set_the_same() {
    let mut options = ListenOptions::default();
    options.socket.nodelay = Some(true);
    options.socket.keepalive_idle = Some(Duration::from_secs(33));
    let listener = Listener::bind("tcp://127.0.0.1:0?keepalive_idle=44s", &options).unwrap();
    let socket = SockRef::from(&listener);
    assert!(socket.tcp_nodelay().unwrap());
    assert_eq!(
        socket.tcp_keepalive_time().unwrap(),
        Duration::from_secs(44)
    );
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    for (url, reason) in [
        (
            "tcp://127.0.0.1:0?keepalive=0&keepalive_idle=5s",
            "option keepalive_idle needs keepalive",
        ),
        (
            "tcp://127.0.0.1:0?keepalive_count=5&keepalive=0",
            "option keepalive_count needs keepalive",
        ),
        (
            "tcp://127.0.0.1:0?linger=1500ms",
            "option linger takes whole seconds",
        ),
        (
            "tcp://127.0.0.1:0?linger=never",
            "option linger takes whole seconds",
        ),
        (
            "tcp://127.0.0.1:0?defer_accept=1ms",
            "option defer_accept takes whole seconds",
        ),
        (
            "unix://@?mode=0600",
            "option mode applies to paths, not to abstract names",
        ),
        (
            "unix://@?unlink=0",
            "option unlink applies to paths, not to abstract names",
        ),
    ] {
        let error = Listener::bind(url, &ListenOptions::default()).unwrap_err();
        assert_error(
            &error,
            Stage::Parse,
            None,
            &format!("cannot parse {url}: {reason}"),
        );
    }
}

#[test]
fn a_port_is_shared_where_all_of_them_say_so() {
    let options = ListenOptions::default();
    check_sharing("tcp://127.0.0.1:0", |url| {
        Listener::bind(url, &options).map(|bound| (bound.url().to_string(), bound))
    });
    check_sharing("udp://127.0.0.1:0", |url| {
        DatagramSocket::bind(url, &options).map(|bound| (bound.url().to_string(), bound))
    });
}

fn check_sharing<T>(base: &str, bind: impl Fn(&str) -> stream_socket::Result<(String, T)>) {
    let (url, _first) = bind(&format!("{base}?reuse_port=1")).unwrap();
    let _second = bind(&format!("{url}?reuse_port=1")).unwrap();
    let third = bind(&url).map(drop).unwrap_err();
    assert_eq!(third.errno(), Some(libc::EADDRINUSE), "{base}");
}

#[test]
fn v6only_keeps_ipv4_clients_out_and_its_opposite_lets_them_in() {
    let dual = listen("tcp://[::]:0?v6only=0");
    let port = dual.local_addr().port().unwrap();
    let v4: String = format!("tcp://127.0.0.1:{port}");
    let _client = connect(&v4.parse().unwrap());
    let served = dual.accept(None).unwrap();
    let peer = served.peer_addr().unwrap().ip().unwrap();
    assert_eq!(peer.to_string(), "::ffff:127.0.0.1");

    let only = listen("tcp://[::]:0?v6only=1");
    let port = only.local_addr().port().unwrap();
    let v4 = format!("tcp://127.0.0.1:{port}");
    let error = Stream::connect(&*v4, &ConnectOptions::default()).unwrap_err();
    assert_eq!(error.errno(), Some(libc::ECONNREFUSED));
    connect(&format!("tcp://[::1]:{port}").parse().unwrap());
}

#[test]
fn a_client_that_says_nothing_is_not_accepted_where_that_is_deferred() {
    use std::io::Write;
    let listener = listen("tcp://127.0.0.1:0?defer_accept=30s");
    let mut client = connect(listener.url());
    assert!(
        listener
            .accept(Some(Duration::from_millis(20)))
            .unwrap_err()
            .is_timeout()
    );
    client.write_all(b"x").unwrap();
    crate::support::accept(&listener);
}

#[test]
fn v6only_does_not_apply_to_the_ipv4_address_of_a_name() {
    child::run(Surroundings::OwnNetwork, || {
        own_file("/etc/hosts", "::1 both\n127.0.0.1 both\n");
        let options = ListenOptions::default();
        let bound = Listener::bind("tcp://both:0?v6only=1", &options).unwrap();
        assert!(SockRef::from(&bound).only_v6().unwrap());
        let error = Listener::bind_all("tcp://both:0?v6only=1", &options).unwrap_err();
        let sentence = "cannot open tcp://both:0?v6only=1: \
                        option v6only applies to IPv6 addresses, and this one is IPv4";
        assert_error(&error, Stage::Socket, None, sentence);
    });
}

#[test]
fn every_key_can_be_written_in_a_url_of_its_role() {
    for key in keys() {
        assert!(
            key.has_role(Role::Listen) || key.has_role(Role::Connect),
            "{}",
            key.name
        );
        assert!(!key.transports.is_empty(), "{}", key.name);
    }
}
