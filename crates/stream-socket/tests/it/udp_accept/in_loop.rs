//! Peers as tasks of an engine: all over the listener's socket, told of what comes for them.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::os::fd::BorrowedFd;
use std::sync::atomic::AtomicU32;

use stream_socket::Transport;
use stream_socket::engine::{Control, Engine, Next, Task, Turn, Wake};

use super::crowd::{Crowd, Served};
use super::*;
use crate::engine::Echo;

/// A loop in a thread of its own, stopped when dropped.
struct Loop {
    listener: Arc<Listener>,
    control: Control,
    thread: Option<thread::JoinHandle<()>>,
}

impl Loop {
    fn start<T: Task>(
        listener: Listener,
        make: impl FnMut(Stream) -> Option<T> + Send + 'static,
    ) -> Self {
        let (listener, control) = (Arc::new(listener), Control::new());
        let (shared, told) = (Arc::clone(&listener), control.clone());
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::spawn(move || {
            let mut engine = Engine::new(&told).unwrap();
            engine.listen(shared, make).unwrap();
            ready.send(()).unwrap();
            engine.run().unwrap();
        });
        is_ready.recv().unwrap();
        Self {
            listener,
            control,
            thread: Some(thread),
        }
    }

    fn echo(listener: Listener) -> Self {
        Self::start(listener, |stream| Some(Echo::new(stream)))
    }

    fn join(&mut self) {
        self.thread.take().unwrap().join().unwrap();
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.control.stop();
        if let Some(thread) = self.thread.take() {
            _ = thread.join();
        }
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < LONG, "never: {what}");
        thread::yield_now();
    }
}

/// Sends all of `texts` and reads as many answers.
fn all_echoed(client: &UdpSocket, texts: &[&[u8]]) -> bool {
    texts
        .iter()
        .for_each(|text| assert_eq!(client.send(text).unwrap(), text.len()));
    texts.iter().all(|text| said(client) == *text)
}

/// A member of the crowd, which checks what it gets.
struct Checked {
    served: Served,
    count: Arc<AtomicU32>,
}

impl Task for Checked {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.served.stream.as_fd()
    }

    fn run(&mut self, _wake: Wake, _turn: &mut Turn<'_>) -> Next {
        let served = self.served.serve(true);
        self.count.fetch_add(served, Ordering::Relaxed);
        assert!(!is_separate(&self.served.stream));
        Next::Wait(Interest::READ)
    }
}

#[test]
fn thousands_of_peers_are_served_over_one_socket_each_in_order() {
    let crowd = Crowd {
        threads: 4,
        sockets: 500,
        rounds: 4,
        burst: 2,
    };
    let count = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&count);
    let engine = Loop::start(bind("udp://127.0.0.1:0"), move |stream| {
        let (served, count) = (Served::new(stream), Arc::clone(&counted));
        Some(Checked { served, count })
    });
    for thread in crowd.send(address(&engine.listener)) {
        thread.join().unwrap();
    }
    // It counts after it has answered.
    eventually("as many datagrams as were sent", || {
        count.load(Ordering::Relaxed) == crowd.datagrams()
    });
    let peers = engine.listener.peers().unwrap();
    assert_eq!(peers.known, crowd.sockets() as usize);
    assert_eq!(
        (peers.refused, peers.overflowed, peers.queued_bytes),
        (0, 0, 0)
    );
    assert_eq!(
        engine.control.counters().accepted,
        u64::from(crowd.sockets())
    );
}

/// The echo reads one datagram a turn, and takes a short one for the last.
#[test]
fn a_task_that_reads_once_is_woken_for_what_it_left() {
    for host in ["127.0.0.1", "[::1]", "0.0.0.0"] {
        let engine = Loop::echo(bind(&format!("udp://{host}:0")));
        let bound = address(&engine.listener);
        let ip = match bound.ip() {
            ip if ip.is_unspecified() => [127, 0, 0, 1].into(),
            ip => ip,
        };
        let clients: Vec<_> = (0..3)
            .map(|_| UdpSocket::bind((ip, 0)).unwrap())
            .inspect(|client| client.connect((ip, bound.port())).unwrap())
            .inspect(|client| client.set_read_timeout(Some(LONG)).unwrap())
            .collect();
        for _ in 0..50 {
            for client in &clients {
                assert!(all_echoed(client, &[b"one", b"two", b"three", b"four"]));
            }
        }
        assert_eq!(engine.control.counters().accepted, 3, "{host}");
    }
}

#[test]
fn unix_peers_are_served_and_one_that_does_not_read_waits_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server");
    let engine = Loop::echo(bind(&format!("udg://{}", path.display())));
    let named = |name: &str| {
        let client = UnixDatagram::bind(folder.path().join(name)).unwrap();
        client.connect(&path).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.set_write_timeout(Some(LONG)).unwrap();
        client
    };
    let (silent, other) = (named("silent"), named("other"));
    // More than its queue holds.
    for number in 0_u16..200 {
        silent.send(&number.to_ne_bytes()).unwrap();
    }
    let mut answer = [0; 8];
    for _ in 0..50 {
        other.send(b"hello").unwrap();
        let length = other.recv(&mut answer).unwrap();
        assert_eq!(&answer[..length], b"hello");
    }
    for number in 0_u16..200 {
        assert_eq!(silent.recv(&mut answer).unwrap(), 2);
        assert_eq!(answer[..2], number.to_ne_bytes());
    }
    // One without a name gets no answer, and its stream ends at once.
    UnixDatagram::unbound()
        .unwrap()
        .send_to(b"?", &path)
        .unwrap();
    eventually("the end of the unnamed peer", || {
        engine.control.counters().closed == 1
    });
}

/// Tells what a read fails with.
struct Noting {
    stream: Stream,
    failures: mpsc::Sender<(ErrorKind, Option<Limit>)>,
}

impl Task for Noting {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn run(&mut self, _wake: Wake, turn: &mut Turn<'_>) -> Next {
        loop {
            match self.stream.read(turn.buffer()) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Next::Wait(Interest::READ);
                }
                Err(error) => {
                    let limit =
                        stream_socket::Error::in_io(&error).and_then(stream_socket::Error::limit);
                    self.failures.send((error.kind(), limit)).unwrap();
                    return Next::Done;
                }
            }
        }
    }
}

#[test]
fn a_peer_that_idles_out_is_told_though_nobody_sends_any_more() {
    let listener = bind("udp://127.0.0.1:0?peer_idle_timeout=200ms");
    let (failures, failed) = mpsc::channel();
    let engine = Loop::start(listener, move |stream| {
        let failures = failures.clone();
        Some(Noting { stream, failures })
    });
    client(address(&engine.listener)).send(b"?").unwrap();
    let start = Instant::now();
    assert_eq!(
        failed.recv_timeout(LONG).unwrap(),
        (ErrorKind::TimedOut, Some(Limit::PeerIdle))
    );
    assert!(start.elapsed() >= Duration::from_millis(150));
    eventually("the end of the task", || {
        engine.control.counters().closed == 1
    });
    let peers = engine.listener.peers().unwrap();
    assert_eq!((peers.known, peers.evicted), (0, 1));
}

#[test]
fn a_drain_refuses_new_peers_and_lets_the_known_ones_go_on() {
    let mut engine = Loop::echo(bind("udp://127.0.0.1:0"));
    let server = address(&engine.listener);
    let known = client(server);
    assert!(all_echoed(&known, &[b"before"]));
    engine.control.drain(LONG);
    eventually("a refusal", || {
        client(server).send(b"?").unwrap();
        engine.listener.peers().unwrap().refused > 0
    });
    assert!(all_echoed(&known, &[b"after", b"and again"]));
    engine.control.drain(Duration::ZERO);
    engine.join();
    let counters = engine.control.counters();
    assert_eq!(counters.undrained, counters.accepted);
}

#[test]
fn a_listener_belongs_to_one_loop() {
    let listener = Arc::new(bind("udp://127.0.0.1:0"));
    let control = Control::new();
    let [mut one, mut other] = [(); 2].map(|()| Engine::<Echo>::new(&control).unwrap());
    one.listen(Arc::clone(&listener), |_| None).unwrap();
    let error = other.listen(Arc::clone(&listener), |_| None).unwrap_err();
    let expected =
        format!("cannot watch {listener}: it is of datagrams, and belongs to another loop");
    assert_eq!(
        (error.to_string(), error.stage()),
        (expected, Stage::Io),
        "{error:?}"
    );
    drop(one);
    other.listen(listener, |_| None).unwrap();
}

/// Carries datagrams between a peer and one end of a pair, whose descriptor it waits on.
struct Carrier {
    peer: Stream,
    pair: Stream,
    /// What the pair had no room for.
    held: VecDeque<Vec<u8>>,
}

impl Carrier {
    fn carry(&mut self, buffer: &mut [u8]) -> Result<(), ErrorKind> {
        while let Some(datagram) = self.held.front() {
            self.pair.write(datagram).map_err(|error| error.kind())?;
            self.held.pop_front();
        }
        let length = self.peer.read(buffer).map_err(|error| error.kind())?;
        self.held.push_back(buffer[..length].to_vec());
        Ok(())
    }
}

impl Task for Carrier {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.pair.as_fd()
    }

    fn run(&mut self, _wake: Wake, turn: &mut Turn<'_>) -> Next {
        while self.carry(turn.buffer()).is_ok() {}
        while let Ok(length) = self.pair.read(turn.buffer()) {
            self.peer.write_all(&turn.buffer()[..length]).unwrap();
        }
        Next::Wait(Interest::READ.and(Interest::WRITE))
    }
}

#[test]
fn a_task_waits_for_its_peer_and_for_a_descriptor_of_its_choice() {
    let (pairs, others) = mpsc::channel::<Stream>();
    let engine = Loop::start(bind("udp://127.0.0.1:0"), move |peer| {
        let (mut pair, other) = Stream::pair(Transport::Udg).unwrap();
        pair.set_blocking(false);
        pairs.send(other).unwrap();
        let held = VecDeque::new();
        Some(Carrier { peer, pair, held })
    });
    let clients: Vec<_> = (0..4).map(|_| client(address(&engine.listener))).collect();
    let numbered = |client: usize, number: u32| format!("{client} {number}").into_bytes();
    for (index, client) in clients.iter().enumerate() {
        // More than the pair holds, and less than may wait for one peer.
        for number in 0..100 {
            client.send(&numbered(index, number)).unwrap();
        }
    }
    let mut others: Vec<_> = others.iter().take(clients.len()).collect();
    for number in 0..100 {
        for other in &mut others {
            other.set_read_timeout(Some(LONG));
            let datagram = read(other);
            let text = String::from_utf8(datagram).unwrap();
            let (from, count) = text.split_once(' ').unwrap();
            assert_eq!(count, number.to_string());
            other.write_all(from.as_bytes()).unwrap();
        }
    }
    for (index, client) in clients.iter().enumerate() {
        for _ in 0..100 {
            assert_eq!(said(client), index.to_string().into_bytes());
        }
    }
}

/// What a thread receives for others while it looks for its own, reaches them in their loop.
#[test]
fn a_thread_that_reads_beside_the_loop_keeps_nothing_from_it() {
    let (beside, taken) = mpsc::channel::<Stream>();
    let mut first = Some(beside);
    let engine = Loop::start(bind("udp://127.0.0.1:0"), move |stream| {
        match first.take() {
            Some(beside) => {
                beside.send(stream).unwrap();
                None
            }
            None => Some(Echo::new(stream)),
        }
    });
    let server = address(&engine.listener);
    client(server).send(b"first").unwrap();
    let mut stream = taken.recv().unwrap();
    assert_eq!(read(&mut stream), b"first");
    let done = Arc::new(AtomicBool::new(false));
    let ended = Arc::clone(&done);
    let looking = thread::spawn(move || {
        while !ended.load(Ordering::SeqCst) {
            assert!(would_block(&mut stream));
        }
    });
    let others: Vec<_> = (0..8).map(|_| client(server)).collect();
    for _ in 0..100 {
        for other in &others {
            assert!(all_echoed(other, &[b"one", b"two"]));
        }
    }
    done.store(true, Ordering::SeqCst);
    looking.join().unwrap();
}
