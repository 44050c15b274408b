//! Relays over real sockets: ends, resets, stalls, limits in time, bulk, datagrams.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use stream_socket::engine::{Control, Dial, Engine, Relay, RelayReport};
use stream_socket::{ConnectOptions, Error, Listener, Result, Route, Stream};

use crate::engine::listener;
use crate::unix::send_with_descriptor;

pub(crate) const SOON: Duration = Duration::from_secs(20);
pub(crate) const SHORT: Duration = Duration::from_millis(20);

/// Bytes up and down, and the sentence.
pub(crate) type Ending = (u64, u64, String);

/// Dials a URL once, and tells how each relay ended.
pub(crate) struct ToUrl {
    url: String,
    told: Sender<Ending>,
}

impl Dial for ToUrl {
    fn dial(&mut self, _client: &Stream) -> Result<Route> {
        Route::new(&*self.url, &ConnectOptions::default())
    }

    fn failed(&mut self, _error: &Error) -> Option<Duration> {
        None
    }

    fn ended(&mut self, report: &RelayReport<'_>) {
        // A test that ended before need not be told.
        _ = self
            .told
            .send((report.up, report.down, report.ending.to_string()));
    }
}

/// A relay in a thread of its own.
struct Server {
    /// `host:port`
    address: String,
    control: Control,
    engine: Option<JoinHandle<()>>,
    endings: Receiver<Ending>,
}

impl Server {
    fn start(listen: &str, target: &str, silence: Duration) -> Self {
        let (listener, control) = (listener(listen), Control::new());
        let address = listener.local_addr().to_string();
        let (told, endings) = channel();
        let (control_of_engine, url) = (control.clone(), target.to_owned());
        let engine = thread::spawn(move || {
            let mut engine = Engine::new(&control_of_engine).unwrap();
            let made = engine.listen(listener, move |client| {
                let (url, told) = (url.clone(), told.clone());
                Some(Relay::new(client, ToUrl { url, told }).half_closed(silence))
            });
            made.unwrap();
            engine.run().unwrap();
        });
        Self {
            address,
            control,
            engine: Some(engine),
            endings,
        }
    }

    /// A client, and the target that it comes to.
    fn pair(&self, backend: &TcpListener) -> (TcpStream, TcpStream) {
        let client = TcpStream::connect(&*self.address).unwrap();
        let (target, _) = backend.accept().unwrap();
        for stream in [&client, &target] {
            stream.set_read_timeout(Some(SOON)).unwrap();
            stream.set_write_timeout(Some(SOON)).unwrap();
        }
        (client, target)
    }

    fn ending(&self) -> Ending {
        self.endings.recv_timeout(SOON).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.stop();
        if let Some(Err(panic)) = self.engine.take().map(JoinHandle::join)
            && !thread::panicking()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

fn over_tcp(silence: Duration) -> (Server, TcpListener) {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", backend.local_addr().unwrap());
    let server = Server::start("tcp://127.0.0.1:0", &target, silence);
    (server, backend)
}

/// A relay that the test turns.
pub(crate) fn turned_by_hand(
    target: &str,
    silence: Duration,
) -> (Engine<Relay<ToUrl>>, String, Receiver<Ending>) {
    let listener = listener("tcp://127.0.0.1:0");
    let address = listener.local_addr().to_string();
    let (engine, endings) = turned_for(listener, target, silence);
    (engine, address, endings)
}

/// The same for whom `listener` accepts.
pub(crate) fn turned_for(
    listener: Arc<Listener>,
    target: &str,
    silence: Duration,
) -> (Engine<Relay<ToUrl>>, Receiver<Ending>) {
    let mut engine = Engine::new(&Control::new()).unwrap();
    let ((told, endings), url) = (channel(), target.to_owned());
    let dial = move |client| {
        let (url, told) = (url.clone(), told.clone());
        Some(Relay::new(client, ToUrl { url, told }).half_closed(silence))
    };
    engine.listen(listener, dial).unwrap();
    (engine, endings)
}

fn read_all(mut stream: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map(|_| bytes)
}

#[test]
fn the_end_of_one_direction_leaves_the_other_open() {
    let (server, backend) = over_tcp(SOON);
    let (mut client, mut target) = server.pair(&backend);
    client.write_all(b"question").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&target).unwrap(), b"question");
    target.write_all(b"the answer").unwrap();
    drop(target);
    assert_eq!(read_all(&client).unwrap(), b"the answer");
    assert_eq!(server.ending(), (8, 10, "closed by client".to_owned()));
}

#[test]
fn after_one_end_the_other_may_not_be_silent_for_ever() {
    let silence = Duration::from_millis(300);
    let (server, backend) = over_tcp(silence);
    let (client, mut target) = server.pair(&backend);
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&target).unwrap(), b"");
    // As long as something moves, it goes on.
    let begun = Instant::now();
    while begun.elapsed() < silence * 3 {
        target.write_all(b"x").unwrap();
        thread::sleep(silence / 10);
    }
    let last = Instant::now();
    read_all(&client).unwrap();
    assert!(last.elapsed() >= silence / 2);
    let (_, _, ending) = server.ending();
    assert_eq!(ending, "closed by client, and target kept silent");
}

#[test]
fn a_reset_is_passed_on_as_a_reset() {
    for resetting_client in [true, false] {
        let (server, backend) = over_tcp(SOON);
        let (client, target) = server.pair(&backend);
        let (reset, mut other) = if resetting_client {
            (client, target)
        } else {
            (target, client)
        };
        (&reset).write_all(b"half of").unwrap();
        other.read_exact(&mut [0; 7]).unwrap();
        socket2::SockRef::from(&reset)
            .set_linger(Some(Duration::ZERO))
            .unwrap();
        drop(reset);
        let error = read_all(&other).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        let (_, _, ending) = server.ending();
        let side = if resetting_client { "client" } else { "target" };
        assert!(ending.starts_with(&format!("{side} failed: ")), "{ending}");
        assert!(ending.ends_with("(ECONNRESET)"), "{ending}");
    }
}

#[test]
fn a_reset_that_a_write_was_told_of_is_no_end() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", backend.local_addr().unwrap());
    let (mut engine, address, endings) = turned_by_hand(&target, SOON);
    let client = TcpStream::connect(address).unwrap();
    let mut turn = |count| (0..count).for_each(|_| _ = engine.turn(Some(SHORT)).unwrap());
    turn(5);
    let (mut target, _) = backend.accept().unwrap();
    target.set_read_timeout(Some(SOON)).unwrap();
    (&client).write_all(b"half of").unwrap();
    turn(3);
    // What a turn learns of first is the target's answer, for which nobody is left.
    target.write_all(b"answer").unwrap();
    socket2::SockRef::from(&client)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(client);
    turn(5);
    let error = read_all(&target).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    let (_, _, ending) = endings.recv_timeout(SOON).unwrap();
    assert!(ending.starts_with("client failed: "), "{ending}");
    assert!(ending.ends_with("(ECONNRESET)"), "{ending}");
}

#[test]
fn who_breaks_after_its_end_is_told_of_at_once() {
    for client_is_first in [true, false] {
        let (server, backend) = over_tcp(SOON * 10);
        let (client, target) = server.pair(&backend);
        let (first, mut other, side) = if client_is_first {
            (client, target, "client")
        } else {
            (target, client, "target")
        };
        drop(first);
        assert_eq!(read_all(&other).unwrap(), b"");
        other.write_all(b"late").unwrap();
        let (up, down, ending) = server.ending();
        assert_eq!(up + down, 4);
        assert!(ending.starts_with(&format!("{side} failed: ")), "{ending}");
        assert!(ending.ends_with("(EPIPE)"), "{ending}");
    }
}

#[test]
fn who_did_not_take_all_in_time_is_reset() {
    for (query, silence, finishes, sentence) in [
        ("?idle_timeout=1s", SOON, false, "idle for too long"),
        ("", SOON / 20, true, "closed by client, which took no more"),
    ] {
        let backend = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp://{}", backend.local_addr().unwrap());
        let server = Server::start(&format!("tcp://127.0.0.1:0{query}"), &target, silence);
        let (client, mut target) = server.pair(&backend);
        if finishes {
            client.shutdown(Shutdown::Write).unwrap();
        }
        // More than both kernels hold of it.
        _ = target.write_all(&vec![7; 64 << 20]);
        let (_, _, ending) = server.ending();
        assert_eq!(ending, sentence);
        let error = read_all(client).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{sentence}");
    }
}

#[test]
fn who_takes_it_slowly_is_not_idle() {
    const LENGTH: usize = 16 << 20;
    for (query, silence, finishes) in [("?idle_timeout=1s", SOON, false), ("", SOON / 20, true)] {
        let backend = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = format!("tcp://{}", backend.local_addr().unwrap());
        let server = Server::start(&format!("tcp://127.0.0.1:0{query}"), &target, silence);
        let (mut client, mut target) = server.pair(&backend);
        // The window is small, so that the relay's system is soon told of what is taken.
        let small = socket2::SockRef::from(&client).set_recv_buffer_size(32 * 1024);
        small.unwrap();
        if finishes {
            client.shutdown(Shutdown::Write).unwrap();
        }
        let sender = thread::spawn(move || target.write_all(&vec![7; LENGTH]).unwrap());
        let (begun, mut taken) = (Instant::now(), 0);
        // So slowly that the relay is not told that there is room again.
        while begun.elapsed() < Duration::from_secs(3) {
            taken += client.read(&mut [0; 2048]).unwrap();
            thread::sleep(Duration::from_millis(10));
        }
        taken += read_all(client).unwrap().len();
        assert_eq!(taken, LENGTH, "{query}");
        sender.join().unwrap();
    }
}

#[test]
fn a_target_that_is_not_there_is_told_of() {
    let gone = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let server = Server::start("tcp://127.0.0.1:0", &format!("tcp://{gone}"), SOON);
    let client = TcpStream::connect(&*server.address).unwrap();
    assert_eq!(read_all(&client).unwrap(), b"");
    let sentence = format!(
        "target not reached: cannot connect to tcp://{gone}: connection refused (ECONNREFUSED)"
    );
    assert_eq!(server.ending(), (0, 0, sentence));
}

#[test]
fn a_receiver_that_stalls_stops_its_sender() {
    let (server, backend) = over_tcp(SOON);
    let (client, target) = server.pair(&backend);
    client.set_nonblocking(true).unwrap();
    let (mut taken, mut full) = (0, 0);
    // It is full when nothing is taken for a while.
    while full < 50 {
        match (&client).write(&[7; 65536]) {
            Ok(length) => (taken, full) = (taken + length, 0),
            Err(_) => {
                full += 1;
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
    // Two pairs of socket buffers, of at most 6 MiB and 4 MiB each (tcp(7)), and one pipe.
    assert!(taken < 24 << 20, "{taken} bytes were taken");
    drop(client);
    assert_eq!(read_all(target).unwrap().len(), taken);
}

#[test]
fn bulk_arrives_whole_both_ways_at_once() {
    const LENGTH: usize = 32 << 20;
    let (server, backend) = over_tcp(SOON);
    let (client, target) = server.pair(&backend);
    let data = |seed: u32| -> Vec<u8> {
        let mut state = seed;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_ne_bytes()
        })
        .flatten()
        .take(LENGTH)
        .collect()
    };
    thread::scope(|scope| {
        for (stream, seed, expected) in [(&client, 1, 2), (&target, 2, 1)] {
            let data = &data;
            scope.spawn(move || {
                let mut stream = stream;
                stream.write_all(&data(seed)).unwrap();
                stream.shutdown(Shutdown::Write).unwrap();
            });
            scope.spawn(move || assert!(read_all(stream).unwrap() == data(expected)));
        }
    });
    let (up, down, _) = server.ending();
    assert_eq!((up, down), (LENGTH as u64, LENGTH as u64));
}

/// Runs both ends and the relay in this thread, so that its system calls are seen.
#[cfg(feature = "simulation")]
#[test]
fn only_bulk_goes_by_pipes() {
    use stream_socket::simulation::{Call, calls};

    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", backend.local_addr().unwrap());
    let (mut engine, address, _endings) = turned_by_hand(&url, SOON);
    let mut client = TcpStream::connect(address).unwrap();
    let mut turn = || engine.turn(Some(SHORT)).unwrap();
    (0..5).for_each(|_| _ = turn());
    let (mut target, _) = backend.accept().unwrap();
    let mut pass = |bytes: &[u8]| {
        let ((), calls) = calls(|| {
            client.write_all(bytes).unwrap();
            (0..5).for_each(|_| _ = turn());
        });
        let mut received = vec![0; bytes.len()];
        target.read_exact(&mut received).unwrap();
        assert!(received == bytes);
        calls
    };
    for _ in 0..10 {
        let calls = pass(&[1; 4000]);
        let moves = |call| calls.iter().filter(|made| **made == call).count();
        assert_eq!(
            (moves(Call::Receive), moves(Call::Send)),
            (1, 1),
            "{calls:?}"
        );
    }
    let pipes = |calls: &[Call]| calls.iter().filter(|call| **call == Call::Pipe).count();
    let first = pass(&[2; 400_000]);
    assert_eq!(pipes(&first), 1, "{first:?}");
    // The pipe is kept for the next.
    let second = pass(&[3; 400_000]);
    assert_eq!(pipes(&second), 0, "{second:?}");
}

#[test]
fn datagrams_are_relayed_each_whole_to_their_own_peer() {
    let backend = UdpSocket::bind("127.0.0.1:0").unwrap();
    backend.set_read_timeout(Some(SOON)).unwrap();
    let target = format!("udp://{}", backend.local_addr().unwrap());
    let listen = "udp://127.0.0.1:0?peer_idle_timeout=1s";
    let server = Server::start(listen, &target, SOON);
    let echo = thread::spawn(move || {
        let mut buffer = vec![0; 65536];
        for _ in 0..3 * 4 + 1 {
            let (length, peer) = backend.recv_from(&mut buffer).unwrap();
            backend.send_to(&buffer[..length], peer).unwrap();
        }
    });
    let clients: Vec<UdpSocket> = (0..3)
        .map(|_| {
            let client = UdpSocket::bind("127.0.0.1:0").unwrap();
            client.set_read_timeout(Some(SOON)).unwrap();
            client.connect(&*server.address).unwrap();
            client
        })
        .collect();
    let mut buffer = vec![0; 65536];
    for length in [1, 0, 20_000, 1200] {
        for (client, byte) in clients.iter().zip(1..) {
            client.send(&vec![byte; length]).unwrap();
        }
        for (client, byte) in clients.iter().zip(1..) {
            let received = client.recv(&mut buffer).unwrap();
            assert_eq!(buffer[..received], vec![byte; length]);
        }
    }
    // The longest that there is, alone: there may be no room for two.
    clients[0].send(&[9; 65_507]).unwrap();
    assert_eq!(clients[0].recv(&mut buffer).unwrap(), 65_507);
    echo.join().unwrap();
    // Peers that are idle are forgotten.
    let mut endings: Vec<Ending> = (0..3).map(|_| server.ending()).collect();
    endings.sort();
    let idle = |bytes| (bytes, bytes, "idle for too long".to_owned());
    assert_eq!(endings, [idle(21_201), idle(21_201), idle(86_708)]);
}

#[test]
fn a_peer_idles_out_although_the_target_stalls() {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", backend.local_addr().unwrap());
    let listen = "udp://127.0.0.1:0?peer_idle_timeout=300ms";
    let server = Server::start(listen, &target, SOON);
    let peer = UdpSocket::bind("127.0.0.1:0").unwrap();
    peer.connect(&*server.address).unwrap();
    peer.send(b"first").unwrap();
    let (stalled, _) = backend.accept().unwrap();
    for _ in 0..2000 {
        _ = peer.send(&[0; 32 * 1024]);
        thread::sleep(Duration::from_micros(50));
    }
    let (up, down, ending) = server.ending();
    assert!(up > 5, "{up}");
    assert_eq!((down, &*ending), (0, "idle for too long"));
    drop(stalled);
}

#[test]
fn a_unix_peer_that_does_not_read_idles_out_although_the_target_sends() {
    let folder = tempfile::tempdir().unwrap();
    let (path, own) = (folder.path().join("relay"), folder.path().join("own"));
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", backend.local_addr().unwrap());
    let listen = format!("udg://{}?peer_idle_timeout=300ms", path.display());
    let server = Server::start(&listen, &target, SOON);
    let peer = std::os::unix::net::UnixDatagram::bind(own).unwrap();
    peer.send_to(b"more", &path).unwrap();
    let (mut generous, _) = backend.accept().unwrap();
    generous.set_write_timeout(Some(SOON)).unwrap();
    // Until the relay has let go of it.
    while generous.write_all(b"more and more").is_ok() {}
    let (up, down, ending) = server.ending();
    assert_eq!((up, &*ending), (4, "idle for too long"));
    assert!(down > 0);
}

#[test]
fn silent_datagrams_hold_up_no_drain() {
    let backend = UdpSocket::bind("127.0.0.1:0").unwrap();
    let target = format!("udp://{}", backend.local_addr().unwrap());
    let server = Server::start("udp://127.0.0.1:0", &target, SOON);
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    for socket in [&backend, &client] {
        socket.set_read_timeout(Some(SOON)).unwrap();
    }
    client.connect(&*server.address).unwrap();
    client.send(b"question").unwrap();
    let mut buffer = [0; 10];
    let (_, relay) = backend.recv_from(&mut buffer).unwrap();
    server.control.drain(3 * SOON);
    backend.send_to(b"answer", relay).unwrap();
    assert_eq!(client.recv(&mut buffer).unwrap(), 6);
    let ending = "silent while draining".to_owned();
    assert_eq!(server.ending(), (8, 6, ending));
}

#[test]
fn descriptors_are_not_left_out_in_silence() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("relay");
    let (server, backend) = from_unix(&path);
    for sends_more in [true, false] {
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(b"before").unwrap();
        let (mut target, _) = backend.accept().unwrap();
        target.set_read_timeout(Some(SOON)).unwrap();
        let mut buffer = [0; 6];
        target.read_exact(&mut buffer).unwrap();
        send_with_descriptor(&client, b"with one", &backend);
        if sends_more {
            client.write_all(b"behind").unwrap();
        } else {
            client.shutdown(Shutdown::Write).unwrap();
        }
        let (up, down, ending) = server.ending();
        let sentence = ": it sends descriptors, and only bytes can be passed on";
        assert_eq!((up, down), (6, 0), "{ending}");
        assert!(ending.ends_with(sentence), "{ending}");
        let end = target.read(&mut buffer).unwrap_err();
        assert_eq!(end.kind(), ErrorKind::ConnectionReset);
    }
}

/// From a unix socket to tcp.
fn from_unix(path: &Path) -> (Server, TcpListener) {
    let backend = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("tcp://{}", backend.local_addr().unwrap());
    let listen = format!("unix://{}", path.display());
    (Server::start(&listen, &target, SOON), backend)
}

#[cfg(feature = "simulation")]
mod pushed_clock {
    use std::os::fd::BorrowedFd;

    use stream_socket::engine::{Next, Second, Task, Turn, Wake};

    use super::*;

    /// A relay that is slow: each turn takes a third of a second.
    struct Slow(Relay<ToUrl>);

    impl Task for Slow {
        fn descriptor(&self) -> BorrowedFd<'_> {
            self.0.descriptor()
        }

        fn second(&self) -> Option<Second<'_>> {
            self.0.second()
        }

        fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
            stream_socket::simulation::advance(SOON / 60);
            self.0.run(wake, turn)
        }
    }

    #[test]
    fn who_gives_way_again_and_again_is_not_silent() {
        const DATAGRAMS: usize = 20;
        let target = UdpSocket::bind("127.0.0.1:0").unwrap();
        let url = format!("udp://{}", target.local_addr().unwrap());
        let (told, endings) = channel();
        let dial = move |client| {
            let (url, told) = (url.clone(), told.clone());
            let relay = Relay::new(client, ToUrl { url, told });
            Some(Slow(relay.half_closed(SOON / 20)))
        };
        let listener = listener("tcp://127.0.0.1:0");
        let mut client = TcpStream::connect(listener.local_addr().to_string()).unwrap();
        let mut engine = Engine::new(&Control::new()).unwrap();
        engine.listen(listener, dial).unwrap();
        client.write_all(b"all of it").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        (0..5).for_each(|_| _ = engine.turn(Some(SHORT)).unwrap());
        let (_, relay) = target.recv_from(&mut [0; 9]).unwrap();
        for _ in 0..10 {
            // More than is passed on in one turn.
            (0..DATAGRAMS).for_each(|_| _ = target.send_to(b"more", relay).unwrap());
            engine.turn(Some(SHORT)).unwrap();
            client.read_exact(&mut [0; 4 * 8]).unwrap();
            assert_eq!(endings.try_recv().ok(), None);
        }
        while endings.try_recv().is_err() {
            engine.turn(Some(SOON)).unwrap();
        }
    }
}
