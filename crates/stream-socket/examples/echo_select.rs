//! An echo server for many clients in one thread, with select.
//!
//!     cargo run --example echo_select tcp://127.0.0.1:7777

#![allow(clippy::print_stdout, reason = "an example prints")]

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use stream_socket::{Interest, ListenOptions, Listener, Member, Stream, select};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "tcp://127.0.0.1:7777".to_owned());
    let listener = Listener::bind(&url, &ListenOptions::default())?;
    println!("{listener}");
    let mut clients: Vec<Stream> = Vec::new();
    loop {
        let mut members = vec![Member::new(&listener, Interest::READ)];
        members.extend(
            clients
                .iter()
                .map(|client| Member::new(client, Interest::READ)),
        );
        select(&mut members, None)?;
        let ready: Vec<bool> = members
            .iter()
            .map(|member| member.readiness().any())
            .collect();

        let mut index = 0;
        clients.retain_mut(|client| {
            index += 1;
            !ready[index] || echo(client)
        });
        if ready[0] {
            match listener.accept(Some(Duration::ZERO)) {
                Ok(client) => clients.push(client),
                // The client may have gone before its turn came.
                Err(error) if error.is_timeout() => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Sends back what has come; whether the client is still there.
fn echo(client: &mut Stream) -> bool {
    let mut bytes = [0; 4096];
    // One that does not read its echo is not waited for: at most a second, then it is dropped.
    client.set_write_timeout(Some(Duration::from_secs(1)));
    match client.read(&mut bytes) {
        Ok(0) => false,
        Ok(length) => client.write_all(&bytes[..length]).is_ok(),
        Err(error) => error.kind() == ErrorKind::WouldBlock,
    }
}
