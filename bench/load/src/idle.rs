//! Connections that have had one round trip and then say nothing: the row `idle`.

use std::time::Duration;

use crate::arguments::Arguments;
use crate::echo::Client;
use crate::failure::Failure;
use crate::socket::Connection;
use crate::turn::Work;

/// Small enough that no server's receive buffer matters.
const MESSAGE_BYTES: usize = 64;

/// The work is to open them, however long that takes; the server is sampled before and after.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let connections: usize = arguments.number("--connections")?;
    let mut buffer = [0; MESSAGE_BYTES];
    let mut clients = Vec::with_capacity(connections);
    let work = Work::begin(Duration::ZERO)?;
    for index in 0..connections {
        let connection = Connection::open_nth(arguments.address, index)?;
        let mut client = Client::new(connection, index as u32, MESSAGE_BYTES);
        client.ask()?;
        client.hear(&mut buffer)?;
        clients.push(client);
    }
    work.end(clients.len() as u64)
}
