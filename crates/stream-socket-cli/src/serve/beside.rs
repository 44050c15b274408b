//! A program that can't have its client's own socket: it has one side of a pair, and what the
//! client says is carried to it.

use std::io;
use std::sync::Arc;

use stream_socket::{ChildEnd, Interest, Poller, Stream, Transport};

use super::process::Process;
use super::program::{Client, Program};

/// What the end of the program is called among what the loop watches; sides of the pair and the
/// client have smaller numbers.
const END: u64 = 2;

/// The program, started now or when that is possible, and what it needs.
pub(super) struct Beside {
    pub(super) process: Process,
    /// Our side of the pair.
    pub(super) ours: Stream,
    /// The program's.
    pub(super) theirs: Stream,
    /// What the loop watches; so far, the program's end.
    pub(super) watched: Poller,
    /// The program's end, if there is a descriptor for it.
    pub(super) end: Option<ChildEnd>,
}

impl Beside {
    /// Starts the program for a client, over a pair of this transport; `None` where it never will
    /// be, which is logged.
    pub(super) fn start(
        program: &Arc<Program>,
        peer: &Stream,
        transport: Transport,
    ) -> Option<Self> {
        let made = pair(transport).and_then(|pair| Ok((pair, Poller::new()?)));
        let ((ours, theirs), mut watched) = made
            .map_err(|error| program.failed(&peer.to_string(), &error))
            .ok()?;
        let client = Client {
            stream: peer,
            socket: &theirs,
        };
        let (process, end) = Process::start(program, client)?;
        let end = end.filter(|end| watched.add(end, END, Interest::READ).is_ok());
        Some(Self {
            process,
            ours,
            theirs,
            watched,
            end,
        })
    }
}

fn pair(transport: Transport) -> io::Result<(Stream, Stream)> {
    let (mut ours, theirs) = Stream::pair(transport)?;
    ours.set_blocking(false);
    Ok((ours, theirs))
}
