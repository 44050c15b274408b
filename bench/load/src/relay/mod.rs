//! The load of a relay, which is its client and its target at once: the rows `relay-*`.
//!
//! So whether all has come through, and unchanged, is seen in one place, and the target costs the
//! relay's core nothing.

pub(crate) mod bulk;
pub(crate) mod connections;
pub(crate) mod echo;
pub(crate) mod idle;
pub(crate) mod secure;

use std::net::SocketAddrV4;
use std::thread;
use std::time::{Duration, Instant};

use crate::arguments::Arguments;
use crate::echo::{Client, answer};
use crate::failure::Failure;
use crate::socket::{Connection, Listener, PATIENCE_SECONDS};

/// Of a message that is to show that all is well.
const MESSAGE_BYTES: usize = 64;
const TRY_INTERVAL: Duration = Duration::from_millis(5);
/// How long a relay may take until it is there.
const START_PATIENCE: Duration = Duration::from_secs(PATIENCE_SECONDS.unsigned_abs());

/// Both ends of what goes through the relay.
#[derive(Debug)]
struct Pair {
    client: Connection,
    target: Connection,
}

/// Opens pairs, one after the other, so that it is known which two ends belong together.
#[derive(Debug)]
struct Opener<'a> {
    arguments: &'a Arguments,
    listener: Listener,
}

impl<'a> Opener<'a> {
    /// Becomes the target, and waits until the relay is there.
    fn new(arguments: &'a Arguments) -> Result<Self, Failure> {
        let listener = Listener::open(arguments.address_of("--target")?)?;
        let mut client = Client::new(first(arguments.address)?, 0, MESSAGE_BYTES);
        let target = listener.accept()?;
        // A relay that had it reset now might take that for a target that can't be reached, and
        // come again with a client that is gone.
        let mut buffer = [0; MESSAGE_BYTES];
        client.ask()?;
        answer(&target, &mut buffer)?;
        client.hear(&mut buffer)?;
        Ok(Self {
            arguments,
            listener,
        })
    }

    fn open(&self) -> Result<Pair, Failure> {
        Ok(Pair {
            client: self.open_client()?,
            target: self.accept()?,
        })
    }

    fn open_client(&self) -> Result<Connection, Failure> {
        Connection::open(self.arguments.address)
    }

    fn accept(&self) -> Result<Connection, Failure> {
        self.listener.accept()
    }

    /// As many as the arguments say.
    fn open_all(&self) -> Result<Vec<Pair>, Failure> {
        let count = self.arguments.number("--connections")?;
        (0..count).map(|_: usize| self.open()).collect()
    }
}

/// A connection to what may not be there yet.
fn first(relay: SocketAddrV4) -> Result<Connection, Failure> {
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        match Connection::open(relay) {
            Err(_) if Instant::now() < deadline => thread::sleep(TRY_INTERVAL),
            result => return result,
        }
    }
}
