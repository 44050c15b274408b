//! TLS in the engine: handshakes are work of the loop that accepted.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use stream_socket::engine::{Control, Engine, Next, Task, Turn, Wake};
use stream_socket::{Interest, Listener, Stream};

use super::listen_with;
use crate::support::certificates::{serving, trusting};
use crate::support::{PATIENCE, noise, patient, rest_of, until};

/// Sends back what comes.
struct Echo {
    _at_once: AtOnce,
    stream: Stream,
    pending: Vec<u8>,
}

/// One of those that are served at once, until it is dropped.
struct AtOnce(Arc<AtomicUsize>);

impl Drop for AtOnce {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Task for Echo {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        loop {
            while !self.pending.is_empty() {
                match self.stream.write(&self.pending) {
                    Ok(length) => drop(self.pending.drain(..length)),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {
                        return Next::Wait(Interest::WRITE);
                    }
                    Err(_) => return Next::Done,
                }
            }
            let buffer = turn.buffer();
            let room = buffer.len();
            match self.stream.read(buffer) {
                Ok(0) => return Next::Done,
                Ok(length) => {
                    self.pending.extend(&buffer[..length]);
                    if length < room && !wake.has_ended() {
                        // A short read is the last one.
                        match self.stream.write(&self.pending) {
                            Ok(sent) => drop(self.pending.drain(..sent)),
                            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                            Err(_) => return Next::Done,
                        }
                        if self.pending.is_empty() {
                            return Next::Wait(Interest::READ);
                        }
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    return Next::Wait(Interest::READ);
                }
                Err(_) => return Next::Done,
            }
        }
    }
}

/// Runs `clients` against two loops that echo; how many were served at once.
fn echoing(listener: Listener, clients: impl FnOnce(&Arc<Listener>, &Control)) -> usize {
    let (listener, control) = (Arc::new(listener), Control::new());
    let (live, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let loops: Vec<_> = (0..2)
        .map(|_| {
            let (listener, control) = (Arc::clone(&listener), control.clone());
            let (live, most) = (Arc::clone(&live), Arc::clone(&most));
            thread::spawn(move || {
                let mut engine = Engine::new(&control).unwrap();
                let pending = Vec::new;
                engine
                    .listen(listener, move |stream| {
                        assert!(stream.tls().is_some());
                        most.fetch_max(live.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        Some(Echo {
                            _at_once: AtOnce(Arc::clone(&live)),
                            stream,
                            pending: pending(),
                        })
                    })
                    .unwrap();
                engine.run().unwrap();
            })
        })
        .collect();
    clients(&listener, &control);
    control.stop();
    loops.into_iter().for_each(|one| one.join().unwrap());
    most.load(Ordering::SeqCst)
}

#[test]
fn tasks_get_connections_whose_handshake_is_finished() {
    let mut options = serving("localhost");
    options.tls.handshake_timeout = Some(Duration::from_millis(300));
    let listener = listen_with("tls://127.0.0.1:0", &options);
    echoing(listener, |listener, control| {
        let address = listener.url().target().to_string();
        let silent: Vec<_> = (0..20)
            .map(|_| TcpStream::connect(&address).unwrap())
            .collect();
        let mut rude = TcpStream::connect(&address).unwrap();
        rude.write_all(b"not TLS at all\r\n").unwrap();
        thread::scope(|scope| {
            for seed in 0..8 {
                scope.spawn(move || {
                    let stream = Stream::connect(listener.url(), &trusting()).unwrap();
                    let mut stream = patient(stream);
                    for length in [1, 100, 16_384, 300_000] {
                        let bytes = noise(length, seed);
                        let mut got = vec![0; length];
                        stream.write_all(&bytes).unwrap();
                        stream.read_exact(&mut got).unwrap();
                        assert!(got == bytes);
                    }
                    stream.shutdown(std::net::Shutdown::Write).unwrap();
                    assert_eq!(rest_of(&mut stream), b"");
                });
            }
        });
        until("the silent are given up", || {
            listener.handshakes().unwrap().timed_out == 20
        });
        let counters = listener.handshakes().unwrap();
        assert_eq!((counters.finished, counters.failed), (8, 1));
        assert_eq!(control.counters().accepted, 8);
        until("all are closed", || control.counters().closed == 8);
        drop(silent);
    });
}

#[test]
fn a_drain_lets_handshakes_finish() {
    let listener = listen_with("tls://127.0.0.1:0", &serving("localhost"));
    echoing(listener, |listener, control| {
        let socket = TcpStream::connect(listener.url().target().to_string()).unwrap();
        // One who has connected and says nothing yet; another, so that it has been accepted.
        let other = Stream::connect(listener.url(), &trusting()).unwrap();
        until("somebody is accepted", || control.counters().accepted == 1);
        control.drain(PATIENCE);
        let mut late = Stream::try_from(std::os::fd::OwnedFd::from(socket)).unwrap();
        let mut options = trusting().tls;
        options.peer_name = Some("localhost".to_owned());
        late.start_tls_client(&options).unwrap();
        late.write_all(b"x").unwrap();
        late.read_exact(&mut [0]).unwrap();
        drop((late, other));
    });
}

/// Those that never finish have none, and those that finish when there is none wait for one.
#[test]
fn no_more_tasks_than_places_and_none_for_a_handshake() {
    let mut options = serving("localhost");
    options.max_connections = Some(2);
    let listener = listen_with("tls://127.0.0.1:0", &options);
    let most = echoing(listener, |listener, control| {
        let address = listener.url().target().to_string();
        let silent: Vec<_> = (0..20)
            .map(|_| TcpStream::connect(&address).unwrap())
            .collect();
        thread::scope(|scope| {
            for _ in 0..30 {
                scope.spawn(|| {
                    let stream = Stream::connect(listener.url(), &trusting()).unwrap();
                    let mut stream = patient(stream);
                    stream.write_all(b"x").unwrap();
                    stream.read_exact(&mut [0]).unwrap();
                });
            }
        });
        until("all are served", || control.counters().closed == 30);
        drop(silent);
    });
    assert_eq!(most, 2);
}
