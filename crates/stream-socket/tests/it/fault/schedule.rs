//! Transfers that are cut short, interrupted and made to wait by a schedule from a seed.

use std::io::{BufRead, Read, Write};

use stream_socket::simulation::{Call, Fault, Plan};
use stream_socket::{Stream, Transport};

use crate::support::{noise, pair, tcp_pair};

/// A small random number generator, so that a schedule can be had again by its seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn fault(&mut self) -> Fault {
        match self.below(8) {
            0 => Fault::Errno(libc::EINTR),
            1 => Fault::Errno(libc::EAGAIN),
            2 => Fault::Pass,
            3 => Fault::Short(1),
            _ => Fault::Short(1 + self.below(9000) as usize),
        }
    }
}

#[test]
fn short_and_interrupted_transfers_lose_nothing() {
    for seed in 0..3000 {
        transfer(seed, pair(Transport::Unix), 3000);
    }
    for seed in 0..4 {
        transfer(seed, pair(Transport::Unix), 1 << 20);
        transfer(seed, tcp_pair(), 1 << 20);
    }
}

/// Moves bytes from one end to the other, in pieces that the kernel has room for.
fn transfer(seed: u64, (mut here, mut there): (Stream, Stream), length: usize) {
    const PIECE: usize = 32 * 1024;
    let mut random = Random(seed);
    let sent = noise(length, seed);
    let mut received = Vec::new();
    for piece in sent.chunks(PIECE) {
        let faults = (0..40).map(|_| {
            let call = if random.below(2) == 0 {
                Call::Send
            } else {
                Call::Receive
            };
            (call, random.fault())
        });
        let _plan = Plan::new(faults.collect::<Vec<_>>());
        here.write_all(piece).unwrap();
        let wanted = received.len() + piece.len();
        while received.len() < wanted {
            take_some(&mut there, &mut received, wanted, &mut random);
        }
    }
    assert!(received == sent, "seed {seed}");
    let counted = (here.bytes_sent(), there.bytes_received());
    assert_eq!(counted, (length as u64, length as u64), "seed {seed}");
}

/// Reads in one of the ways there are, and never more than is on its way.
fn take_some(stream: &mut Stream, received: &mut Vec<u8>, wanted: usize, random: &mut Random) {
    let left = wanted - received.len();
    match random.below(4) {
        0 => {
            let mut buffer = vec![0; left.min(1 + random.below(5000) as usize)];
            let length = stream.read(&mut buffer).unwrap();
            received.extend_from_slice(&buffer[..length]);
        }
        1 => {
            let bytes = stream.fill_buf().unwrap();
            let length = bytes.len().min(left);
            received.extend_from_slice(&bytes[..length]);
            stream.consume(length);
        }
        2 => {
            let limit = left.min(1 + random.below(5000) as usize);
            stream.read_record(received, b"", limit).unwrap();
        }
        _ => {
            let limit = left.min(1 + random.below(300) as usize);
            stream.read_line(received, limit).unwrap();
        }
    }
}
