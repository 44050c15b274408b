//! Thousands of schedules of relays, each from a seed: what clients and targets do, in which order
//! events are reported, what fails, and how the clock moves. See `engine_schedules.rs`.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use stream_socket::engine::{Control, Dial, Engine, Relay};
use stream_socket::simulation::{Call, Fault, Plan, advance};
use stream_socket::{ConnectOptions, Error, Result, Route, Stream};

use crate::engine::listener;
use crate::engine_schedules::Random;
use crate::support::child::{Surroundings, run};

const SCHEDULES: u64 = 2000;
const STEPS: u32 = 150;
const PAIRS: usize = 5;
/// Turns after which one who waits waits for ever: a minute of the clock that tests push.
const PATIENCE: u32 = 3000;
/// Turns within which an end is passed on: 20 s, before the limit for silence that comes after it.
const SOON: u32 = 1000;
const SILENCE: Duration = Duration::from_secs(45);
const EINTR: i32 = 4;
const EMFILE: i32 = 24;
const ECONNRESET: i32 = 104;
const ECONNREFUSED: i32 = 111;

/// What is sent, from some place on.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| (0..=250).cycle().take(200_000).collect());

/// Dials a path, three times.
struct ToPath {
    url: String,
    left: u32,
}

impl Dial for ToPath {
    fn dial(&mut self, _client: &Stream) -> Result<Route> {
        Route::new(&*self.url, &ConnectOptions::default())
    }

    fn failed(&mut self, _error: &Error) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        Some(Duration::from_millis(10))
    }
}

/// One who uses the relay: a client or a target.
struct Peer {
    stream: Option<UnixStream>,
    sent: Vec<u8>,
    received: Vec<u8>,
    finished: bool,
    /// Whether it has read the end, and whether that was an orderly one.
    ended: Option<bool>,
    cannot_send: bool,
}

impl Peer {
    fn new(stream: UnixStream) -> Self {
        stream.set_nonblocking(true).unwrap();
        let (sent, received) = (Vec::new(), Vec::new());
        Self {
            stream: Some(stream),
            sent,
            received,
            finished: false,
            ended: None,
            cannot_send: false,
        }
    }

    fn send(&mut self, random: &mut Random, most: u64) {
        let Some(stream) = self.stream.as_mut().filter(|_| !self.finished) else {
            return;
        };
        let start = random.below(256) as usize;
        let bytes = &PATTERN[start..start + 1 + random.below(most) as usize];
        match stream.write(bytes) {
            Ok(length) => self.sent.extend_from_slice(&bytes[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.cannot_send = true,
        }
    }

    fn receive(&mut self, random: &mut Random) {
        let Some(stream) = self.stream.as_mut().filter(|_| self.ended.is_none()) else {
            return;
        };
        let mut bytes = vec![0; 1 + random.below(200_000) as usize];
        match stream.read(&mut bytes) {
            Ok(0) => self.ended = Some(true),
            Ok(length) => self.received.extend_from_slice(&bytes[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.ended = Some(false),
        }
    }

    fn finish(&mut self) {
        if let Some(stream) = self.stream.as_ref().filter(|_| !self.finished) {
            self.finished = true;
            // One whose relay is gone has nobody to tell.
            _ = stream.shutdown(Shutdown::Write);
        }
    }

    fn is_over(&self) -> bool {
        self.stream.is_none() || self.ended.is_some()
    }
}

struct Pair {
    client: Peer,
    target: Peer,
}

impl Pair {
    /// What a peer has got is the beginning of what the other has sent; all of it, if both
    /// finished in order.
    fn check(&self, may_break: bool) -> std::result::Result<(), String> {
        let left = self.client.stream.is_none() || self.target.stream.is_none();
        for (from, to, way) in [
            (&self.client, &self.target, "up"),
            (&self.target, &self.client, "down"),
        ] {
            if !from.sent.starts_with(&to.received) {
                return Err(format!("{way}: other bytes came than were sent"));
            }
            let is_all = from.sent.len() == to.received.len();
            if to.is_over() && !is_all && !left && !may_break {
                let (sent, received) = (from.sent.len(), to.received.len());
                return Err(format!("{way}: sent {sent} bytes, got {received}"));
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.client.is_over() && self.target.is_over()
    }
}

fn faults(random: &mut Random) -> Vec<(Call, Fault)> {
    (0..random.below(20))
        .map(|_| match random.below(9) {
            0 => (Call::Receive, Fault::Errno(EINTR)),
            1 => (Call::Send, Fault::Errno(EINTR)),
            2 => (Call::Connect, Fault::Errno(ECONNREFUSED)),
            3 => (Call::Pipe, Fault::Errno(EMFILE)),
            4 | 5 => (Call::Send, Fault::Short(1 + random.below(20_000) as usize)),
            6 => (
                Call::Receive,
                Fault::Short(1 + random.below(20_000) as usize),
            ),
            7 => (Call::Receive, Fault::Pass),
            _ => (Call::Send, Fault::Pass),
        })
        .collect()
}

/// A world of one relay server, between two paths.
struct World {
    engine: Engine<Relay<ToPath>>,
    control: Control,
    backend: UnixListener,
    pairs: Vec<Pair>,
}

impl World {
    fn new(folder: &Path, options: &str) -> Self {
        let (path, target) = (folder.join("relay.sock"), folder.join("target.sock"));
        _ = std::fs::remove_file(&target);
        let backend = UnixListener::bind(&target).unwrap();
        backend.set_nonblocking(true).unwrap();
        let control = Control::new();
        let mut engine = Engine::new(&control).unwrap();
        let url = format!("unix://{}?{options}", target.display());
        let listener = listener(&format!("unix://{}?{options}", path.display()));
        engine
            .listen(listener, move |client| {
                let url = url.clone();
                let relay = Relay::new(client, ToPath { url, left: 3 });
                Some(relay.half_closed(SILENCE))
            })
            .unwrap();
        Self {
            engine,
            control,
            backend,
            pairs: Vec::new(),
        }
    }

    fn turn(&mut self) {
        self.engine.turn(Some(Duration::ZERO)).unwrap();
    }

    /// A client comes, and waits until the target has it or gives up.
    fn connect(&mut self, folder: &Path) {
        let client = UnixStream::connect(folder.join("relay.sock")).unwrap();
        let mut client = Peer::new(client);
        for _ in 0..60 {
            self.turn();
            if let Ok((target, _)) = self.backend.accept() {
                let target = Peer::new(target);
                self.pairs.push(Pair { client, target });
                return;
            }
            advance(Duration::from_millis(2));
            client.receive(&mut Random(1));
        }
    }

    /// Lets everybody receive until all pairs are as they should be; within `turns`.
    fn settle(
        &mut self,
        random: &mut Random,
        may_break: bool,
        turns: u32,
        is_settled: impl Fn(&Pair) -> bool,
    ) -> std::result::Result<(), String> {
        for _ in 0..turns {
            self.turn();
            advance(Duration::from_millis(20));
            for pair in &mut self.pairs {
                pair.client.receive(random);
                pair.target.receive(random);
                if pair.is_over() {
                    pair.check(may_break)?;
                }
            }
            if self.pairs.iter().all(&is_settled) {
                return Ok(());
            }
        }
        let count = self.pairs.iter().filter(|pair| !is_settled(pair)).count();
        Err(format!("{count} pairs wait for ever"))
    }

    /// All finish what they began, clients first, and everybody sees the end.
    fn finish(&mut self, random: &mut Random, may_break: bool) -> std::result::Result<(), String> {
        self.pairs.iter_mut().for_each(|pair| pair.client.finish());
        let is_told = |pair: &Pair| pair.target.is_over();
        self.settle(random, may_break, SOON, is_told)?;
        self.pairs.iter_mut().for_each(|pair| pair.target.finish());
        self.settle(random, may_break, PATIENCE, Pair::is_over)?;
        let mut turns = 0;
        while !self.engine.is_empty() && turns < PATIENCE {
            self.turn();
            advance(Duration::from_millis(20));
            turns += 1;
        }
        let (tasks, counters) = (self.engine.len(), self.control.counters());
        if tasks > 0 || counters.accepted != counters.closed {
            return Err(format!("{tasks} relays are left; {counters:?}"));
        }
        Ok(())
    }
}

fn schedule(seed: u64, folder: &Path) -> std::result::Result<(), String> {
    let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    // The smallest buffers that there are, or such that a direction becomes bulky.
    let (options, most) = match random.below(2) {
        0 => ("send_buffer=1", 20_000),
        _ => ("send_buffer=200000", 150_000),
    };
    let mut world = World::new(folder, options);
    let resets = random.below(5) == 0;
    let mut planned = faults(&mut random);
    if resets {
        planned.push((Call::Receive, Fault::Errno(ECONNRESET)));
    }
    let _plan = Plan::new(planned).shuffled(random.below(u64::MAX));
    for _ in 0..STEPS {
        let count = world.pairs.len();
        let index = random.below(count.max(1) as u64) as usize;
        let Some(pair) = world.pairs.get_mut(index) else {
            world.connect(folder);
            continue;
        };
        let peer = match random.below(2) {
            0 => &mut pair.client,
            _ => &mut pair.target,
        };
        match random.below(12) {
            0 if count < PAIRS => world.connect(folder),
            1..=4 => peer.send(&mut random, most),
            5 | 6 => peer.receive(&mut random),
            7 if random.below(4) == 0 => peer.finish(),
            8 if random.below(10) == 0 => peer.stream = None,
            9 => advance(Duration::from_millis(random.below(40))),
            _ => world.turn(),
        }
    }
    world.finish(&mut random, resets)
}

#[test]
fn every_schedule_passes_all_on_and_leaves_nothing_behind() {
    run(Surroundings::Alone, || {
        let folder = tempfile::tempdir().unwrap();
        let only = std::env::var("SEED")
            .ok()
            .and_then(|seed| seed.parse().ok());
        let seeds = only.map_or(0..SCHEDULES, |seed| seed..seed + 1);
        for seed in seeds {
            if let Err(error) = schedule(seed, folder.path()) {
                panic!("SEED={seed}: {error}");
            }
        }
    });
}
