//! TLS over a system that interrupts, shortens and refuses its calls, by a seed.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;

use stream_socket::simulation::{Call, Fault, Plan};
use stream_socket::{Stream, TlsClientOptions, TlsServerOptions, Transport};

use crate::support::certificates::{serving, trusting};
use crate::support::{noise, pair};

const SEEDS: u64 = 200;
const BYTES: usize = 90_000;

/// Numbers that follow from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        // Knuth's linear congruential generator, of which the upper bits are good enough.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn faults(&mut self) -> Vec<(Call, Fault)> {
        let count = self.below(200);
        (0..count).map(|_| self.fault()).collect()
    }

    fn fault(&mut self) -> (Call, Fault) {
        let call = if self.below(2) == 0 {
            Call::Receive
        } else {
            Call::Send
        };
        let fault = match self.below(4) {
            0 => Fault::Errno(libc::EINTR),
            1 => Fault::Errno(libc::EAGAIN),
            2 => Fault::Short(1 + self.below(40) as usize),
            _ => Fault::Short(1 + self.below(20_000) as usize),
        };
        (call, fault)
    }
}

/// One end: what it still has to send, and what it has got.
struct End {
    stream: Stream,
    output: Vec<u8>,
    sent: usize,
    got: Vec<u8>,
    has_closed: bool,
    is_done: bool,
}

impl End {
    fn new(mut stream: Stream, seed: u64) -> Self {
        stream.set_blocking(false);
        Self {
            stream,
            output: noise(BYTES, seed),
            sent: 0,
            got: Vec::new(),
            has_closed: false,
            is_done: false,
        }
    }

    /// Writes and reads as much as may be, in portions of any size.
    fn advance(&mut self, random: &mut Random) -> std::io::Result<()> {
        if self.sent < BYTES {
            let end = BYTES.min(self.sent + 1 + random.below(70_000) as usize);
            match self.stream.write(&self.output[self.sent..end]) {
                Ok(length) => self.sent += length,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        } else if !self.has_closed {
            match self.stream.shutdown(Shutdown::Write) {
                Ok(()) => self.has_closed = true,
                Err(error) if error.io_kind() == ErrorKind::WouldBlock => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut room = vec![0; 1 + random.below(40_000) as usize];
        match self.stream.read(&mut room) {
            Ok(0) => self.is_done = true,
            Ok(length) => self.got.extend(&room[..length]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn options() -> (TlsServerOptions, TlsClientOptions) {
    let mut client = trusting().tls;
    client.peer_name = Some("localhost".to_owned());
    (serving("localhost").tls, client)
}

/// Both ends in one thread, by turns, until both are done.
fn exchange(seed: u64, faults: Vec<(Call, Fault)>) -> std::io::Result<[Vec<u8>; 2]> {
    let (server, client) = options();
    let (near, far) = pair(Transport::Unix);
    let mut random = Random(seed);
    let (mut near, mut far) = (End::new(near, seed), End::new(far, seed + SEEDS));
    let _plan = Plan::new(faults);
    near.stream.start_tls_server(&server)?;
    far.stream.start_tls_client(&client)?;
    for _ in 0..100_000 {
        near.advance(&mut random)?;
        far.advance(&mut random)?;
        if near.is_done && far.is_done && near.has_closed && far.has_closed {
            return Ok([near.got, far.got]);
        }
    }
    panic!(
        "seed {seed} goes on for ever: sent {} and {}, got {} and {}",
        near.sent,
        far.sent,
        near.got.len(),
        far.got.len()
    );
}

#[test]
fn whatever_the_system_does_all_comes_whole() {
    for seed in 0..SEEDS {
        let faults = Random(seed).faults();
        let got = exchange(seed, faults).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert!(got[0] == noise(BYTES, seed + SEEDS), "seed {seed}");
        assert!(got[1] == noise(BYTES, seed), "seed {seed}");
    }
}

#[test]
fn a_call_that_fails_ends_it_with_its_number() {
    for seed in 0..SEEDS / 4 {
        let mut random = Random(seed);
        let mut faults = random.faults();
        let (call, errno) = if seed % 2 == 0 {
            (Call::Receive, libc::ECONNRESET)
        } else {
            (Call::Send, libc::EPIPE)
        };
        faults.push((call, Fault::Errno(errno)));
        match exchange(seed, faults) {
            Ok(got) => assert!(got[0] == noise(BYTES, seed + SEEDS), "seed {seed}"),
            Err(error) => {
                let error = stream_socket::Error::in_io(&error).unwrap();
                assert_eq!(error.errno(), Some(errno), "seed {seed}: {error}");
            }
        }
    }
}
