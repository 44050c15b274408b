//! The UDP client of PHP's manual page of `stream_socket_client`: asks for the time of day.
//!
//!     cargo run --example daytime_client udp://127.0.0.1:13

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::io::{Read, Write};
use std::time::Duration;

use stream_socket::{ConnectOptions, Stream};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "udp://127.0.0.1:13".to_owned());
    let mut options = ConnectOptions::default();
    // A datagram may be lost: nobody waits for ever.
    options.socket.read_timeout = Some(Duration::from_secs(2));
    let mut stream = Stream::connect(&url, &options)?;
    stream.write_all(b"\n")?;
    let mut answer = [0; 512];
    let length = stream.read(&mut answer)?;
    println!("{}", String::from_utf8_lossy(&answer[..length]).trim_end());
    Ok(())
}
