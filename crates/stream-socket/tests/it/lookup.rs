//! Names looked up beside: what is found, how many threads there are, and what a fork does.

use std::fs;
use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::{ConnectOptions, Error, Interest, Lookup, Member, Stage, select};

use crate::support::child::{self, Surroundings};
use crate::support::own_file;

/// More than there are threads for.
const MANY: usize = 40;
const THREADS: usize = 32;

fn start(url: &str) -> Lookup {
    Lookup::start(url, &ConnectOptions::default()).unwrap()
}

fn is_over(lookup: &Lookup, within: Duration) -> bool {
    let mut members = [Member::new(lookup, Interest::READ)];
    select(&mut members, Some(within)).unwrap() == 1
}

/// What it comes to, as text.
fn found(url: &str) -> Result<Vec<String>, Error> {
    let mut lookup = start(url);
    assert!(is_over(&lookup, Duration::from_secs(20)), "{url}");
    let addresses = lookup.advance()?.unwrap();
    assert!(lookup.advance().unwrap().is_none(), "{url} is told once");
    Ok(addresses.iter().map(ToString::to_string).collect())
}

fn threads() -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    let names = tasks.map(|task| fs::read_to_string(task.unwrap().path().join("comm")));
    // One that has just ended has no name any more.
    names
        .filter(|name| name.as_deref().ok() == Some("resolve\n"))
        .count()
}

/// Whether that comes true in time.
fn becomes(is_so: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !is_so() && begun.elapsed() < Duration::from_secs(30) {
        thread::park_timeout(Duration::from_millis(10));
    }
    is_so()
}

/// A host whose only name server, the socket returned, hears and says nothing.
fn with_silent_name_server() -> UdpSocket {
    own_file("/etc/hosts", "127.0.0.1 localhost\n");
    own_file("/etc/nsswitch.conf", "hosts: files dns\n");
    own_file(
        "/etc/resolv.conf",
        "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n",
    );
    UdpSocket::bind("127.0.0.1:53").unwrap()
}

#[test]
fn a_lookup_tells_what_a_connect_would_go_to() {
    child::run(Surroundings::OwnNetwork, || {
        own_file(
            "/etc/hosts",
            "127.0.0.1 localhost\n::1 six\n127.0.0.2 proxy\n",
        );
        own_file("/etc/nsswitch.conf", "hosts: files\nservices: files\n");
        for (url, address) in [
            ("tcp://127.0.0.1:80", "127.0.0.1:80"),
            ("udp://localhost:80", "127.0.0.1:80"),
            ("tcp://[::1]:80", "[::1]:80"),
            ("tcp://six:80", "[::1]:80"),
            ("tcp://nowhere:80?via=http://proxy:3128", "127.0.0.2:3128"),
            ("unix:///run/s", "/run/s"),
        ] {
            assert_eq!(found(url).unwrap(), [address], "{url}");
        }
        for (url, code) in [
            ("tcp://nowhere:80", libc::EAI_NONAME),
            ("tcp://localhost:no-such", libc::EAI_SERVICE),
        ] {
            let error = found(url).unwrap_err();
            assert_eq!(error.stage(), Stage::Resolve, "{error}");
            assert_eq!(error.resolver_code(), Some(code), "{error}");
        }
    });
}

#[test]
fn lookups_are_bounded_and_go_on_when_others_are_given_up() {
    child::run(Surroundings::OwnNetwork, || {
        let server = with_silent_name_server();
        let slow: Vec<_> = (0..MANY)
            .map(|number| start(&format!("tcp://slow{number}.example:1")))
            .collect();
        assert!(server.recv(&mut [0; 512]).unwrap() > 0);
        assert!(threads() <= THREADS);
        let mut local = start("tcp://localhost:1");
        assert!(!is_over(&slow[0], Duration::ZERO) && !is_over(&local, Duration::ZERO));
        drop(slow);
        assert!(is_over(&local, Duration::from_secs(30)));
        assert!(local.advance().unwrap().is_some());
        assert!(becomes(|| threads() == 0), "{} threads stay", threads());
    });
}

#[cfg(feature = "simulation")]
#[test]
fn a_forked_child_looks_up_anew() {
    use stream_socket::simulation::in_forked_child;

    child::run(Surroundings::OwnNetwork, || {
        let _server = with_silent_name_server();
        let mut of_parent: Vec<_> = (0..MANY)
            .map(|number| start(&format!("tcp://slow{number}.example:1")))
            .collect();
        let in_child = || {
            let told = of_parent[0].advance().unwrap_err().to_string();
            let first = found("tcp://localhost:1").unwrap();
            of_parent.clear();
            let second = found("tcp://localhost:1").unwrap();
            told.ends_with("by the process that this one was forked from")
                && [first, second]
                    .iter()
                    .all(|found| found == &["127.0.0.1:1"])
        };
        assert!(in_forked_child(in_child, || {}), "not in the child");
    });
}
