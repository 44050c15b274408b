//! unix, with peers that are not ours: paths and abstract names of any bytes, both directions.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use stream_socket::{
    ConnectOptions, ListenOptions, Listener, SocketAddress, SocketUrl, Stage, Stream, Target,
    Transport, UnixAddress,
};

use crate::support::dialogue::{converse, echo_much, serve};
use crate::support::peer::Peer;
use crate::support::{
    accept, assert_error, both_ends, connect, line_of, listen, pair, path_url, rest_of,
};

/// Connects to a name given in hexadecimal (a NUL first: an abstract one), sends its input, ends
/// that direction, prints what it is answered.
const PYTHON_CLIENT: &str = r#"
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(bytes.fromhex(sys.argv[1]))
s.sendall(sys.stdin.buffer.read())
s.shutdown(socket.SHUT_WR)
while data := s.recv(65536): sys.stdout.buffer.write(data)
"#;

const PHP_CLIENT: &str = r#"
$s = stream_socket_client('unix://' . hex2bin($argv[1]), $errno, $errstr, 10) or exit($errstr);
fwrite($s, stream_get_contents(STDIN));
stream_socket_shutdown($s, STREAM_SHUT_WR);
echo stream_get_contents($s);
"#;

/// Binds a name given in hexadecimal, says that it listens, sends one client back what it sends.
const PYTHON_SERVER: &str = r#"
import socket, sys
l = socket.socket(socket.AF_UNIX)
l.bind(bytes.fromhex(sys.argv[1]))
l.listen()
print("listening", file=sys.stderr, flush=True)
c, _ = l.accept()
while data := c.recv(65536): c.sendall(data)
"#;

const PHP_SERVER: &str = r#"
$l = stream_socket_server('unix://' . hex2bin($argv[1]), $errno, $errstr) or exit($errstr);
fwrite(STDERR, "listening\n");
$c = stream_socket_accept($l, 10);
while (($data = fread($c, 8192)) != '') { fwrite($c, $data); }
"#;

/// How a program is told to connect to, or to listen on, a kernel's name: abstract after a NUL.
type Programs = [(&'static str, fn(&[u8]) -> Vec<OsString>)];

/// The programs that take a name of any bytes.
const CLIENTS: &Programs = &[
    ("python3", |name| script("-c", PYTHON_CLIENT, name)),
    ("php", |name| script("-r", PHP_CLIENT, name)),
];

const SERVERS: &Programs = &[
    ("python3", |name| script("-c", PYTHON_SERVER, name)),
    ("php", |name| script("-r", PHP_SERVER, name)),
];

/// Those that take a path as their argument.
const PATH_CLIENTS: &Programs = &[
    ("socat", |name| {
        vec!["-t10".into(), "-".into(), joined(b"UNIX-CONNECT:", name)]
    }),
    ("ncat", |name| vec!["-U".into(), joined(b"", name)]),
    ("nc.openbsd", |name| vec!["-NU".into(), joined(b"", name)]),
];

const PATH_SERVERS: &Programs = &[
    ("socat", |name| {
        let mut arguments: Vec<OsString> = ["-d", "-d", "-t10"].map(OsString::from).to_vec();
        arguments.extend([joined(b"UNIX-LISTEN:", name), "PIPE".into()]);
        arguments
    }),
    ("ncat", |name| {
        let mut arguments = vec!["-lvU".into(), joined(b"", name)];
        arguments.extend(["-e", "/bin/cat"].map(OsString::from));
        arguments
    }),
];

fn joined(before: &[u8], name: &[u8]) -> OsString {
    OsString::from_vec([before, name].concat())
}

fn script(flag: &str, script: &str, name: &[u8]) -> Vec<OsString> {
    let hex: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
    let separator: &[&str] = if flag == "-r" { &["--"] } else { &[] };
    let arguments = [&[flag, script], separator, &[&hex]].concat();
    arguments.into_iter().map(OsString::from).collect()
}

/// Names that are easily mistaken on their way through a URL, in a folder of their own.
fn odd_paths(folder: &Path) -> Vec<PathBuf> {
    let names: [&[u8]; 6] = [
        b"plain.sock",
        b"a b?c=d&e#f%41%",
        b"\xff\xfe not UTF-8",
        "über\u{202e}".as_bytes(),
        b"line\nfeed\x1b[2J",
        b"@at",
    ];
    names
        .map(|name| folder.join(OsStr::from_bytes(name)))
        .to_vec()
}

/// As odd, for the abstract namespace, where no two tests may take the same.
fn odd_abstract_names() -> [Vec<u8>; 3] {
    let mark = format!("stream-socket-test-{}", std::process::id());
    [
        mark.clone().into_bytes(),
        [mark.as_bytes(), b"\0with\0nul\xff?"].concat(),
        [mark.as_bytes(), &[b'n'; 107]].concat()[..107].to_vec(),
    ]
}

fn abstract_url(name: &[u8]) -> SocketUrl {
    let address = UnixAddress::from_abstract(name).unwrap();
    SocketUrl::new(Transport::Unix, Target::Unix(address)).unwrap()
}

/// The name as the kernel has it.
fn in_kernel(url: &SocketUrl) -> Vec<u8> {
    let Target::Unix(address) = url.target() else {
        panic!("{url} has no name");
    };
    match (address.as_path(), address.as_abstract()) {
        (Some(path), _) => path.as_os_str().as_bytes().to_vec(),
        (None, name) => [b"\0", name.unwrap()].concat(),
    }
}

#[test]
fn clients_of_every_make_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let paths = odd_paths(folder.path());
    let abstract_names = odd_abstract_names();
    let plain = [path_url(Transport::Unix, folder.path().join("path.sock"))];
    let every = paths.iter().map(|path| path_url(Transport::Unix, path));
    let every: Vec<_> = every
        .chain(abstract_names.iter().map(|n| abstract_url(n)))
        .collect();
    for (programs, urls) in [(CLIENTS, &every[..]), (PATH_CLIENTS, &plain)] {
        for url in urls {
            let listener = listen(&url.to_string());
            assert_eq!(listener.url(), url);
            for (program, arguments) in programs {
                println!("{program} to {url}");
                let client = Peer::start(program, &arguments(&in_kernel(url)));
                let served = serve(&listener, client);
                assert_eq!(served.peer_addr(), None, "{program} has no name");
                assert_eq!(served.to_string(), format!("a client of {url}"));
            }
        }
    }
    assert_eq!(
        fs::read_dir(folder.path()).unwrap().count(),
        0,
        "no file is left"
    );
}

#[test]
fn servers_of_every_make_are_talked_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| path_url(Transport::Unix, folder.path().join(name));
    let [plain, odd, longest] = odd_abstract_names().map(|mut name| {
        // Not those of the test above: both may run at once.
        name[0] = b'S';
        abstract_url(&name)
    });
    for (programs, urls) in [
        (SERVERS, vec![path("a b?c=d&e#f%41%"), plain, odd, longest]),
        (PATH_SERVERS, vec![path("path.sock")]),
    ] {
        for url in &urls {
            for (program, arguments) in programs {
                println!("{program} on {url}");
                let server = Peer::start(program, &arguments(&in_kernel(url)));
                server.error_line_with("istening");
                drop(converse(connect(url)));
                server.finish();
                if let Target::Unix(address) = url.target() {
                    // PHP and python leave the file where it is.
                    address.as_path().map(fs::remove_file);
                }
            }
        }
    }
}

#[test]
fn socat_and_curl_reach_abstract_names_and_http() {
    let name = format!("stream-socket-http-{}", std::process::id());
    let listener = listen(&format!("unix://@{name}"));
    let client = format!("ABSTRACT-CONNECT:{name}");
    serve(&listener, Peer::start("socat", &["-t10", "-", &client]));

    let client = Peer::start(
        "curl",
        &["-s", "--abstract-unix-socket", &name, "http://host/"],
    );
    let mut served = accept(&listener);
    while line_of(&mut served).unwrap() != b"\r\n" {}
    served.write_all(b"HTTP/1.0 200 OK\r\n\r\nbody").unwrap();
    drop(served);
    assert_eq!(client.finish(), b"body");
}

#[test]
fn an_openbsd_server_gets_our_bytes_and_we_get_its() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let mut server = Peer::start("nc.openbsd", &["-lvNU".as_ref(), path.as_os_str()]);
    server.error_line_with("Listening");
    let mut stream = connect(&path_url(Transport::Unix, &path));
    server.tell(b"from the server\n");
    server.end_input();
    assert_eq!(rest_of(&mut stream), b"from the server\n");
    stream.write_all(b"from the client\n").unwrap();
    drop(stream);
    assert_eq!(server.finish(), b"from the client\n");
}

#[test]
fn a_large_transfer_arrives_as_it_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let listen = format!("UNIX-LISTEN:{}", path.display());
    let server = Peer::start("socat", &["-d", "-d", "-t10", &listen, "EXEC:cat"]);
    server.error_line_with("listening on");
    echo_much(connect(&path_url(Transport::Unix, &path)));
    server.finish();
}

/// A path of exactly `length` bytes in the folder.
fn path_of(folder: &Path, length: usize) -> PathBuf {
    let used = folder.as_os_str().len() + 1;
    folder.join("p".repeat(length - used))
}

#[test]
fn a_path_of_107_bytes_is_bound_and_connected_to_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = path_of(folder.path(), 107);
    let listener = listen(&format!("unix://{}", path.display()));
    assert!(path.exists());
    both_ends(&listener);
    let hex = script("-c", PYTHON_CLIENT, path.as_os_str().as_bytes());
    serve(&listener, Peer::start("python3", &hex));
}

#[test]
fn a_path_of_108_bytes_is_refused_and_no_shorter_one_made() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unix://{}", path_of(folder.path(), 108).display());
    let sentence =
        format!("cannot parse {url}: the path is 108 bytes long; the system's limit is 107");
    let error = Listener::bind(&*url, &ListenOptions::default()).unwrap_err();
    assert_error(&error, Stage::Parse, None, &sentence);
    let error = Stream::connect(&*url, &ConnectOptions::default()).unwrap_err();
    assert_error(&error, Stage::Parse, None, &sentence);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn a_client_bound_to_108_bytes_is_named_in_full() {
    let folder = tempfile::tempdir().unwrap();
    let listener = listen(&format!("unix://{}/s", folder.path().display()));
    let path = path_of(folder.path(), 108);
    let connect = format!(
        "UNIX-CONNECT:{}/s,bind={}",
        folder.path().display(),
        path.display()
    );
    let client = Peer::start("socat", &["-", &connect]);
    let served = accept(&listener);
    let Some(SocketAddress::Unix(peer)) = served.peer_addr() else {
        panic!("{:?} is no unix address", served.peer_addr());
    };
    assert_eq!(peer.as_path(), Some(&*path));
    // No URL can have such a name, and a stream needs none.
    let (socket, _) = served.into_parts().unwrap();
    let served = Stream::try_from(socket).unwrap();
    assert!(served.peer_addr().is_some());
    drop(served);
    client.finish();
}

#[test]
fn the_kernel_chooses_a_name_for_an_at_alone() {
    let (one, other) = (listen("unix://@"), listen("unix://@"));
    assert_ne!(one.url(), other.url());
    let SocketAddress::Unix(name) = one.local_addr() else {
        panic!("a unix address was expected");
    };
    // unix(7): five hexadecimal digits.
    assert_eq!(name.as_abstract().map(<[u8]>::len), Some(5));
    assert_eq!(one.url().to_string(), format!("unix://{name}"));
    let (client, _served) = both_ends(&one);
    assert_eq!(client.peer_addr(), Some(one.local_addr()));
}

#[test]
fn a_bound_client_is_known_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let listener = listen("unix://@");
    let path = folder.path().join("client").to_str().unwrap().to_owned();
    let name = format!("@stream-socket-client-{}", std::process::id());
    for name in [name, path] {
        let mut options = ConnectOptions::default();
        options.bind = Some(name.clone());
        let client = Stream::connect(listener.url(), &options).unwrap();
        let served = accept(&listener);
        assert_eq!(served.peer_addr().unwrap().to_string(), name);
        assert_eq!(client.local_addr().unwrap().as_ref(), served.peer_addr());
    }
}

#[test]
fn both_ends_know_whose_the_other_is() {
    let listener = listen("unix://@");
    let client = Peer::python(
        r#"
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("\0" + sys.argv[1])
s.recv(1)
"#,
        &[&listener.local_addr().to_string()[1..]],
    );
    let served = accept(&listener);
    let credentials = served.peer_credentials().unwrap();
    let (user, group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    assert_eq!(credentials.process, client.id());
    assert_eq!(
        (credentials.user, credentials.group),
        (user.as_raw(), group.as_raw())
    );
    drop(served);
    client.finish();

    let ours = connect(listener.url()).peer_credentials().unwrap();
    assert_eq!(ours.process, std::process::id().cast_signed());
    let (one, _other) = pair(Transport::Unix);
    assert_eq!(one.peer_credentials().unwrap(), ours);
}

#[test]
fn only_unix_streams_know_credentials() {
    let (client, _served) = crate::support::tcp_pair();
    let sentence =
        format!("cannot identify the peer of {client}: only a unix stream knows who its peer is");
    assert_error(
        &client.peer_credentials().unwrap_err(),
        Stage::Io,
        None,
        &sentence,
    );
}

#[test]
fn pairs_talk_both_ways_and_end() {
    let (mut one, mut other) = pair(Transport::Unix);
    one.write_all(b"to the other").unwrap();
    other.write_all(b"to the one").unwrap();
    let mut buffer = [0; 10];
    one.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"to the one");
    drop(one);
    assert_eq!(rest_of(&mut other), b"to the other");
    assert_eq!(other.peer_addr(), None);
    assert_eq!(other.to_string(), "an unnamed unix peer");
    let error = Stream::pair(Transport::Tcp).unwrap_err();
    let sentence = "cannot parse a pair of tcp: pairs are made of unix or udg alone";
    assert_error(&error, Stage::Parse, None, sentence);
}

/// The kernel ends a receive behind them. Who waits for an edge would never hear of the rest.
#[test]
fn a_read_goes_on_behind_descriptors_and_closes_them() {
    let (mut one, mut other) = pair(Transport::Unix);
    other.set_blocking(false);
    let (mut reader, writer) = std::io::pipe().unwrap();
    for part in [b"abc", b"def"] {
        send_with_descriptor(&one, part, &writer);
    }
    drop(writer);
    one.write_all(b"ghi").unwrap();
    drop(one);
    let mut buffer = [0; 100];
    assert_eq!(other.read(&mut buffer).unwrap(), 9);
    assert_eq!(&buffer[..9], b"abcdefghi");
    assert_eq!(reader.read(&mut buffer).unwrap(), 0);
    assert_eq!(other.read(&mut buffer).unwrap(), 0);
}

/// Sends bytes, and a descriptor with them.
pub(crate) fn send_with_descriptor(socket: impl AsFd, bytes: &[u8], descriptor: impl AsFd) {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let rights = [descriptor.as_fd()];
    assert!(control.push(SendAncillaryMessage::ScmRights(&rights)));
    let bytes = [IoSlice::new(bytes)];
    sendmsg(socket, &bytes, &mut control, SendFlags::empty()).unwrap();
}
