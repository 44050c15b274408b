//! The TCP server of PHP's manual page of `stream_socket_server`: tells each client the time.
//!
//!     cargo run --example time_server tcp://0.0.0.0:8000

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
        .unwrap_or_else(|| "tcp://0.0.0.0:8000".to_owned());
    let listener = Listener::bind(&url, &ListenOptions::default())?;
    println!("{listener}");
    for client in listener.incoming() {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let line = format!("Seconds since 1970: {seconds}\n");
        // A client that has gone is no reason to stop.
        if let Err(error) = client?.write_all(line.as_bytes()) {
            eprintln!("{error}");
        }
    }
    Ok(())
}
