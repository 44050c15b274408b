//! A listener and the processes that share it after a fork.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use stream_socket::simulation::in_forked_child;
use stream_socket::{Interest, Listener, Member, Stream, select};

use super::listen_with;
use crate::support::certificates::{serving, trusting};
use crate::support::child::{self, Surroundings};
use crate::support::{PATIENCE, patient, rest_of};

/// Serves those who come, each with the number of this process, until one says to stop.
fn serve(listener: &Listener, number: u8) -> bool {
    loop {
        let mut members = [Member::new(listener, Interest::READ)];
        if select(&mut members, Some(PATIENCE)).unwrap() == 0 {
            return false;
        }
        // Another process may have been quicker, which select can't know.
        let Ok(mut served) = listener.accept(Some(Duration::from_millis(20))) else {
            continue;
        };
        let mut word = [0];
        served.set_read_timeout(Some(PATIENCE));
        if served.read(&mut word).unwrap() == 0 || word == [b'.'] {
            return true;
        }
        served.write_all(&[number]).unwrap();
    }
}

/// Forks four children that serve, one from within the other, and then runs `clients`.
fn prefork(listener: &Listener, number: u8, clients: &dyn Fn()) {
    if number == 5 {
        return clients();
    }
    let passed = in_forked_child(
        || serve(listener, number),
        || prefork(listener, number + 1, clients),
    );
    assert!(passed, "child {number} failed");
}

#[test]
fn four_processes_serve_from_one_listener() {
    child::run(Surroundings::Alone, || {
        let mut options = serving("localhost");
        options.tls.handshake_timeout = Some(PATIENCE);
        let listener = listen_with("tls://127.0.0.1:0", &options);
        let ask = |word: &[u8]| {
            let mut client = patient(Stream::connect(listener.url(), &trusting()).unwrap());
            client.write_all(word).unwrap();
            rest_of(&mut client)
        };
        prefork(&listener, 1, &|| {
            let attackers = super::handshakes::attack(&listener);
            let wait = |_| {
                let start = Instant::now();
                let answer = ask(b"?");
                assert!(matches!(answer.as_slice(), [1..=4]), "{answer:?}");
                start.elapsed()
            };
            let mut waits: Vec<Duration> = (0..200).map(wait).collect();
            waits.sort();
            println!("99 in a hundred waited {:?} at most", waits[197]);
            (0..4).for_each(|_| assert_eq!(ask(b"."), b""));
            drop(attackers);
        });
    });
}

#[test]
fn a_child_leaves_the_bell_of_those_who_wait_for_a_place() {
    child::run(Surroundings::Alone, || {
        let mut options = serving("localhost");
        options.max_connections = Some(1);
        let listener = listen_with("tls://127.0.0.1:0", &options);
        let (_client, served) = super::both_ends(&listener, &trusting());
        // The only place is taken, and somebody waits before the door.
        let url = listener.url().clone();
        let next = std::thread::spawn(move || Stream::connect(&url, &trusting()).map(drop));
        assert!(listener.accept(Some(Duration::from_millis(50))).is_err());
        drop(served);
        let passed = in_forked_child(
            || {
                // What it would wait for is its own.
                std::os::fd::AsFd::as_fd(&listener);
                true
            },
            || {},
        );
        assert!(passed);
        drop(listener.accept(Some(PATIENCE)).unwrap());
        next.join().unwrap().unwrap();
    });
}

#[test]
fn a_child_leaves_what_is_its_parents() {
    child::run(Surroundings::Alone, || {
        let listener = listen_with("tls://127.0.0.1:0", &serving("localhost"));
        // A handshake is under way, and a connection established, when the child is born.
        let mut pending = TcpStream::connect(listener.url().target().to_string()).unwrap();
        assert!(listener.accept(Some(Duration::from_millis(30))).is_err());
        let (mut client, served) = super::both_ends(&listener, &trusting());
        let mut served = Some(served);
        let passed = in_forked_child(
            || {
                drop(served.take());
                let timeout = Some(Duration::from_millis(30));
                listener.accept(timeout).unwrap_err().is_timeout()
            },
            || {},
        );
        assert!(passed);
        // Neither end was told anything by the child.
        served.as_mut().unwrap().write_all(b"still here").unwrap();
        client.read_exact(&mut [0; 10]).unwrap();
        pending
            .set_read_timeout(Some(Duration::from_millis(30)))
            .unwrap();
        assert!(pending.read(&mut [0]).is_err());
        drop(listener);
        pending.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(pending.read(&mut [0]).unwrap(), 0);
    });
}
