//! Calls of a server's `stream_select` while few of its connections are readable: the row `php-select`.
//!
//! The server is asked for calls over a connection of their own, and makes them by itself, so that
//! they are all that is measured. See `bench/php/select_calls.php`.

use crate::arguments::Arguments;
use crate::failure::Failure;
use crate::socket::Connection;
use crate::turn::Work;

/// Calls for each request, which then takes no part of them that is worth telling.
const CALLS: usize = 1000;
/// Digits, behind spaces, and the end of the line.
const LINE: usize = 12;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let ready: usize = arguments.number("--ready")?;
    let server = Connection::open(arguments.address)?;
    let members = hear(&server)?;
    tell(&server, members)?;
    let connections = (0..members)
        .map(|index| Connection::open_nth(arguments.address, index))
        .collect::<Result<Vec<_>, _>>()?;
    // All over the array, and never read.
    let step = (members / ready.max(1)).max(1);
    for connection in connections.iter().step_by(step).take(ready) {
        connection.send(b"x")?;
    }
    expect(&server, 0)?;
    ask(&server, 1, ready)?;
    let work = Work::begin(arguments.span()?)?;
    let mut count = 0;
    while work.has_time() {
        ask(&server, CALLS, ready)?;
        count += CALLS as u64;
    }
    work.end(count)
}

/// Has it make so many calls, each of which is to find so many ready.
fn ask(server: &Connection, calls: usize, ready: usize) -> Result<(), Failure> {
    tell(server, calls)?;
    expect(server, calls * ready)
}

fn tell(server: &Connection, number: usize) -> Result<(), Failure> {
    server.send(format!("{number:11}\n").as_bytes())
}

fn hear(server: &Connection) -> Result<usize, Failure> {
    let mut line = [0; LINE];
    let length = server.receive_all(&mut line)?;
    let text = String::from_utf8_lossy(&line[..length]);
    let number = text.trim().parse();
    number.map_err(|_| Failure::new(format!("the server said {text:?}, not a number")))
}

fn expect(server: &Connection, number: usize) -> Result<(), Failure> {
    match hear(server)? {
        told if told == number => Ok(()),
        told => Err(Failure::new(format!(
            "the server counted {told} instead of {number}"
        ))),
    }
}
