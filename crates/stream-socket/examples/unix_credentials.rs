//! A unix server that greets each client by its process, user and group.
//!
//!     cargo run --example unix_credentials 'unix:///tmp/whoami.sock?mode=0666'

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example prints"
)]

use std::io::Write;

use stream_socket::{ListenOptions, Listener};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "unix://@whoami".to_owned());
    let listener = Listener::bind(&url, &ListenOptions::default())?;
    println!("{listener}");
    for client in listener.incoming() {
        let mut client = client?;
        let peer = client.peer_credentials()?;
        let (process, user, group) = (peer.process, peer.user, peer.group);
        let line = format!("process {process}, user {user}, group {group}\n");
        // A client that has gone is no reason to stop.
        if let Err(error) = client.write_all(line.as_bytes()) {
            eprintln!("{error}");
        }
    }
    Ok(())
}
