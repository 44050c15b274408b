//! udp, with peers that are not ours: asked by them and asking them.

use std::io::{Read, Write};
use std::net::SocketAddr;

use stream_socket::{DatagramSocket, SocketUrl, Transport};

use crate::support::peer::{Peer, address_in, own_address, words};
use crate::support::{LOOPBACKS, connect, receive_on};

/// Sends a line of its input as one datagram and prints what it is answered.
const PYTHON_CLIENT: &str = r#"
import socket, sys
host, port = sys.argv[1], int(sys.argv[2])
s = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
s.connect((host, port))
s.send(sys.stdin.buffer.readline())
sys.stdout.buffer.write(s.recv(65536))
"#;

const PHP_CLIENT: &str = r#"
$s = stream_socket_client($argv[1], $errno, $errstr, 10) or exit($errstr);
fwrite($s, fgets(STDIN));
echo fread($s, 8192);
"#;

/// Says where it is bound, and sends one datagram back to where it came from.
const PYTHON_SERVER: &str = r#"
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], 0))
print("on", s.getsockname()[1], file=sys.stderr, flush=True)
s.sendto(*s.recvfrom(65536))
"#;

const PHP_SERVER: &str = r#"
$s = stream_socket_server($argv[1], $errno, $errstr, STREAM_SERVER_BIND) or exit($errstr);
fwrite(STDERR, 'on ' . stream_socket_get_name($s, false) . "\n");
$data = stream_socket_recvfrom($s, 65536, 0, $peer);
stream_socket_sendto($s, $data, 0, $peer);
"#;

/// A program and how it is told where to send to: the target in a URL, the bare host, the port.
type Clients = [(&'static str, fn(&str, &str, &str) -> Vec<String>)];

const CLIENTS: &Clients = &[
    ("socat", |target, _, _| {
        words(["-", &format!("UDP:{target}")])
    }),
    ("ncat", |_, host, port| words(["-u", host, port])),
    ("nc.openbsd", |_, host, port| words(["-u", host, port])),
    ("python3", |_, host, port| {
        words(["-c", PYTHON_CLIENT, host, port])
    }),
    ("php", |target, _, _| {
        words(["-n", "-r", PHP_CLIENT, "--", &format!("udp://{target}")])
    }),
];

#[test]
fn clients_of_every_make_are_answered() {
    for loopback in LOOPBACKS {
        let socket = receive_on(&format!("udp://{loopback}:0"));
        let target = socket.local_addr().to_string();
        let (host, port) = target.rsplit_once(':').unwrap();
        for (program, arguments) in CLIENTS {
            println!("{program} to {socket}");
            let arguments = arguments(&target, host.trim_matches(['[', ']']), port);
            let mut client = Peer::start(program, &arguments);
            client.tell(b"a question\n");
            answer(&socket, b"a question\n", b"an answer\n");
            assert_eq!(client.line(), "an answer", "{program}");
        }
    }
}

fn answer(socket: &DatagramSocket, question: &[u8], answer: &[u8]) {
    let mut buffer = [0; 2048];
    let received = socket.recv_from(&mut buffer).unwrap();
    assert_eq!(&buffer[..received.length], question);
    let peer = received.peer.unwrap();
    assert!(peer.ip().unwrap().is_loopback());
    socket.send_to(answer, &peer, received.local).unwrap();
}

#[test]
fn servers_of_every_make_answer() {
    for (name, _peer, address) in servers() {
        println!("{name} on {address}");
        let url = SocketUrl::from_address(Transport::Udp, &address.into()).unwrap();
        let mut stream = connect(&url);
        stream.write_all(b"a question\n").unwrap();
        let mut buffer = [0; 64];
        let length = stream.read(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"a question\n", "{name}");
        assert_eq!(stream.to_string(), url.to_string());
    }
}

/// Servers that send back what they receive, and where they are bound.
fn servers() -> Vec<(&'static str, Peer, SocketAddr)> {
    let mut servers = Vec::new();
    for (option, host) in [("UDP-LISTEN", "127.0.0.1"), ("UDP6-LISTEN", "[::1]")] {
        let address = format!("{option}:0,bind={host}");
        let peer = Peer::start("socat", &["-d", "-d", &address, "PIPE"]);
        let line = peer.error_line_with("listening on");
        servers.push(("socat", peer, at(host, &line)));
    }
    for host in LOOPBACKS {
        let peer = Peer::python(PYTHON_SERVER, &[host.trim_matches(['[', ']'])]);
        let line = peer.error_line_with("on ");
        servers.push(("python3", peer, at(host, &line)));
        let peer = Peer::php(PHP_SERVER, &[&format!("udp://{host}:0")]);
        let line = peer.error_line_with("on ");
        servers.push(("php", peer, at(host, &line)));
    }
    let address = own_address();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let peer = Peer::start("ncat", &["-luv", &ip, &port, "-e", "/bin/cat"]);
    peer.error_line_with("Listening on");
    servers.push(("ncat", peer, address));
    servers
}

/// The host, with the port at the end of a program's line.
fn at(host: &str, line: &str) -> SocketAddr {
    let port = line.rsplit([' ', ':']).next().unwrap();
    address_in(&format!("{host}:{port}"))
}

#[test]
fn an_openbsd_server_gets_our_datagram_and_we_get_its() {
    let address = own_address();
    let (ip, port) = (address.ip().to_string(), address.port().to_string());
    let mut server = Peer::start("nc.openbsd", &["-luv", &ip, &port]);
    server.error_line_with("Bound on");
    let mut stream = connect(&format!("udp://{address}").parse().unwrap());
    stream.write_all(b"from the client\n").unwrap();
    assert_eq!(server.line(), "from the client");
    server.tell(b"from the server\n");
    let mut buffer = [0; 64];
    let length = stream.read(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"from the server\n");
}

#[test]
fn a_name_reaches_the_address_that_is_bound() {
    let socket = receive_on("udp://localhost:0");
    let port = socket.local_addr().port().unwrap();
    let mut stream = connect(&format!("udp://localhost:{port}").parse().unwrap());
    stream.write_all(b"x").unwrap();
    answer(&socket, b"x", b"y");
    assert_eq!(stream.read(&mut [0; 2]).unwrap(), 1);
}
