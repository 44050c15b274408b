//! Clients that speak TLS, to a relay whose target does not: the row `relay-tls`.

use std::sync::Arc;
use std::thread;
use std::time::Instant;

use rustls::{ClientConfig, HandshakeKind};

use super::bulk::{CHUNK, Content, FIRST_BYTES, MEGABYTE};
use super::{MESSAGE_BYTES, START_PATIENCE, TRY_INTERVAL};
use crate::arguments::Arguments;
use crate::echo::answer;
use crate::failure::Failure;
use crate::secure::{Secure, configuration};
use crate::socket::{Connection, Listener};
use crate::turn::Work;

const MESSAGE: &[u8; MESSAGE_BYTES] =
    b"a message that goes through the relay and back: sixty-four bytes";

/// Opens clients, and takes what comes of them.
struct Opener<'a> {
    arguments: &'a Arguments,
    listener: Listener,
    config: Arc<ClientConfig>,
}

impl<'a> Opener<'a> {
    /// Becomes the target, and waits until the relay is there.
    fn new(arguments: &'a Arguments) -> Result<Self, Failure> {
        let opener = Self {
            arguments,
            listener: Listener::open(arguments.address_of("--target")?)?,
            config: configuration(false)?,
        };
        let deadline = Instant::now() + START_PATIENCE;
        while let Err(failure) = Connection::open(arguments.address) {
            if Instant::now() > deadline {
                return Err(failure);
            }
            thread::sleep(TRY_INTERVAL);
        }
        opener.open()?;
        Ok(opener)
    }

    /// A client, and its connection's other end; a message has gone both ways.
    fn open(&self) -> Result<(Secure, Connection), Failure> {
        let socket = Connection::open(self.arguments.address)?;
        let mut client = Secure::open(socket, &self.config, Some(HandshakeKind::Full))?;
        let target = self.listener.accept()?;
        client.send(MESSAGE)?;
        let mut buffer = [0; MESSAGE_BYTES];
        answer(&target, &mut buffer)?;
        client.receive(&mut buffer)?;
        if buffer == *MESSAGE {
            Ok((client, target))
        } else {
            Err(Failure::new("another message came back"))
        }
    }
}

/// One connection after the other, each with a full handshake and a message each way.
pub(crate) fn connections(arguments: &Arguments) -> Result<(), Failure> {
    let opener = Opener::new(arguments)?;
    Work::in_turns(arguments.span()?, |work| {
        let mut count = 0;
        while work.has_time() {
            opener.open()?;
            count += 1;
        }
        Ok(count)
    })
}

/// Bytes one way: `up`, which the relay decrypts, or `down`, which it encrypts.
pub(crate) fn bulk(arguments: &Arguments) -> Result<(), Failure> {
    let (mut client, target) = Opener::new(arguments)?.open()?;
    match arguments.text("--direction")? {
        "up" => carry(
            arguments,
            move |bytes| client.send(bytes),
            |buffer| target.receive_all(buffer).map(drop),
        ),
        "down" => carry(
            arguments,
            move |bytes| target.send(bytes),
            |buffer| client.receive(buffer),
        ),
        other => Err(Failure::new(format!("--direction is `{other}`: up, down"))),
    }
}

fn carry(
    arguments: &Arguments,
    mut send: impl FnMut(&[u8]) -> Result<(), Failure> + Send + 'static,
    mut receive: impl FnMut(&mut [u8]) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let (content, mut buffer) = (Content::new(), vec![0; CHUNK]);
    // It goes on until nobody receives any more.
    thread::spawn(move || {
        let (content, mut sent) = (Content::new(), 0);
        while send(content.at(sent)).is_ok() {
            sent += CHUNK as u64;
        }
    });
    let mut received = 0;
    let mut take = || -> Result<u64, Failure> {
        receive(&mut buffer)?;
        if buffer != content.at(received) {
            return Err(Failure::new(format!("wrong bytes came from {received} on")));
        }
        received += CHUNK as u64;
        Ok(received)
    };
    let mut told = 0;
    while told < FIRST_BYTES {
        told = take()?;
    }
    let mut now = told;
    Work::in_turns(arguments.span()?, |work| {
        while work.has_time() {
            now = take()?;
        }
        // What is less than a unit counts the next time.
        let units = (now - told) / MEGABYTE;
        told += units * MEGABYTE;
        Ok(units)
    })
}
