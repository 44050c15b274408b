//! udg, with peers that are not ours: named ones are answered, unnamed ones are known to be so.

use std::io::{Read, Write};

use stream_socket::{ConnectOptions, SocketAddress, Stream, Transport};

use crate::support::peer::Peer;
use crate::support::{connect, line_of, path_url, receive_on};

/// Sends a datagram from a name of its own, and prints what it is answered.
const PYTHON_CLIENT: &str = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[2])
s.connect(sys.argv[1])
s.send(b"a question\n")
sys.stdout.buffer.write(s.recv(65536))
"#;

/// Sends one datagram back to where it came from.
const PYTHON_SERVER: &str = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", file=sys.stderr, flush=True)
s.sendto(*s.recvfrom(65536))
"#;

#[test]
fn named_clients_are_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let server = path("server");
    let socket = receive_on(&format!("udg://{server}"));
    let ends = |name: &str| format!("UNIX-SENDTO:{server},bind={}", path(name));
    for (program, name, arguments) in [
        (
            "python3",
            "python",
            vec![
                "-c".to_owned(),
                PYTHON_CLIENT.into(),
                server.clone(),
                path("python"),
            ],
        ),
        ("socat", "socat", vec!["-".to_owned(), ends("socat")]),
        (
            "nc.openbsd",
            "nc",
            vec!["-uUs".to_owned(), path("nc"), server.clone()],
        ),
    ] {
        let mut client = Peer::start(program, &arguments);
        // Python speaks by itself.
        if program != "python3" {
            client.tell(b"a question\n");
        }
        let mut buffer = [0; 64];
        let received = socket.recv_from(&mut buffer).unwrap();
        assert_eq!(&buffer[..received.length], b"a question\n", "{program}");
        let peer = received.peer.unwrap();
        assert_eq!(peer.to_string(), path(name), "{program}");
        assert_eq!(received.local, None);
        socket.send_to(b"an answer\n", &peer, None).unwrap();
        assert_eq!(client.line(), "an answer", "{program}");
    }
}

#[test]
fn an_unnamed_client_has_no_address() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let path = path.to_str().unwrap();
    let socket = receive_on(&format!("udg://{path}"));
    let script = "fwrite(stream_socket_client('udg://' . $argv[1]), 'from php');";
    let python = r#"
import socket, sys
socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(b"from python", sys.argv[1])
"#;
    for client in [Peer::php(script, &[path]), Peer::python(python, &[path])] {
        client.finish();
        let received = socket.recv_from(&mut [0; 64]).unwrap();
        assert_eq!(received.peer, None);
    }
}

#[test]
fn servers_answer_a_client_of_ours_since_it_has_a_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let server = Peer::python(PYTHON_SERVER, &[path.to_str().unwrap()]);
    server.error_line_with("bound");
    let mut stream = connect(&path_url(Transport::Udg, &path));
    stream.write_all(b"a question").unwrap();
    let mut buffer = [0; 64];
    let length = stream.read(&mut buffer).unwrap();
    assert_eq!(&buffer[..length], b"a question");
    let name = stream.local_addr().unwrap();
    let Some(SocketAddress::Unix(name)) = name else {
        panic!("{name:?} is no unix address");
    };
    assert_eq!(name.as_abstract().map(<[u8]>::len), Some(5));
    server.finish();
}

#[test]
fn php_and_openbsd_receive_what_we_send() {
    let script = r#"
$s = stream_socket_server('udg://' . $argv[1], $errno, $errstr, STREAM_SERVER_BIND);
fwrite(STDERR, "bound\n");
echo stream_socket_recvfrom($s, 100), "\n";
"#;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let text = |name: &str| path(name).to_str().unwrap().to_owned();
    for (name, server, ready) in [
        ("php", Peer::php(script, &[&text("php")]), "bound"),
        (
            "nc",
            Peer::start("nc.openbsd", &["-lvuU", &text("nc")]),
            "Bound on",
        ),
    ] {
        server.error_line_with(ready);
        let mut stream = connect(&path_url(Transport::Udg, path(name)));
        stream.write_all(b"a datagram\n").unwrap();
        assert_eq!(server.line(), "a datagram", "{name}");
    }
}

#[test]
fn abstract_names_and_names_of_ones_own_choice() {
    let name = format!("stream-socket-udg-{}", std::process::id());
    let socket = receive_on(&format!("udg://@{name}"));
    let mut options = ConnectOptions::default();
    options.bind = Some(format!("@{name}-client"));
    let mut stream = Stream::connect(socket.url(), &options).unwrap();
    stream.write_all(b"x").unwrap();
    let peer = socket.recv_from(&mut [0; 2]).unwrap().peer.unwrap();
    assert_eq!(peer.to_string(), format!("@{name}-client"));
    socket.send_to(b"a line\nand more", &peer, None).unwrap();
    assert_eq!(line_of(&mut stream).unwrap(), b"a line\n");
    assert_eq!(line_of(&mut stream).unwrap(), b"and more");
}
