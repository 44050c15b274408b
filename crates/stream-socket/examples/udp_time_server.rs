//! The UDP server of PHP's manual page of `stream_socket_server`: tells the time to whoever asks.
//!
//!     cargo run --example udp_time_server udp://0.0.0.0:1313

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints"
)]

use std::io::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use stream_socket::{ListenOptions, Listener};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "udp://0.0.0.0:1313".to_owned());
    let listener = Listener::bind(&url, &ListenOptions::default())?;
    println!("{listener}");
    // Each datagram makes a stream to whoever sent it, gone when it is answered.
    for peer in listener.incoming() {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let line = format!("Seconds since 1970: {seconds}\n");
        // A peer that can't be answered is no reason to stop.
        if let Err(error) = peer?.write_all(line.as_bytes()) {
            eprintln!("{error}");
        }
    }
    Ok(())
}
