//! What the tests have in common: sockets in one line, programs to talk to, children, waiting.

#[cfg(feature = "tls")]
pub(crate) mod certificates;
pub(crate) mod child;
pub(crate) mod dialogue;
pub(crate) mod peer;
pub(crate) mod signal;

use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::{
    ConnectOptions, DatagramSocket, Error, ListenOptions, Listener, SocketUrl, Stage, Stream,
    Target, Transport, UnixAddress,
};

/// How long something may take that takes no time when all is well: a test then fails, not hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One host of each family.
pub(crate) const LOOPBACKS: [&str; 2] = ["127.0.0.1", "[::1]"];

/// A listener with the default options.
pub(crate) fn listen(url: &str) -> Listener {
    Listener::bind(url, &ListenOptions::default()).unwrap()
}

/// A socket for datagrams whose receives end when something is wrong.
pub(crate) fn receive_on(url: &str) -> DatagramSocket {
    let mut socket = DatagramSocket::bind(url, &ListenOptions::default()).unwrap();
    socket.set_read_timeout(Some(PATIENCE));
    socket
}

/// A client whose reads end when something is wrong.
pub(crate) fn connect(url: &SocketUrl) -> Stream {
    patient(Stream::connect(url, &ConnectOptions::default()).unwrap())
}

/// The next connection, whose reads end when something is wrong.
pub(crate) fn accept(listener: &Listener) -> Stream {
    patient(listener.accept(Some(PATIENCE)).unwrap())
}

/// Both ends of a connection through `listener`: the client's and the served one.
pub(crate) fn both_ends(listener: &Listener) -> (Stream, Stream) {
    let client = connect(listener.url());
    (client, accept(listener))
}

/// Both ends of a connection over tcp.
pub(crate) fn tcp_pair() -> (Stream, Stream) {
    both_ends(&listen("tcp://127.0.0.1:0"))
}

/// Two streams connected to each other.
pub(crate) fn pair(transport: Transport) -> (Stream, Stream) {
    let (one, other) = Stream::pair(transport).unwrap();
    (patient(one), patient(other))
}

/// The same stream, whose reads and writes end when something is wrong.
pub(crate) fn patient(mut stream: Stream) -> Stream {
    stream.set_read_timeout(Some(PATIENCE));
    stream.set_write_timeout(Some(PATIENCE));
    stream
}

/// The URL of a path, whatever its bytes.
pub(crate) fn path_url(transport: Transport, path: impl AsRef<Path>) -> SocketUrl {
    let address = UnixAddress::from_path(path).unwrap();
    SocketUrl::new(transport, Target::Unix(address)).unwrap()
}

/// All that is left to read.
pub(crate) fn rest_of(stream: &mut impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

/// The next line, `None` at the end.
pub(crate) fn line_of(stream: &mut Stream) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    stream
        .read_line(&mut line, usize::MAX)
        .unwrap()
        .then_some(line)
}

/// Bytes without a pattern that a mix-up could hide behind; the same for the same seed.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(|_| byte()).collect()
}

/// Looks again and again until it is so, and fails when it never is.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::park_timeout(Duration::from_millis(1));
    }
}

/// Checks an error's stage, number and whole sentence.
#[track_caller]
pub(crate) fn assert_error(error: &Error, stage: Stage, errno: Option<i32>, sentence: &str) {
    assert_eq!(error.to_string(), sentence);
    assert_eq!((error.stage(), error.errno()), (stage, errno), "{error:?}");
}

/// Puts a file of ours in the place of one of the system's, for a process with mounts of its own.
pub(crate) fn own_file(path: &str, text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, text).unwrap();
    let mut mount = Command::new(peer::program("mount"));
    mount.arg("--bind").arg(&file).arg(path);
    assert!(mount.status().unwrap().success(), "mount over {path}");
}
