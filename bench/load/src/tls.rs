//! Clients that speak TLS: the rows `tls-handshake`, `tls-send` and `tls-idle`.

use std::time::Duration;

use rustls::HandshakeKind;

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::secure::{Secure, configuration};
use crate::socket::Connection;
use crate::turn::Work;

const MEBIBYTE: usize = 1 << 20;
const MESSAGE: &[u8; 64] = b"the message of a connection that will be idle from now on: hello";

/// One connection after the other, each with a handshake, full or resumed.
pub(crate) fn handshakes(arguments: &Arguments) -> Result<(), Failure> {
    let resumes = match arguments.text("--kind")? {
        "full" => false,
        "resumed" => true,
        other => return Err(Failure::new(format!("--kind is `{other}`: full, resumed"))),
    };
    let config = configuration(resumes)?;
    let open = |kind| Secure::open(Connection::open(arguments.address)?, &config, kind);
    // From the first one comes the session.
    open(None)?.end();
    let kind = if resumes {
        HandshakeKind::Resumed
    } else {
        HandshakeKind::Full
    };
    let mut count = 0;
    let work = Work::begin(arguments.span()?)?;
    while work.has_time() {
        open(Some(kind))?.end();
        count += 1;
    }
    work.end(count)
}

/// What a server sends without end, in mebibytes.
pub(crate) fn receive(arguments: &Arguments) -> Result<(), Failure> {
    let config = configuration(false)?;
    let mut secure = Secure::open(Connection::open(arguments.address)?, &config, None)?;
    let mut buffer = vec![0; MEBIBYTE];
    secure.receive(&mut buffer)?;
    let mut count = 0;
    let work = Work::begin(arguments.span()?)?;
    while work.has_time() {
        secure.receive(&mut buffer)?;
        count += 1;
    }
    work.end(count)
}

/// Connections that have had one round trip.
pub(crate) fn idle(arguments: &Arguments) -> Result<(), Failure> {
    let connections: usize = arguments.number("--connections")?;
    let config = configuration(false)?;
    let mut clients = Vec::with_capacity(connections);
    let work = Work::begin(Duration::ZERO)?;
    for index in 0..connections {
        let socket = Connection::open_nth(arguments.address, index)?;
        let mut client = Secure::open(socket, &config, None)?;
        client.send(MESSAGE)?;
        let mut answer = [0; MESSAGE.len()];
        client.receive(&mut answer)?;
        if answer != *MESSAGE {
            return Err(Failure::new("another message came back"));
        }
        clients.push(client);
    }
    work.end(clients.len() as u64)
}
