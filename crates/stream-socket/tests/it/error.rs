//! Each stage at which opening a socket can fail, provoked: the number and the whole sentence.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::time::{Duration, Instant};

use stream_socket::{
    ConnectOptions, DatagramSocket, Error, Limit, ListenOptions, Listener, Stage, Stream, Transport,
};

use crate::support::child::{self, Surroundings};
use crate::support::{assert_error, both_ends, listen, own_file, path_url, receive_on};

fn bind_error(url: &str) -> Error {
    Listener::bind(url, &ListenOptions::default()).unwrap_err()
}

fn connect_error(url: &str) -> Error {
    Stream::connect(url, &ConnectOptions::default()).unwrap_err()
}

#[cfg(feature = "simulation")]
const BAD_URLS: &[(&str, &str)] = &[
    ("tcp://127.0.0.1:65536", "port 65536 is not in 0–65535"),
    (
        "tcp://127.0.0.1:80/path",
        "/path after port 80 has no meaning in an address",
    ),
    (
        "tcp://127.0.0.1",
        "the port is missing; write 127.0.0.1:PORT",
    ),
    (
        "tpc://127.0.0.1:1",
        "unknown transport tpc; did you mean \"tcp\"?",
    ),
    ("tcp://[::1:80", "the bracket [ is never closed"),
    (
        "unix://",
        "the path is missing; write unix://@ for a name chosen by the kernel",
    ),
    (
        "tcp://127.0.0.1:1?nodelai=1",
        "there is no option \"nodelai\"; did you mean \"nodelay\"?",
    ),
    (
        "unix:///run/s?nodelay=1",
        "option nodelay applies to tcp, not to unix",
    ),
    (
        "tcp://127.0.0.1:1?nodelay=1&nodelay=0",
        "option nodelay is given twice",
    ),
];

/// Nor is a descriptor opened: nothing at all is asked of the system.
#[cfg(feature = "simulation")]
#[test]
fn what_cannot_be_parsed_is_refused_before_any_system_call() {
    use stream_socket::simulation::calls;
    for (url, reason) in BAD_URLS {
        let sentence = format!("cannot parse {url}: {reason}");
        for open in [bind_error, connect_error] {
            let (error, calls) = calls(|| open(url));
            assert_error(&error, Stage::Parse, None, &sentence);
            assert_eq!((error.url(), error.reason()), (*url, *reason));
            assert_eq!(calls, [], "{url}");
        }
    }
}

#[test]
fn an_address_in_use_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("live");
    for listener in [
        listen("tcp://127.0.0.1:0"),
        listen("tcp://[::1]:0"),
        listen("unix://@"),
        listen(&path_url(Transport::Unix, path).to_string()),
    ] {
        let url = listener.url().to_string();
        let sentence = format!("cannot bind {url}: address already in use (EADDRINUSE)");
        assert_error(
            &bind_error(&url),
            Stage::Bind,
            Some(libc::EADDRINUSE),
            &sentence,
        );
        // The one that was there still answers.
        both_ends(&listener);
    }
}

#[test]
fn a_file_in_the_way_survives() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "precious").unwrap();
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    for path in [&file, &link, &folder.path().to_owned()] {
        let url = path_url(Transport::Unix, path).to_string();
        let sentence = format!("cannot bind {url}: address already in use (EADDRINUSE)");
        assert_error(
            &bind_error(&url),
            Stage::Bind,
            Some(libc::EADDRINUSE),
            &sentence,
        );
    }
    assert_eq!(fs::read_to_string(&link).unwrap(), "precious");
}

/// Files and folders that can't be bound to or connected to, and why.
fn make_obstacles(folder: &Path) {
    fs::write(folder.join("file"), "").unwrap();
    drop(UnixListener::bind(folder.join("stale")).unwrap());
    // Bound, but with another type of socket.
    drop(UnixDatagram::bind(folder.join("datagrams")).unwrap());
}

#[test]
fn paths_that_cannot_be_used_are_told_with_their_reason() {
    child::run(Surroundings::Alone, || {
        let folder = tempfile::tempdir().unwrap();
        make_obstacles(folder.path());
        let kept = folder.path().join("live-datagrams");
        let _live = UnixDatagram::bind(&kept).unwrap();
        let url = |name: &str| path_url(Transport::Unix, folder.path().join(name)).to_string();
        for (name, errno, reason) in [
            (
                "missing/s",
                libc::ENOENT,
                "no such file or directory (ENOENT)",
            ),
            ("file/s", libc::ENOTDIR, "not a directory (ENOTDIR)"),
        ] {
            let sentence = format!("cannot bind {}: {reason}", url(name));
            assert_error(&bind_error(&url(name)), Stage::Bind, Some(errno), &sentence);
        }
        for (name, errno, reason) in [
            (
                "missing",
                libc::ENOENT,
                "no such file or directory (ENOENT)",
            ),
            ("file/s", libc::ENOTDIR, "not a directory (ENOTDIR)"),
            (
                "file",
                libc::ECONNREFUSED,
                "connection refused (ECONNREFUSED)",
            ),
            (
                "stale",
                libc::ECONNREFUSED,
                "connection refused (ECONNREFUSED)",
            ),
            (
                "live-datagrams",
                libc::EPROTOTYPE,
                "protocol wrong type for socket (EPROTOTYPE)",
            ),
        ] {
            let sentence = format!("cannot connect to {}: {reason}", url(name));
            assert_error(
                &connect_error(&url(name)),
                Stage::Connect,
                Some(errno),
                &sentence,
            );
        }
    });
}

#[test]
fn what_only_root_may_do_is_refused_to_ordinary_users() {
    child::run(Surroundings::OrdinaryUser, || {
        let denied = "permission denied (EACCES)";
        for url in ["tcp://127.0.0.1:80", "tcp://[::1]:80", "tcp://0.0.0.0:1023"] {
            let sentence = format!("cannot bind {url}: {denied}");
            assert_error(&bind_error(url), Stage::Bind, Some(libc::EACCES), &sentence);
        }
        let error = DatagramSocket::bind("udp://127.0.0.1:13", &ListenOptions::default());
        let sentence = format!("cannot bind udp://127.0.0.1:13: {denied}");
        assert_error(
            &error.unwrap_err(),
            Stage::Bind,
            Some(libc::EACCES),
            &sentence,
        );

        let folder = tempfile::tempdir().unwrap();
        let server = folder.path().join("s");
        let _closed = listen(&format!("unix://{}?mode=0000", server.display()));
        let url = format!("unix://{}", server.display());
        let sentence = format!("cannot connect to {url}: {denied}");
        assert_error(
            &connect_error(&url),
            Stage::Connect,
            Some(libc::EACCES),
            &sentence,
        );

        let locked = folder.path().join("locked");
        fs::create_dir(&locked).unwrap();
        fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
        let url = format!("unix://{}/s", locked.display());
        let sentence = format!("cannot bind {url}: {denied}");
        assert_error(
            &bind_error(&url),
            Stage::Bind,
            Some(libc::EACCES),
            &sentence,
        );

        let sentence = "cannot open tcp://127.0.0.1:0?mark=7: \
                        option mark was refused: operation not permitted (EPERM)";
        let error = bind_error("tcp://127.0.0.1:0?mark=7");
        assert_error(&error, Stage::Socket, Some(libc::EPERM), sentence);
    });
}

#[test]
fn an_address_of_another_host_cannot_be_bound() {
    // RFC 5737 and RFC 3849: addresses for documentation are nobody's.
    for url in ["tcp://192.0.2.1:0", "tcp://[2001:db8::1]:0"] {
        let reason = "cannot assign requested address (EADDRNOTAVAIL)";
        let sentence = format!("cannot bind {url}: {reason}");
        assert_error(
            &bind_error(url),
            Stage::Bind,
            Some(libc::EADDRNOTAVAIL),
            &sentence,
        );
        let mut options = ConnectOptions::default();
        options.bind = Some(url[6..].to_owned());
        let target = if url.contains('[') {
            "tcp://[::1]:1"
        } else {
            "tcp://127.0.0.1:1"
        };
        let error = Stream::connect(target, &options).unwrap_err();
        let sentence = format!("cannot bind {}: {reason}", &url[6..]);
        assert_error(&error, Stage::Bind, Some(libc::EADDRNOTAVAIL), &sentence);
    }
}

#[test]
fn listening_can_fail_where_binding_did_not() {
    let mut options = ListenOptions::default();
    options.bind_only = true;
    let first = Listener::bind("tcp://127.0.0.1:0", &options).unwrap();
    let second = Listener::bind(first.url(), &options).unwrap();
    first.listen().unwrap();
    let sentence = format!("cannot listen on {second}: address already in use (EADDRINUSE)");
    let error = second.listen().unwrap_err();
    assert_error(&error, Stage::Listen, Some(libc::EADDRINUSE), &sentence);
    let sentence = format!("cannot accept from {second}: invalid argument (EINVAL)");
    let error = second.accept(None).unwrap_err();
    assert_error(&error, Stage::Accept, Some(libc::EINVAL), &sentence);
}

#[test]
fn a_refused_option_is_named() {
    for (url, errno, reason) in [
        (
            "tcp://127.0.0.1:0?device=no9",
            libc::ENODEV,
            "device was refused: no such device (ENODEV)",
        ),
        (
            "tcp://127.0.0.1:0?keepalive_idle=40000s",
            libc::EINVAL,
            "keepalive_idle was refused: invalid argument (EINVAL)",
        ),
    ] {
        let sentence = format!("cannot open {url}: option {reason}");
        assert_error(&bind_error(url), Stage::Socket, Some(errno), &sentence);
    }
    let sentence = "cannot open tcp://127.0.0.1:0?v6only=1: \
                    option v6only applies to IPv6 addresses, and this one is IPv4";
    assert_error(
        &bind_error("tcp://127.0.0.1:0?v6only=1"),
        Stage::Socket,
        None,
        sentence,
    );
}

#[test]
fn a_refused_connection_is_told() {
    child::run(Surroundings::Alone, || {
        for host in crate::support::LOOPBACKS {
            let url = listen(&format!("tcp://{host}:0")).url().to_string();
            let sentence = format!("cannot connect to {url}: connection refused (ECONNREFUSED)");
            let error = connect_error(&url);
            assert_error(&error, Stage::Connect, Some(libc::ECONNREFUSED), &sentence);
            assert!(!error.is_timeout());
        }
    });
}

#[test]
fn every_address_of_a_name_is_told_with_its_reason() {
    child::run(Surroundings::OwnNetwork, || {
        own_file(
            "/etc/hosts",
            "::1 many\n127.0.0.1 many\n127.0.0.2 many\n192.0.2.1 far\n",
        );
        let refused = "connection refused (ECONNREFUSED)";
        let sentence = format!(
            "cannot connect to tcp://many:7: \
             [::1]:7: {refused}; 127.0.0.1:7: {refused}; 127.0.0.2:7: {refused}"
        );
        let error = connect_error("tcp://many:7");
        assert_error(&error, Stage::Connect, Some(libc::ECONNREFUSED), &sentence);

        // An own network has no way out.
        let sentence = "cannot connect to tcp://far:7: \
                        192.0.2.1:7: network is unreachable (ENETUNREACH)";
        let error = connect_error("tcp://far:7");
        assert_error(&error, Stage::Connect, Some(libc::ENETUNREACH), sentence);
    });
}

#[test]
fn a_peer_that_never_answers_times_out() {
    let full = FullBacklog::new();
    let url = format!("tcp://{}?connect_timeout=150ms", full.address());
    let start = Instant::now();
    let error = connect_error(&url);
    assert!(start.elapsed() >= Duration::from_millis(150));
    let sentence = format!("cannot connect to {url}: connect timed out after 150ms (ETIMEDOUT)");
    assert_error(&error, Stage::Connect, Some(libc::ETIMEDOUT), &sentence);
    assert_eq!(
        (error.limit(), error.is_timeout()),
        (Some(Limit::Connect), true)
    );
    assert_eq!(error.io_kind(), std::io::ErrorKind::TimedOut);
}

/// A listener whose one place is taken: the kernel drops whatever else asks for a connection.
pub(crate) struct FullBacklog {
    listener: Listener,
    _first: Stream,
}

impl FullBacklog {
    pub(crate) fn new() -> Self {
        Self::at("127.0.0.1:0")
    }

    pub(crate) fn at(address: &str) -> Self {
        let listener = listen(&format!("tcp://{address}?backlog=0"));
        let first = crate::support::connect(listener.url());
        Self {
            listener,
            _first: first,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.listener.local_addr().to_string()
    }
}

#[test]
fn names_that_cannot_be_resolved_are_told() {
    child::run(Surroundings::OwnNetwork, || {
        own_file("/etc/hosts", "127.0.0.1 localhost\n");
        own_file("/etc/nsswitch.conf", "hosts: files\nservices: files\n");
        let sentence = "cannot resolve tcp://nowhere:1: the name nowhere is not known";
        for open in [bind_error, connect_error] {
            let error = open("tcp://nowhere:1");
            assert_error(&error, Stage::Resolve, None, sentence);
            assert_eq!(error.io_kind(), std::io::ErrorKind::NotFound);
        }
        let sentence = "cannot resolve tcp://localhost:no-such: there is no service \"no-such\"";
        assert_error(
            &bind_error("tcp://localhost:no-such"),
            Stage::Resolve,
            None,
            sentence,
        );
        let sentence =
            "cannot resolve tcp://[fe80::1%no9]:1: there is no network interface \"no9\"";
        assert_error(
            &bind_error("tcp://[fe80::1%no9]:1"),
            Stage::Resolve,
            None,
            sentence,
        );
    });
}

#[test]
fn a_silent_name_server_is_waited_for_no_longer_than_connecting() {
    child::run(Surroundings::OwnNetwork, || {
        own_file("/etc/nsswitch.conf", "hosts: dns\n");
        own_file(
            "/etc/resolv.conf",
            "nameserver 127.0.0.1\noptions timeout:30 attempts:1\n",
        );
        let server = UdpSocket::bind("127.0.0.1:53").unwrap();
        let url = "tcp://slow.example:1?connect_timeout=100ms";
        let start = Instant::now();
        let error = connect_error(url);
        assert!(start.elapsed() >= Duration::from_millis(100));
        assert!(start.elapsed() < Duration::from_secs(10));
        let sentence = format!("cannot resolve {url}: connect timed out after 100ms (ETIMEDOUT)");
        assert_error(&error, Stage::Resolve, Some(libc::ETIMEDOUT), &sentence);
        assert_eq!(error.limit(), Some(Limit::Connect));
        // It had been asked.
        assert!(server.recv(&mut [0; 512]).unwrap() > 0);
    });
}

#[test]
fn a_name_server_that_is_not_there_is_told() {
    child::run(Surroundings::OwnNetwork, || {
        own_file("/etc/nsswitch.conf", "hosts: dns\n");
        own_file(
            "/etc/resolv.conf",
            "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        );
        let sentence = "cannot resolve tcp://a.example:1: no name server answered for a.example";
        assert_error(
            &bind_error("tcp://a.example:1"),
            Stage::Resolve,
            None,
            sentence,
        );
    });
}

#[test]
fn an_unlistening_or_absent_socket_cannot_be_adopted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let sentence = "cannot open an inherited descriptor: it listens: take it as a Listener";
    let error = Stream::try_from(std::os::fd::OwnedFd::from(listener)).unwrap_err();
    assert_error(&error, Stage::Socket, None, sentence);
}

#[test]
fn an_error_tells_a_program_what_it_tells_people() {
    let receiver = receive_on("udp://127.0.0.1:0");
    let mut stream = crate::support::connect(receiver.url());
    let error = stream.write(&vec![0; 70_000]).unwrap_err();
    let ours = Error::in_io(&error).unwrap();
    assert_eq!(ours.url(), receiver.url().to_string());
    assert_eq!(ours.reason(), "message too long (EMSGSIZE)");
    assert_eq!(error.to_string(), ours.to_string());
    assert!(format!("{ours:?}").contains("errno: Some(90)"));
}
