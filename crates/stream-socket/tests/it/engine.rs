//! The engine over real sockets: sharing, caps, drain, exhaustion, limits in time, fork.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::engine::{Control, Engine, Next, Task, Turn, Wake};
use stream_socket::{Interest, ListenOptions, Listener, Stream};

/// Sends back what comes, holding at most what one read brought.
pub(crate) struct Echo {
    stream: Stream,
    unsent: Vec<u8>,
}

impl Echo {
    pub(crate) fn new(stream: Stream) -> Self {
        Self {
            stream,
            unsent: Vec::new(),
        }
    }

    fn go_on(&mut self, wake: Wake, turn: &mut Turn<'_>) -> std::io::Result<Next> {
        loop {
            while !self.unsent.is_empty() {
                let sent = self.stream.write(&self.unsent)?;
                self.unsent.drain(..sent);
            }
            let room = turn.buffer().len();
            let length = self.stream.read(turn.buffer())?;
            if length == 0 {
                return Ok(Next::Done);
            }
            let sent = match self.stream.write(&turn.buffer()[..length]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                result => result?,
            };
            self.unsent.extend_from_slice(&turn.buffer()[sent..length]);
            if self.unsent.is_empty() && length < room && !wake.has_ended() {
                return Ok(Next::Wait(Interest::READ));
            }
            if turn.is_over() {
                return Ok(Next::Yield);
            }
        }
    }
}

impl Task for Echo {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        match self.go_on(wake, turn) {
            Ok(next) => next,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                let writes = !self.unsent.is_empty();
                Next::Wait(if writes {
                    Interest::WRITE
                } else {
                    Interest::READ
                })
            }
            Err(_) => Next::Done,
        }
    }
}

pub(crate) fn listener(url: &str) -> Arc<Listener> {
    Arc::new(Listener::bind(url, &ListenOptions::default()).unwrap())
}

/// An echo server over `loops` threads, ended when dropped.
struct Server {
    listener: Arc<Listener>,
    control: Control,
    loops: Vec<thread::JoinHandle<u64>>,
}

impl Server {
    fn start(url: &str, loops: usize) -> Self {
        let (listener, control) = (listener(url), Control::new());
        let loops = (0..loops)
            .map(|_| {
                let (listener, control) = (Arc::clone(&listener), control.clone());
                thread::spawn(move || {
                    let accepted = Arc::new(AtomicU64::new(0));
                    let count = Arc::clone(&accepted);
                    let mut engine = Engine::new(&control).unwrap();
                    let made = engine.listen(listener, move |stream| {
                        count.fetch_add(1, Ordering::Relaxed);
                        Some(Echo::new(stream))
                    });
                    made.unwrap();
                    engine.run().unwrap();
                    accepted.load(Ordering::Relaxed)
                })
            })
            .collect();
        Self {
            listener,
            control,
            loops,
        }
    }

    fn connect(&self) -> TcpStream {
        let url = self.listener.url().to_string();
        let address = url.strip_prefix("tcp://").unwrap();
        let stream =
            TcpStream::connect(address.to_socket_addrs().unwrap().next().unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// How many connections each loop has accepted, after a drain.
    fn end(mut self, drain: Duration) -> Vec<u64> {
        self.control.drain(drain);
        self.loops
            .drain(..)
            .map(|engine| engine.join().unwrap())
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control.stop();
    }
}

/// Sends `text` and reads it back.
fn echoes(stream: &mut TcpStream, text: &[u8]) -> bool {
    let mut echo = vec![0; text.len()];
    stream.write_all(text).is_ok() && stream.read_exact(&mut echo).is_ok() && echo == text
}

/// Whether the peer has closed, within the stream's read timeout.
fn is_closed(stream: &mut TcpStream) -> bool {
    match stream.read(&mut [0]) {
        Ok(length) => length == 0,
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(20), "never: {what}");
        thread::yield_now();
    }
}

#[test]
fn many_clients_are_served_at_once() {
    let server = Server::start("tcp://127.0.0.1:0", 1);
    let mut clients: Vec<_> = (0..500).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate().rev() {
        assert!(
            echoes(client, format!("hello {number}").as_bytes()),
            "{number}"
        );
    }
}

#[test]
fn eight_loops_share_one_listener() {
    let server = Server::start("tcp://127.0.0.1:0", 8);
    for _ in 0..1600 {
        // One after the other: the loops are idle whenever a connection comes.
        assert!(echoes(&mut server.connect(), b"x"));
    }
    let shares = server.end(Duration::from_secs(5));
    assert_eq!(shares.iter().sum::<u64>(), 1600);
    let (least, most) = (shares.iter().min().unwrap(), shares.iter().max().unwrap());
    assert!(most <= &(2 * least), "{shares:?}");
}

#[test]
fn what_finds_no_place_waits_in_the_backlog_until_one_is_free() {
    let server = Server::start("tcp://127.0.0.1:0?max_connections=2", 3);
    let (mut first, mut second) = (server.connect(), server.connect());
    assert!(echoes(&mut first, b"a") && echoes(&mut second, b"b"));
    let mut waiting: Vec<_> = (0..10).map(|_| server.connect()).collect();
    drop((first, second));
    for client in waiting.drain(..) {
        let mut client = client;
        assert!(echoes(&mut client, b"c"));
    }
    assert_eq!(server.control.counters().accepted, 12);
}

#[test]
fn what_finds_no_place_is_closed_where_that_is_asked_for() {
    let server = Server::start("tcp://127.0.0.1:0?max_connections=1&close_when_full=1", 2);
    let mut first = server.connect();
    assert!(echoes(&mut first, b"a"));
    assert!(is_closed(&mut server.connect()));
    eventually("it is counted", || {
        server.control.counters().refused_full == 1
    });
    drop(first);
    eventually("the place is free again", || {
        echoes(&mut server.connect(), b"b")
    });
}

#[test]
fn an_address_has_a_limit_of_its_own() {
    let server = Server::start("tcp://127.0.0.1:0?max_connections_per_ip=2", 2);
    let (mut first, mut second) = (server.connect(), server.connect());
    assert!(echoes(&mut first, b"a") && echoes(&mut second, b"b"));
    assert!(is_closed(&mut server.connect()));
    eventually("it is counted", || {
        server.control.counters().refused_per_ip == 1
    });
    drop(first);
    eventually("the place is free again", || {
        echoes(&mut server.connect(), b"c")
    });
}

#[test]
fn an_idle_connection_ends_and_a_busy_one_does_not() {
    let server = Server::start("tcp://127.0.0.1:0?idle_timeout=300ms", 1);
    let (mut idle, mut busy) = (server.connect(), server.connect());
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(900) {
        assert!(echoes(&mut busy, b"x"));
        thread::sleep(Duration::from_millis(20));
    }
    assert!(is_closed(&mut idle));
    eventually("it is counted", || {
        server.control.counters().ended_idle == 1
    });
}

#[test]
fn a_connection_ends_with_its_lifetime_however_busy() {
    let server = Server::start("tcp://127.0.0.1:0?lifetime=200ms", 1);
    let mut client = server.connect();
    let start = Instant::now();
    while echoes(&mut client, b"x") {
        assert!(start.elapsed() < Duration::from_secs(20));
    }
    assert!(
        start.elapsed() >= Duration::from_millis(190),
        "{:?}",
        start.elapsed()
    );
    eventually("it is counted", || {
        server.control.counters().ended_lifetime == 1
    });
}

#[test]
fn a_drain_accepts_no_more_and_lets_connections_finish() {
    let server = Server::start("tcp://127.0.0.1:0", 2);
    let mut client = server.connect();
    assert!(echoes(&mut client, b"before"));
    let control = server.control.clone();
    control.drain(Duration::from_secs(20));
    let address = client.peer_addr().unwrap();
    let listener = Arc::clone(&server.listener);
    let url = listener.url().clone();
    assert!(echoes(&mut client, b"during"));
    drop(client);
    server.end(Duration::from_secs(20));
    drop(listener);
    assert!(TcpStream::connect(address).is_err(), "{url} still listens");
    assert_eq!(control.counters().undrained, 0);
}

#[test]
fn a_drain_gives_up_what_does_not_finish_in_time() {
    let server = Server::start("tcp://127.0.0.1:0", 1);
    let mut client = server.connect();
    assert!(echoes(&mut client, b"x"));
    let control = server.control.clone();
    server.end(Duration::from_millis(50));
    assert!(is_closed(&mut client));
    assert_eq!(control.counters().undrained, 1);
}

#[test]
fn one_that_never_reads_its_echo_does_not_delay_the_others() {
    let server = Server::start("tcp://127.0.0.1:0", 1);
    let mut deaf = server.connect();
    deaf.set_nonblocking(true).unwrap();
    let mut sent = 0_u64;
    while let Ok(length) = deaf.write(&[7; 65536]) {
        sent += length as u64;
        assert!(sent < 1 << 30, "the server has no back-pressure");
    }
    let mut client = server.connect();
    for _ in 0..100 {
        assert!(echoes(&mut client, b"still here"));
    }
}

#[test]
fn connections_that_come_to_nothing_leave_turns_to_others() {
    let (listener, control) = (listener("tcp://127.0.0.1:0"), Control::new());
    let url = listener.url().to_string();
    let address = url.strip_prefix("tcp://").unwrap().to_owned();
    let _first = TcpStream::connect(&address).unwrap();
    let mut followers = Vec::new();
    let mut engine = Engine::<Echo>::new(&control).unwrap();
    engine
        .listen(listener, move |_| {
            // Whoever is dropped is followed by another at once, and without end.
            assert!(followers.len() < 5000, "nothing else has a turn");
            followers.push(TcpStream::connect(&address).unwrap());
            None
        })
        .unwrap();
    assert!(engine.turn(Some(Duration::from_secs(20))).unwrap());
    control.drain(Duration::from_secs(20));
    assert!(!engine.turn(None).unwrap());
}

#[cfg(feature = "simulation")]
mod simulated {
    use std::os::unix::net::UnixStream;
    use std::sync::atomic::AtomicBool;

    use stream_socket::simulation::{Call, Fault, Plan, in_forked_child};

    use super::*;
    use crate::support::child::{Surroundings, run};

    const EMFILE: i32 = 24;

    /// Turns until `count` connections have come and gone.
    fn serve(engine: &mut Engine<Echo>, control: &Control, count: u64) -> bool {
        let start = Instant::now();
        while control.counters().closed < count && start.elapsed() < Duration::from_secs(20) {
            engine.turn(Some(Duration::from_millis(50))).unwrap();
        }
        control.counters().closed >= count
    }

    fn visit(address: &str) -> bool {
        let mut client = TcpStream::connect(address).unwrap();
        client
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        echoes(&mut client, b"x")
    }

    #[test]
    fn a_forked_child_goes_on_with_descriptors_of_its_own() {
        // Alone: the child would keep the sockets of other tests open.
        run(Surroundings::Alone, || {
            let (listener, control) = (listener("tcp://127.0.0.1:0"), Control::new());
            let address = listener
                .url()
                .to_string()
                .strip_prefix("tcp://")
                .unwrap()
                .to_owned();
            let mut engine = Engine::new(&control).unwrap();
            engine
                .listen(listener, |stream| Some(Echo::new(stream)))
                .unwrap();
            // A connection that is there before the fork stays the parent's to answer: the child
            // drops its half.
            let mut early = TcpStream::connect(&address).unwrap();
            assert!(engine.turn(Some(Duration::from_secs(5))).unwrap());
            let shared = std::cell::RefCell::new(&mut engine);
            let (child_control, visitors) = (control.clone(), address.clone());
            let passed = in_forked_child(
                || {
                    let mut engine = shared.borrow_mut();
                    // While the parent rests, all connections are the child's.
                    let client = thread::spawn(move || (0..20).all(|_| visit(&visitors)));
                    serve(&mut engine, &child_control, 20) && client.join().unwrap()
                },
                || {},
            );
            assert!(passed, "the child did not serve its clients");
            let visitors = address.clone();
            let client = thread::spawn(move || (0..20).all(|_| visit(&visitors)));
            early.write_all(b"y").unwrap();
            assert!(serve(&mut engine, &control, 20) && client.join().unwrap());
            early.read_exact(&mut [0]).unwrap();
        });
    }

    #[test]
    fn what_a_forked_child_adds_is_not_the_parents() {
        // Alone: the child would keep the sockets of other tests open.
        run(Surroundings::Alone, || {
            let [first, added] = [(), ()].map(|()| listener("tcp://127.0.0.1:0"));
            let address = added.url().to_string();
            let mut engine = Engine::new(&Control::new()).unwrap();
            engine
                .listen(first, |stream| Some(Echo::new(stream)))
                .unwrap();
            let shared = std::cell::RefCell::new(&mut engine);
            let add = || {
                let mut engine = shared.borrow_mut();
                let added = Arc::clone(&added);
                engine
                    .listen(added, |stream| Some(Echo::new(stream)))
                    .is_ok()
            };
            assert!(in_forked_child(add, || {}));
            let _waiting = TcpStream::connect(address.strip_prefix("tcp://").unwrap()).unwrap();
            let begun = Instant::now();
            assert!(engine.turn(Some(Duration::from_millis(100))).unwrap());
            assert!(begun.elapsed() >= Duration::from_millis(100));
        });
    }

    #[test]
    fn after_a_fork_both_halves_serve() {
        // Alone: the child would keep the sockets of other tests open.
        run(Surroundings::Alone, || {
            let (listener, control) = (listener("tcp://127.0.0.1:0"), Control::new());
            let address = listener
                .url()
                .to_string()
                .strip_prefix("tcp://")
                .unwrap()
                .to_owned();
            let mut engine = Engine::new(&control).unwrap();
            engine
                .listen(listener, |stream| Some(Echo::new(stream)))
                .unwrap();
            let shared = std::cell::RefCell::new(&mut engine);
            let (mut done, child_done) = UnixStream::pair().unwrap();
            done.set_nonblocking(true).unwrap();
            let passed = in_forked_child(
                || {
                    let served = serve(&mut shared.borrow_mut(), &control, 5);
                    (&child_done).write_all(b"x").unwrap();
                    served
                },
                || {
                    let (stop, stopped) = (AtomicBool::new(false), &AtomicBool::new(false));
                    thread::scope(|scope| {
                        scope.spawn(|| {
                            while !stop.load(Ordering::Relaxed) {
                                assert!(visit(&address));
                            }
                            stopped.store(true, Ordering::Relaxed);
                        });
                        let mut engine = shared.borrow_mut();
                        assert!(serve(&mut engine, &control, 5), "the parent had too few");
                        eventually("the child has had its five", || {
                            engine.turn(Some(Duration::from_millis(5))).unwrap();
                            done.read(&mut [0]).is_ok()
                        });
                        stop.store(true, Ordering::Relaxed);
                        eventually("the client stops", || {
                            engine.turn(Some(Duration::from_millis(5))).unwrap();
                            stopped.load(Ordering::Relaxed)
                        });
                    });
                },
            );
            assert!(passed, "the child had too few");
        });
    }

    #[test]
    fn without_descriptors_connections_wait_in_the_backlog_and_none_is_lost() {
        let (listener, control) = (listener("tcp://127.0.0.1:0"), Control::new());
        let address = listener
            .url()
            .to_string()
            .strip_prefix("tcp://")
            .unwrap()
            .to_owned();
        let mut engine = Engine::new(&control).unwrap();
        engine
            .listen(listener, |stream| Some(Echo::new(stream)))
            .unwrap();
        let mut clients: Vec<_> = (0..5)
            .map(|_| TcpStream::connect(&address).unwrap())
            .collect();
        let faults = [
            Fault::Pass,
            Fault::Errno(EMFILE),
            Fault::Pass,
            Fault::Errno(EMFILE),
        ];
        let plan = Plan::new(faults.map(|fault| (Call::Accept, fault)));
        let start = Instant::now();
        while engine.len() < 5 {
            assert!(start.elapsed() < Duration::from_secs(20));
            engine.turn(Some(Duration::from_millis(200))).unwrap();
        }
        assert_eq!((plan.left(), control.counters().exhausted), (0, 2));
        for client in &mut clients {
            client.write_all(b"x").unwrap();
            engine.turn(Some(Duration::from_secs(1))).unwrap();
            client.read_exact(&mut [0]).unwrap();
        }
    }

    #[test]
    fn without_descriptors_the_newcomer_is_closed_where_that_is_asked_for() {
        let url = "tcp://127.0.0.1:0?close_when_full=1";
        let (listener, control) = (listener(url), Control::new());
        let address = listener
            .url()
            .to_string()
            .strip_prefix("tcp://")
            .unwrap()
            .to_owned();
        let mut engine = Engine::new(&control).unwrap();
        engine
            .listen(listener, |stream| Some(Echo::new(stream)))
            .unwrap();
        let mut refused = TcpStream::connect(&address).unwrap();
        let _plan = Plan::new([(Call::Accept, Fault::Errno(EMFILE))]);
        engine.turn(Some(Duration::from_secs(1))).unwrap();
        assert!(is_closed(&mut refused));
        assert_eq!((engine.len(), control.counters().refused_full), (0, 1));
    }

    #[test]
    fn the_descriptor_to_refuse_with_is_regained_when_another_thread_took_it() {
        let url = "tcp://127.0.0.1:0?close_when_full=1";
        let (listener, control) = (listener(url), Control::new());
        let url = listener.url().to_string();
        let address = url.strip_prefix("tcp://").unwrap();
        let mut engine = Engine::new(&control).unwrap();
        engine
            .listen(listener, |stream| Some(Echo::new(stream)))
            .unwrap();
        let clients = [0, 1].map(|_| TcpStream::connect(address).unwrap());
        let none_left = Fault::Errno(EMFILE);
        let _plan = Plan::new([
            (Call::Accept, none_left),
            (Call::Accept, Fault::Pass),
            (Call::Socket, none_left),
            (Call::Accept, none_left),
            (Call::Accept, none_left),
        ]);
        let start = Instant::now();
        while control.counters().refused_full + engine.len() as u64 != 2 {
            assert!(start.elapsed() < Duration::from_secs(20));
            engine.turn(Some(Duration::from_millis(200))).unwrap();
        }
        assert!(engine.is_empty());
        for mut client in clients {
            assert!(is_closed(&mut client));
        }
    }
}
