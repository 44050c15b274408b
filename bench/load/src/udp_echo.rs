//! Datagrams that come back, with a window, so that no queue overflows: the row `udp-echo`.
//!
//! A datagram has a slot of its socket's window, and says which and how often it was used: what
//! comes back twice, late, altered or to another socket is an error, and so is what doesn't.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::sockopt::{UdpGroSegment, UdpGsoSegment};
use nix::sys::socket::{
    MsgFlags, MultiHeaders, SockaddrIn, recv, recvmmsg, send, sendmmsg, setsockopt,
};

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::socket::{datagram, parts, parts_mut};
use crate::turn::Work;

/// The largest that several datagrams can be as one.
const JOINED_BYTES: usize = 65_536;

/// The datagrams of one socket that are under way, one behind the other.
#[derive(Debug)]
struct Window {
    socket: OwnedFd,
    size: usize,
    slots: Vec<Vec<u8>>,
    is_out: Vec<bool>,
}

impl Window {
    fn new(arguments: &Arguments, number: u32) -> Result<Self, Failure> {
        let size: usize = arguments.number("--size")?;
        let slots: u32 = arguments.number("--window")?;
        let slot = |slot: u32| {
            let mut bytes: Vec<u8> = (0..size).map(|index| b'a' + (index % 26) as u8).collect();
            let head = [number, slot, 0].map(u32::to_be_bytes).concat();
            bytes.splice(..head.len().min(size), head);
            bytes
        };
        Ok(Self {
            socket: datagram(arguments.address)?,
            size,
            slots: (0..slots).map(slot).collect(),
            is_out: vec![false; slots as usize],
        })
    }

    /// The next use of a slot.
    fn renew(&mut self, slot: usize) {
        let bytes = &mut self.slots[slot];
        let round = bytes[8..12]
            .iter()
            .fold(0_u32, |sum, byte| sum << 8 | u32::from(*byte));
        bytes[8..12].copy_from_slice(&round.wrapping_add(1).to_be_bytes());
        self.is_out[slot] = true;
    }

    /// The slot that an answer belongs to, which is free from now on.
    fn take(&mut self, answer: &[u8]) -> Result<usize, Failure> {
        let slot = answer.get(4..8).map_or(0, |bytes| {
            bytes
                .iter()
                .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
        });
        match self.slots.get(slot) {
            Some(bytes) if bytes == answer && self.is_out[slot] => {
                self.is_out[slot] = false;
                Ok(slot)
            }
            _ => Err(Failure::new(format!(
                "{} bytes came back that were not sent, or twice: \"{}\"",
                answer.len(),
                answer[..answer.len().min(16)].escape_ascii()
            ))),
        }
    }

    fn lost(&self, what: &str, errno: nix::errno::Errno) -> Failure {
        let out = self.is_out.iter().filter(|is_out| **is_out).count();
        let failure = Failure::call(what, errno);
        Failure::new(format!("{failure}, {out} datagrams of a window under way"))
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let sockets: u32 = arguments.number("--sockets")?;
    let mut windows = (0..sockets)
        .map(|number| Window::new(arguments, number))
        .collect::<Result<Vec<_>, _>>()?;
    match arguments.text("--segments")? {
        "alone" => alone(arguments, &mut windows),
        "joined" => joined(arguments, &mut windows),
        other => Err(Failure::new(format!(
            "--segments is `{other}`: alone, joined"
        ))),
    }
}

/// Each datagram on its own, as from many clients; sent and received in batches to be cheap here.
fn alone(arguments: &Arguments, windows: &mut [Window]) -> Result<(), Failure> {
    let size = windows
        .iter()
        .map(|window| window.slots.len())
        .max()
        .unwrap_or(0);
    let mut batch = Batch::new(size, windows.first().map_or(0, |window| window.size));
    for window in &mut *windows {
        // A server that makes a socket for each peer has made it before anything is counted.
        batch.send(window, &[0])?;
        batch.receive(window)?;
    }
    let mut work = Work::begin(arguments.span()?)?;
    for window in &mut *windows {
        let all: Vec<usize> = (0..window.slots.len()).collect();
        batch.send(window, &all)?;
    }
    let mut count = 0;
    'work: loop {
        for window in &mut *windows {
            if !work.goes_on() {
                break 'work;
            }
            let freed = batch.receive(window)?;
            count += freed.len() as u64;
            batch.send(window, &freed)?;
        }
    }
    for window in windows {
        while window.is_out.contains(&true) {
            count += batch.receive(window)?.len() as u64;
        }
    }
    work.end(count)
}

/// What recvmmsg and sendmmsg need, kept between calls.
struct Batch {
    headers: MultiHeaders<SockaddrIn>,
    answers: Vec<Vec<u8>>,
    outgoing: Vec<Vec<u8>>,
}

impl Batch {
    fn new(window: usize, size: usize) -> Self {
        Self {
            headers: MultiHeaders::preallocate(window, None),
            // One byte more shows an answer that is too long.
            answers: vec![vec![0; size + 1]; window],
            outgoing: vec![vec![0; size]; window],
        }
    }

    fn send(&mut self, window: &mut Window, slots: &[usize]) -> Result<(), Failure> {
        for (bytes, slot) in self.outgoing.iter_mut().zip(slots) {
            window.renew(*slot);
            bytes.copy_from_slice(&window.slots[*slot]);
        }
        let mut sent = 0;
        while sent < slots.len() {
            let parts = parts(&self.outgoing[sent..slots.len()]);
            let peers = vec![None; parts.len()];
            let flags = MsgFlags::empty();
            let socket = window.socket.as_raw_fd();
            sent += sendmmsg(socket, &mut self.headers, &parts, &peers, [], flags)
                .map_err(|errno| window.lost("send", errno))?
                .count();
        }
        Ok(())
    }

    fn receive(&mut self, window: &mut Window) -> Result<Vec<usize>, Failure> {
        let socket = window.socket.as_raw_fd();
        let mut parts = parts_mut(&mut self.answers);
        let received = recvmmsg(
            socket,
            &mut self.headers,
            parts.iter_mut(),
            MsgFlags::MSG_WAITFORONE,
            None,
        );
        let lengths: Vec<usize> = received
            .map_err(|errno| window.lost("receive", errno))?
            .map(|message| message.bytes)
            .collect();
        self.answers
            .iter()
            .zip(lengths)
            .map(|(answer, length)| window.take(&answer[..length]))
            .collect()
    }
}

/// A window is one send, which the kernel keeps whole as far as the receiver can take it so: the
/// peer that GSO and GRO are made for.
fn joined(arguments: &Arguments, windows: &mut [Window]) -> Result<(), Failure> {
    let failed = |errno| Failure::call("set up segmentation", errno);
    for window in &*windows {
        let size = i32::try_from(window.size).unwrap_or(i32::MAX);
        setsockopt(&window.socket, UdpGsoSegment, &size).map_err(failed)?;
        setsockopt(&window.socket, UdpGroSegment, &true).map_err(failed)?;
    }
    let mut buffer = vec![0; JOINED_BYTES];
    let mut work = Work::begin(arguments.span()?)?;
    for window in &mut *windows {
        send_joined(window)?;
    }
    let mut count = 0;
    'work: loop {
        for window in &mut *windows {
            if !work.goes_on() {
                break 'work;
            }
            count += receive_joined(window, &mut buffer)?;
            send_joined(window)?;
        }
    }
    for window in windows {
        count += receive_joined(window, &mut buffer)?;
    }
    work.end(count)
}

fn send_joined(window: &mut Window) -> Result<(), Failure> {
    (0..window.slots.len()).for_each(|slot| window.renew(slot));
    let bytes = window.slots.concat();
    match send(window.socket.as_raw_fd(), &bytes, MsgFlags::empty()) {
        Ok(count) if count == bytes.len() => Ok(()),
        Ok(_) => Err(Failure::new("a send was cut")),
        Err(errno) => Err(window.lost("send", errno)),
    }
}

/// The whole window, however many pieces it comes in.
fn receive_joined(window: &mut Window, buffer: &mut [u8]) -> Result<u64, Failure> {
    let mut count = 0;
    while window.is_out.contains(&true) {
        let length = recv(window.socket.as_raw_fd(), buffer, MsgFlags::empty())
            .map_err(|errno| window.lost("receive", errno))?;
        for answer in buffer[..length].chunks(window.size) {
            window.take(answer)?;
            count += 1;
        }
    }
    Ok(count)
}
