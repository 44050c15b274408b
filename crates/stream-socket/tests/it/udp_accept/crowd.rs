//! Many peers that send at once: none loses a datagram, none gets another's.

use super::*;

/// What a client of the crowd sends: who it is and which of its datagrams this is.
fn numbered(id: u32, sequence: u32) -> [u8; 8] {
    let mut datagram = [0; 8];
    datagram[..4].copy_from_slice(&id.to_ne_bytes());
    datagram[4..].copy_from_slice(&sequence.to_ne_bytes());
    datagram
}

fn numbers(datagram: &[u8]) -> (u32, u32) {
    let word = |at: usize| u32::from_ne_bytes(datagram[at..at + 4].try_into().unwrap());
    assert_eq!(datagram.len(), 8);
    (word(0), word(4))
}

/// Threads with sockets that send at once, each `burst` datagrams before it waits for as many
/// answers: little enough for the receive buffer of the server.
pub(super) struct Crowd {
    pub(super) threads: u32,
    pub(super) sockets: u32,
    pub(super) rounds: u32,
    pub(super) burst: u32,
}

impl Crowd {
    pub(super) fn sockets(&self) -> u32 {
        self.threads * self.sockets
    }

    pub(super) fn datagrams(&self) -> u32 {
        self.sockets() * self.rounds * self.burst
    }

    pub(super) fn send(&self, server: SocketAddr) -> Vec<thread::JoinHandle<()>> {
        let start = Arc::new(Barrier::new(self.threads as usize));
        let (sockets, rounds, burst) = (self.sockets, self.rounds, self.burst);
        let run = |thread: u32| {
            let start = Arc::clone(&start);
            thread::spawn(move || {
                let ids = thread * sockets..(thread + 1) * sockets;
                let clients: Vec<_> = ids.map(|id| (id, client(server))).collect();
                start.wait();
                for round in 0..rounds {
                    let sequences = round * burst..(round + 1) * burst;
                    for sequence in sequences.clone() {
                        for (id, client) in &clients {
                            client.send(&numbered(*id, sequence)).unwrap();
                        }
                    }
                    for (id, client) in &clients {
                        let mut answered: Vec<_> =
                            sequences.clone().map(|_| numbers(&said(client))).collect();
                        answered.sort_unstable();
                        let sent: Vec<_> = sequences.clone().map(|number| (*id, number)).collect();
                        assert_eq!(answered, sent);
                    }
                }
            })
        };
        (0..self.threads).map(run).collect()
    }
}

/// A server's side of one member of the crowd.
pub(super) struct Served {
    pub(super) stream: Stream,
    id: Option<u32>,
    next: u32,
    count: u32,
}

impl Served {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            stream,
            id: None,
            next: 0,
            count: 0,
        }
    }

    /// Reads and answers what has come; how many datagrams.
    pub(super) fn serve(&mut self, in_order: bool) -> u32 {
        self.stream.set_blocking(false);
        let mut served = 0;
        let mut buffer = [0; 64];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(length) => {
                    let (id, sequence) = numbers(&buffer[..length]);
                    assert_eq!(*self.id.get_or_insert(id), id, "another peer's datagram");
                    assert!(
                        !in_order || self.next == sequence,
                        "{sequence} for {}",
                        self.next
                    );
                    self.next = sequence + 1;
                    self.stream.write_all(&buffer[..length]).unwrap();
                    served += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock, "{error}");
                    self.count += served;
                    return served;
                }
            }
        }
    }
}

#[test]
fn thousands_of_peers_on_one_socket_each_get_their_own_in_order() {
    let crowd = Crowd {
        threads: 4,
        sockets: 500,
        rounds: 4,
        burst: 2,
    };
    let listener = bind("udp://127.0.0.1:0");
    let sending = crowd.send(address(&listener));
    let mut served: Vec<Served> = Vec::new();
    let mut left = crowd.datagrams();
    while left > 0 {
        while let Ok(stream) = listener.accept(NOW) {
            served.push(Served::new(stream));
        }
        left -= served.iter_mut().map(|peer| peer.serve(true)).sum::<u32>();
    }
    sending
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(served.len(), crowd.sockets() as usize);
    assert!(!served.iter().any(|peer| is_separate(&peer.stream)));
    let counted = listener.peers().unwrap();
    assert_eq!(
        (counted.refused, counted.overflowed, counted.queued_bytes),
        (0, 0, 0)
    );
}

#[test]
fn own_sockets_made_under_fire_lose_nothing_and_mix_nothing_up() {
    for host in ["127.0.0.1", "0.0.0.0"] {
        let crowd = Crowd {
            threads: 4,
            sockets: 100,
            rounds: 10,
            burst: 4,
        };
        let listener = bind(&format!("udp://{host}:0"));
        let server = SocketAddr::from(([127, 0, 0, 1], address(&listener).port()));
        let sending = crowd.send(server);
        let mut served: Vec<Served> = Vec::new();
        let mut left = crowd.datagrams();
        while left > 0 {
            while let Ok(stream) = listener.accept(NOW) {
                stream.as_fd();
                served.push(Served::new(stream));
            }
            // What was under way while a socket was made may be overtaken by what followed it.
            left -= served.iter_mut().map(|peer| peer.serve(false)).sum::<u32>();
        }
        sending
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(served.len(), crowd.sockets() as usize);
        assert!(
            served
                .iter()
                .all(|peer| is_separate(&peer.stream) && peer.count == 40)
        );
    }
}

#[test]
fn own_sockets_of_silent_peers_keep_nothing_from_others() {
    let crowd = Crowd {
        threads: 4,
        sockets: 25,
        rounds: 10,
        burst: 3,
    };
    let listener = bind("udp://127.0.0.1:0");
    let server = address(&listener);
    let silent: Vec<_> = (0..500).map(|_| client(server)).collect();
    let accept_silent = |peer: &UdpSocket| {
        peer.send(b"?").unwrap();
        let mut stream = accept(&listener);
        assert_eq!(read(&mut stream), b"?");
        Served::new(stream)
    };
    let mut served: Vec<_> = silent.iter().map(accept_silent).collect();
    let sending = crowd.send(server);
    let mut left = crowd.datagrams();
    while left > 0 {
        let mut members = vec![Member::new(&listener, Interest::READ)];
        let streams = served.iter().map(|peer| &peer.stream);
        members.extend(streams.map(|stream| Member::new(stream, Interest::READ)));
        assert!(select(&mut members, Some(LONG)).unwrap() > 0);
        let ready: Vec<_> = members
            .iter()
            .map(|member| member.readiness().readable)
            .collect();
        let ready_peers = served.iter_mut().zip(&ready[1..]);
        left -= ready_peers
            .filter(|(_, ready)| **ready)
            .map(|(peer, _)| peer.serve(false))
            .sum::<u32>();
        if ready[0]
            && let Ok(stream) = listener.accept(NOW)
        {
            served.push(Served::new(stream));
        }
    }
    sending
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let (silent, loud) = served.split_at(silent.len());
    assert!(silent.iter().all(|peer| peer.count == 0));
    assert!(loud.len() == 100 && loud.iter().all(|peer| peer.count == 30));
}

#[test]
fn what_comes_while_an_own_socket_is_made_needs_no_accept_to_be_read() {
    let listener = bind("udp://127.0.0.1:0");
    let server = address(&listener);
    let (start, started) = mpsc::channel::<()>();
    let (finish, finished) = mpsc::channel();
    let sending = thread::spawn(move || {
        for () in started {
            let peer = client(server);
            for number in 0..20 {
                peer.send(&numbered(0, number)).unwrap();
            }
            finish.send(peer).unwrap();
        }
    });
    for _ in 0..ROUNDS {
        start.send(()).unwrap();
        let mut stream = accept(&listener);
        stream.as_fd();
        for expected in 0..20 {
            assert_eq!(numbers(&read(&mut stream)).1, expected);
        }
        finished.recv().unwrap();
    }
    drop(start);
    sending.join().unwrap();
}

#[test]
fn streams_dropped_under_fire_leave_every_datagram_to_another() {
    let crowd = Crowd {
        threads: 4,
        sockets: 50,
        rounds: 10,
        burst: 3,
    };
    let listener = bind("udp://127.0.0.1:0");
    let sending = crowd.send(address(&listener));
    for number in 0..crowd.datagrams() {
        let mut stream = accept(&listener);
        if number % 2 == 0 {
            stream.as_fd();
        }
        let datagram = read(&mut stream);
        stream.write_all(&datagram).unwrap();
    }
    sending
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    assert_eq!(listener.peers().unwrap().known, 0);
}

#[test]
fn one_thread_accepts_while_others_read() {
    let crowd = Crowd {
        threads: 4,
        sockets: 10,
        rounds: 40,
        burst: 3,
    };
    let listener = bind("udp://127.0.0.1:0");
    let sending = crowd.send(address(&listener));
    let done = Arc::new(AtomicBool::new(false));
    let (report, reports) = mpsc::channel();
    let accepting = {
        let done = Arc::clone(&done);
        thread::spawn(move || {
            let mut readers = Vec::new();
            while !done.load(Ordering::SeqCst) {
                let Ok(mut stream) = listener.accept(Some(Duration::from_millis(20))) else {
                    continue;
                };
                let report = report.clone();
                // Blocking reads, each in a thread of its own.
                readers.push(thread::spawn(move || {
                    let mut seen: HashMap<u32, u32> = HashMap::new();
                    for _ in 0..120 {
                        let datagram = read(&mut stream);
                        let (id, sequence) = numbers(&datagram);
                        *seen.entry(id).or_default() += sequence;
                        stream.write_all(&datagram).unwrap();
                    }
                    report.send(seen).unwrap();
                }));
            }
            readers
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            listener.peers().unwrap()
        })
    };
    let all: Vec<_> = reports.iter().take(crowd.sockets() as usize).collect();
    done.store(true, Ordering::SeqCst);
    sending
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    let counted = accepting.join().unwrap();
    assert_eq!((counted.accepted, counted.overflowed), (40, 0));
    for seen in all {
        assert_eq!(
            seen.values().copied().collect::<Vec<_>>(),
            [(0..120).sum::<u32>()]
        );
    }
}
