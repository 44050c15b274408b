//! tcp, with peers that are not ours: as clients of a listener and as servers to connect to.

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::thread;
use std::time::Duration;

use stream_socket::{
    ConnectOptions, Error, ListenOptions, Listener, SocketAddress, SocketUrl, Stage, Stream,
    Transport,
};

use crate::support::child::{self, Surroundings};
use crate::support::dialogue::{converse, echo_much, serve};
use crate::support::peer::{Peer, address_in, own_address, words};
use crate::support::{
    LOOPBACKS, PATIENCE, accept, assert_error, both_ends, connect, line_of, listen, own_file, pair,
    rest_of, tcp_pair, until,
};

/// Connects, sends its input, ends that direction, prints what it is answered.
const PYTHON_CLIENT: &str = r#"
import socket, sys
s = socket.create_connection((sys.argv[1], int(sys.argv[2])))
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
while data := s.recv(65536): sys.stdout.buffer.write(data)
"#;

/// The same; the target is `tcp://host:port`.
const PHP_CLIENT: &str = r#"
$s = stream_socket_client($argv[1], $errno, $errstr, 10) or exit($errstr);
fwrite($s, stream_get_contents(STDIN));
stream_socket_shutdown($s, STREAM_SHUT_WR);
echo stream_get_contents($s);
"#;

/// Says where it listens, and sends one client back what it sends.
const PYTHON_SERVER: &str = r#"
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
l = socket.create_server((sys.argv[1], 0), family=family)
print("on", l.getsockname()[1], file=sys.stderr, flush=True)
c, _ = l.accept()
while data := c.recv(65536): c.sendall(data)
"#;

/// The same; the target is `tcp://host:0`.
const PHP_SERVER: &str = r#"
$l = stream_socket_server($argv[1], $errno, $errstr) or exit($errstr);
fwrite(STDERR, 'on ' . stream_socket_get_name($l, false) . "\n");
$c = stream_socket_accept($l, 10);
while (($data = fread($c, 8192)) != '') { fwrite($c, $data); }
"#;

type Clients = [(&'static str, fn(&Host) -> Vec<String>)];

/// A host to connect to, in the forms that programs want.
struct Host {
    /// With brackets where it is an IPv6 address.
    target: String,
    bare: String,
    port: String,
}

const CLIENTS: &Clients = &[
    ("socat", |h| {
        words(["-t10", "-", &format!("TCP:{}", h.target)])
    }),
    ("ncat", |h| words([&h.bare, &h.port])),
    ("nc.openbsd", |h| words(["-N", &h.bare, &h.port])),
    ("python3", |h| {
        words(["-c", PYTHON_CLIENT, &h.bare, &h.port])
    }),
    ("php", |h| {
        words(["-n", "-r", PHP_CLIENT, "--", &format!("tcp://{}", h.target)])
    }),
];

fn host(url: &SocketUrl) -> Host {
    let target = url.to_string().split_off("tcp://".len());
    let (bare, port) = target.rsplit_once(':').unwrap();
    Host {
        bare: bare.trim_matches(['[', ']']).to_owned(),
        port: port.to_owned(),
        target,
    }
}

#[test]
fn clients_of_every_make_are_served() {
    for loopback in LOOPBACKS {
        let listener = listen(&format!("tcp://{loopback}:0"));
        for (program, arguments) in CLIENTS {
            println!("{program} to {listener}");
            let client = Peer::start(program, &arguments(&host(listener.url())));
            let served = serve(&listener, client);
            let peer = served.peer_addr().and_then(SocketAddress::ip).unwrap();
            assert_eq!(Some(peer), listener.local_addr().ip(), "{program}");
        }
    }
}

#[test]
fn curl_talks_over_telnet_and_http() {
    let listener = listen("tcp://127.0.0.1:0");
    let Host { target, .. } = host(listener.url());

    let mut client = Peer::start("curl", &["-sN", &format!("telnet://{target}")]);
    client.tell(b"hello\n");
    let mut served = accept(&listener);
    assert_eq!(line_of(&mut served).unwrap(), b"hello\n");
    served.write_all(b"the time\n").unwrap();
    assert_eq!(client.line(), "the time");
    drop((served, client));

    let client = Peer::start("curl", &["-s", &format!("http://{target}/")]);
    let mut served = accept(&listener);
    while line_of(&mut served).unwrap() != b"\r\n" {}
    served.write_all(b"HTTP/1.0 200 OK\r\n\r\nbody").unwrap();
    served.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.finish(), b"body");
}

#[test]
fn servers_of_every_make_are_talked_to() {
    for (name, peer, address) in servers() {
        println!("{name} on {address}");
        let url = SocketUrl::from_address(Transport::Tcp, &address.into()).unwrap();
        let stream = converse(connect(&url));
        assert_eq!(stream.peer_addr(), Some(&address.into()), "{name}");
        drop(stream);
        peer.finish();
    }
}

/// Echo servers for one client each, and where they listen.
fn servers() -> Vec<(&'static str, Peer, SocketAddr)> {
    let mut servers = Vec::new();
    for (option, host) in [("TCP-LISTEN", "127.0.0.1"), ("TCP6-LISTEN", "[::1]")] {
        let address = format!("{option}:0,bind={host}");
        let peer = Peer::start("socat", &["-d", "-d", "-t10", &address, "PIPE"]);
        let line = peer.error_line_with("listening on");
        servers.push(("socat", peer, at(host, &line)));
    }
    for host in LOOPBACKS {
        let bare = host.trim_matches(['[', ']']);
        let peer = Peer::python(PYTHON_SERVER, &[bare]);
        let port = peer.error_line_with("on ");
        servers.push(("python3", peer, at(host, &port)));
        let peer = Peer::php(PHP_SERVER, &[&format!("tcp://{host}:0")]);
        let line = peer.error_line_with("on ");
        servers.push(("php", peer, at(host, &line)));
    }
    let address = own_address();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let peer = Peer::start("ncat", &["-lv", &ip, &port, "-e", "/bin/cat"]);
    peer.error_line_with("Listening on");
    servers.push(("ncat", peer, address));
    servers
}

/// The host, with the port at the end of a program's line.
fn at(host: &str, line: &str) -> SocketAddr {
    let port = line.rsplit([' ', ':']).next().unwrap();
    format!("{host}:{port}").parse().unwrap()
}

#[test]
fn an_openbsd_server_gets_our_bytes_and_we_get_its() {
    let address = own_address();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let mut server = Peer::start("nc.openbsd", &["-lvN", &ip, &port]);
    assert_eq!(
        server.error_line_with("Listening"),
        format!("Listening on {ip} {port}")
    );
    let mut stream = connect(&format!("tcp://{address}").parse().unwrap());
    server.tell(b"from the server\n");
    server.end_input();
    assert_eq!(rest_of(&mut stream), b"from the server\n");
    // Its direction is over and ours is not.
    stream.write_all(b"from the client\n").unwrap();
    drop(stream);
    assert_eq!(server.finish(), b"from the client\n");
}

#[test]
fn a_large_transfer_arrives_as_it_was_sent() {
    let server = Peer::start(
        "socat",
        &[
            "-d",
            "-d",
            "-t10",
            "TCP-LISTEN:0,bind=127.0.0.1",
            "EXEC:cat",
        ],
    );
    let address = address_in(&server.error_line_with("listening on"));
    echo_much(connect(&format!("tcp://{address}").parse().unwrap()));
    server.finish();
}

#[test]
fn each_direction_ends_by_itself() {
    for first in ["client", "served"] {
        let (client, served) = tcp_pair();
        let (mut one, mut other) = match first {
            "client" => (client, served),
            _ => (served, client),
        };
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest_of(&mut other), b"", "{first}");
        assert!(other.is_eof().unwrap(), "{first}");
        other.write_all(b"still").unwrap();
        other.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest_of(&mut one), b"still", "{first}");
    }
}

#[test]
fn what_is_written_last_comes_before_the_end() {
    for (mut here, mut there) in [tcp_pair(), pair(Transport::Unix)] {
        let reader = thread::spawn(move || rest_of(&mut there));
        let text = b"the last words\n".repeat(100_000);
        let mut sent = 0;
        while sent < text.len() {
            sent += here.write_last(&text[sent..]).unwrap();
        }
        assert_eq!(here.bytes_sent(), text.len() as u64);
        here.shutdown(Shutdown::Write).unwrap();
        drop(here);
        assert!(reader.join().unwrap() == text);
    }
    let (mut here, mut there) = pair(Transport::Udg);
    assert_eq!(here.write_last(b"whole").unwrap(), 5);
    assert_eq!(there.read(&mut [0; 64]).unwrap(), 5);
}

#[test]
fn a_name_is_bound_on_every_address_with_one_port() {
    let listeners = Listener::bind_all("tcp://localhost:0", &ListenOptions::default()).unwrap();
    let port = listeners[0].local_addr().port().unwrap();
    assert_ne!(port, 0);
    for listener in &listeners {
        assert_eq!(listener.local_addr().port(), Some(port));
        let (client, served) = both_ends(listener);
        assert_eq!(client.local_addr().unwrap().as_ref(), served.peer_addr());
    }
    let by_name = connect(&format!("tcp://localhost:{port}").parse().unwrap());
    assert!(
        by_name
            .peer_addr()
            .and_then(SocketAddress::ip)
            .unwrap()
            .is_loopback()
    );
}

/// As root of an own network, where port 13 is free and /etc/hosts ours.
#[test]
fn names_and_services_are_looked_up_for_both_families() {
    child::run(Surroundings::OwnNetwork, || {
        own_file("/etc/hosts", "::1 both\n127.0.0.1 both\n127.0.0.7 seven\n");
        let both = Listener::bind_all("tcp://both:daytime", &ListenOptions::default()).unwrap();
        let addresses: Vec<_> = both.iter().map(|l| l.local_addr().to_string()).collect();
        assert_eq!(addresses, ["[::1]:13", "127.0.0.1:13"]);
        let seven = listen("tcp://seven:0");
        assert_eq!(seven.local_addr().ip(), Some(IpAddr::from([127, 0, 0, 7])));
    });
}

#[test]
fn a_reset_is_an_error_and_no_end() {
    let script = r#"
import socket, struct, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
s.recv(1)
s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"#;
    let listener = listen("tcp://127.0.0.1:0");
    let port = listener.local_addr().port().unwrap().to_string();
    for way in ["read", "is_eof", "write"] {
        let client = Peer::python(script, &[&port]);
        let mut served = accept(&listener);
        served.write_all(b"x").unwrap();
        client.finish();
        let error = match way {
            "read" => served.read(&mut [0; 8]).unwrap_err(),
            "is_eof" => served.is_eof().unwrap_err().into(),
            _ => served.write(b"y").unwrap_err(),
        };
        let verb = if way == "write" {
            "write to"
        } else {
            "read from"
        };
        let ours = Error::in_io(&error).unwrap();
        let sentence = format!("cannot {verb} {served}: connection reset by peer (ECONNRESET)");
        assert_error(
            ours,
            stream_socket::Stage::Io,
            Some(libc::ECONNRESET),
            &sentence,
        );
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{way}");
    }
}

#[test]
fn a_stream_tells_its_ends_and_its_counts() {
    let (mut client, mut served) = tcp_pair();
    assert_eq!(client.local_addr().unwrap().as_ref(), served.peer_addr());
    assert_eq!(served.local_addr().unwrap().as_ref(), client.peer_addr());
    assert_eq!(client.transport(), Transport::Tcp);
    let peer = served.peer_addr().unwrap();
    assert_eq!(served.to_string(), format!("tcp://{peer}"));
    client.write_all(b"12345").unwrap();
    assert_eq!(served.read(&mut [0; 2]).unwrap(), 2);
    assert_eq!((client.bytes_sent(), served.bytes_received()), (5, 2));
}

#[test]
fn a_peers_address_is_known_after_it_is_gone() {
    let (client, served) = tcp_pair();
    let address = client.local_addr().unwrap();
    drop(client);
    assert_eq!(served.peer_addr(), address.as_ref());
}

#[test]
fn a_peers_address_is_not_asked_for_by_who_does_not_want_it() {
    let limited = "tcp://127.0.0.1:0?max_connections_per_ip=9";
    for (url, is_named) in [("tcp://127.0.0.1:0", false), (limited, true)] {
        let listener = listen(url);
        let mut client = connect(listener.url());
        let mut served = listener.accept_unnamed(Some(PATIENCE)).unwrap();
        assert_eq!(served.peer_addr().is_some(), is_named, "{url}");
        served.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0; 9]).unwrap(), 1, "{url}");
    }
    let listener = listen("tcp://127.0.0.1:0");
    let error = listener.accept_unnamed(Some(Duration::ZERO)).unwrap_err();
    assert!(error.is_timeout(), "{error}");
}

#[test]
fn a_bound_listener_listens_when_told() {
    let mut options = ListenOptions::default();
    options.bind_only = true;
    let listener = Listener::bind("tcp://127.0.0.1:0", &options).unwrap();
    let refused = Stream::connect(listener.url(), &ConnectOptions::default()).unwrap_err();
    assert_eq!(refused.errno(), Some(libc::ECONNREFUSED));
    listener.listen().unwrap();
    both_ends(&listener);
}

#[test]
fn a_listener_can_be_opened_again_at_once() {
    child::run(Surroundings::Alone, || {
        let first = listen("tcp://127.0.0.1:0");
        let (client, served) = both_ends(&first);
        let url = first.url().clone();
        // The served side closes first, and keeps the port in TIME_WAIT.
        drop((served, first));
        drop(client);
        let again = Listener::bind(&url, &ListenOptions::default()).unwrap();
        assert_eq!(again.url(), &url);
    });
}

#[test]
fn connections_given_up_before_accept_do_no_harm() {
    let listener = listen("tcp://127.0.0.1:0?linger=0s");
    drop(Stream::connect(
        &*format!("{}?linger=0s", listener.url()),
        &ConnectOptions::default(),
    ));
    let _second = connect(listener.url());
    let mut first = accept(&listener);
    until("the reset of the first is seen", || first.is_eof().is_err());
    accept(&listener);
}

#[test]
fn limits_change_while_it_listens() {
    let of_number = |count| {
        let mut options = ListenOptions::default();
        options.max_connections = count;
        options
    };
    let listener = listen("tcp://127.0.0.1:0?max_connections=1");
    let clients = [connect(listener.url()), connect(listener.url())];
    let first = accept(&listener);
    assert!(!listener.has_room());
    listener.set_limits(&of_number(Some(2))).unwrap();
    let second = accept(&listener);
    assert!(!listener.has_room());
    // Who is there stays, and counts.
    listener.set_limits(&of_number(Some(1))).unwrap();
    drop(first);
    assert!(!listener.has_room());
    drop((second, clients));
    assert!(listener.has_room());
    listener.set_limits(&of_number(None)).unwrap();
    let error = listener.set_limits(&of_number(Some(0))).unwrap_err();
    assert_eq!(error.stage(), Stage::Parse, "{error}");

    let unlimited = listen("tcp://127.0.0.1:0");
    unlimited.set_limits(&of_number(None)).unwrap();
    let error = unlimited.set_limits(&of_number(Some(1))).unwrap_err();
    let why = "its connections are not counted, since it was bound without a limit";
    let sentence = format!("cannot listen on {}: {why}", unlimited.url());
    assert_eq!(error.to_string(), sentence);
}
