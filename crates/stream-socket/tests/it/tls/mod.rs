//! TLS over tcp and unix: what two ends of ours make of each other.

mod chains;
mod engine;
#[cfg(feature = "simulation")]
mod faults;
mod floods;
mod handshakes;
mod identities;
mod in_place;
mod peers;
#[cfg(feature = "simulation")]
mod processes;
mod refusals;
mod relay;
mod streams;

use std::thread;

use stream_socket::{ConnectOptions, ListenOptions, Listener, Stream};

use crate::support::certificates::{serving, trusting};
use crate::support::{PATIENCE, accept, patient};

/// A TLS listener with the certificate of localhost.
fn listen(url: &str) -> Listener {
    listen_with(url, &serving("localhost"))
}

fn listen_with(url: &str, options: &ListenOptions) -> Listener {
    Listener::bind(url, options).unwrap()
}

/// Both ends of a connection through `listener`: the client's and the served one.
fn both_ends(listener: &Listener, options: &ConnectOptions) -> (Stream, Stream) {
    thread::scope(|scope| {
        let client = scope.spawn(|| Stream::connect(listener.url(), options).unwrap());
        let served = accept(listener);
        (patient(client.join().unwrap()), served)
    })
}

fn tls_pair() -> (Stream, Stream) {
    both_ends(&listen("tls://127.0.0.1:0"), &trusting())
}

/// A handshake that must fail at the client's end: the error there, and what the server noted.
fn failure(listener: &Listener, options: &ConnectOptions) -> (String, String) {
    let error = thread::scope(|scope| {
        let client = scope.spawn(|| Stream::connect(listener.url(), options).unwrap_err());
        while !client.is_finished() {
            let timeout = std::time::Duration::from_millis(10);
            _ = listener
                .accept(Some(timeout))
                .map_err(|error| assert!(error.is_timeout()));
        }
        client.join().unwrap()
    });
    let mut noted = listener.take_handshake_failures();
    let start = std::time::Instant::now();
    while noted.is_empty() && start.elapsed() < PATIENCE {
        _ = listener.accept(Some(std::time::Duration::from_millis(10)));
        noted = listener.take_handshake_failures();
    }
    let noted = noted
        .first()
        .map_or_else(String::new, |error| error.reason().to_owned());
    (error.reason().to_owned(), noted)
}
