//! The client of PHP's manual page of `stream_socket_client`: an HTTP GET, line by line.
//!
//!     cargo run --example http_get tcp://127.0.0.1:8000 /

use std::io::{self, Write};
use std::time::Duration;

use stream_socket::{ConnectOptions, Stream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .unwrap_or_else(|| "tcp://127.0.0.1:80".to_owned());
    let path = arguments.next().unwrap_or_else(|| "/".to_owned());

    let mut options = ConnectOptions::default();
    options.connect_timeout = Some(Duration::from_secs(30));
    options.socket.read_timeout = Some(Duration::from_secs(30));
    let mut stream = Stream::connect(&url, &options)?;
    // Whole, as nothing gathers the pieces that write! would make.
    let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\nAccept: */*\r\n\r\n");
    stream.write_all(request.as_bytes())?;

    let mut line = Vec::new();
    while !stream.is_eof()? && stream.read_line(&mut line, 1024)? {
        io::stdout().write_all(&line)?;
        line.clear();
    }
    Ok(())
}
