//! Round trips on connections that stay: the row `echo`.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::socket::Connection;
use crate::turn::Work;

/// A connection with one message under way.
#[derive(Debug)]
pub(crate) struct Client {
    connection: Connection,
    message: Vec<u8>,
    round: u32,
}

impl Client {
    pub(crate) fn new(connection: Connection, number: u32, size: usize) -> Self {
        let mut message: Vec<u8> = (0..size).map(|index| b'a' + (index % 26) as u8).collect();
        mark(&mut message, 0, number);
        // Servers that read by lines take part as well.
        if let Some(last) = message.last_mut() {
            *last = b'\n';
        }
        Self {
            connection,
            message,
            round: 0,
        }
    }

    /// Sends a message that no other client and no other round has.
    pub(crate) fn ask(&mut self) -> Result<(), Failure> {
        self.round = self.round.wrapping_add(1);
        mark(&mut self.message, 8, self.round);
        self.connection.send(&self.message)
    }

    /// Receives it back.
    pub(crate) fn hear(&self, buffer: &mut [u8]) -> Result<(), Failure> {
        let length = self.connection.receive_all(buffer)?;
        if buffer[..length] == self.message {
            return Ok(());
        }
        let (got, sent) = (buffer[..length].escape_ascii(), self.message.escape_ascii());
        Err(Failure::new(format!(
            "the reply is wrong: \"{got}\" for \"{sent}\""
        )))
    }
}

/// Says what it is told, which the client compares.
pub(crate) fn answer(connection: &Connection, buffer: &mut [u8]) -> Result<(), Failure> {
    let length = connection.receive_all(buffer)?;
    connection.send(&buffer[..length])
}

/// Writes a number into a message but for its last byte, as far as it reaches: eight digits, as the
/// message is a line.
fn mark(message: &mut [u8], offset: usize, number: u32) {
    let end = message.len().saturating_sub(1);
    let place = message[..end].iter_mut().skip(offset);
    for (byte, shift) in place.zip((0..32).step_by(4)) {
        *byte = b"0123456789abcdef"[(number >> shift & 15) as usize];
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let size: usize = arguments.number("--size")?;
    let mut buffer = vec![0; size];
    let mut clients = Vec::new();
    for number in 0..arguments.number("--connections")? {
        let connection = Connection::open(arguments.address)?;
        let mut client = Client::new(connection, number, size);
        // The server has accepted, and forked where it does so, before anything is counted.
        client.ask()?;
        client.hear(&mut buffer)?;
        clients.push(client);
    }
    Work::in_turns(arguments.span()?, |work| {
        round_trips(&mut clients, work, &mut buffer)
    })
}

/// As many as there is time for, and until none is under way.
fn round_trips(clients: &mut [Client], work: &mut Work, buffer: &mut [u8]) -> Result<u64, Failure> {
    for client in &mut *clients {
        client.ask()?;
    }
    let mut count = 0;
    'work: loop {
        for client in &mut *clients {
            if !work.goes_on() {
                break 'work;
            }
            client.hear(buffer)?;
            client.ask()?;
            count += 1;
        }
    }
    for client in &*clients {
        client.hear(buffer)?;
        count += 1;
    }
    Ok(count)
}
