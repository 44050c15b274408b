//! Connecting: several addresses, one deadline, and the connect that does not wait.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::{
    ConnectOptions, Connecting, Error, Interest, Limit, Listener, Member, Result, SocketAddress,
    Stage, Stream, select,
};

use crate::error::FullBacklog;
use crate::support::child::{self, Surroundings};
use crate::support::signal::Waiter;
use crate::support::{
    LOOPBACKS, PATIENCE, accept, assert_error, connect, listen, own_file, receive_on,
};

fn try_connect(url: &str) -> Result<Stream> {
    Stream::connect(url, &ConnectOptions::default())
}

/// In a network of its own a child may choose any port.
const PORT: u16 = 7007;

/// Runs `body` where the name `two` stands for `[::1]` and then for `127.0.0.1`.
fn with_two_addresses(body: impl FnOnce()) {
    own_file("/etc/hosts", "::1 two\n127.0.0.1 two\n");
    body();
}

#[test]
fn a_silent_first_address_costs_its_head_start_and_no_more() {
    child::run(Surroundings::OwnNetwork, || {
        with_two_addresses(|| {
            let _silent = FullBacklog::at(&format!("[::1]:{PORT}"));
            let answering = listen(&format!("tcp://127.0.0.1:{PORT}"));
            let start = Instant::now();
            let stream = try_connect(&format!("tcp://two:{PORT}?attempt_delay=100ms")).unwrap();
            let elapsed = start.elapsed();
            assert!(elapsed >= Duration::from_millis(100), "{elapsed:?}");
            assert!(
                elapsed < PATIENCE,
                "{elapsed:?}: the silent one was waited for"
            );
            assert_eq!(stream.peer_addr(), Some(answering.local_addr()));
        });
    });
}

#[test]
fn a_refused_first_address_makes_room_at_once() {
    child::run(Surroundings::OwnNetwork, || {
        with_two_addresses(|| {
            let answering = listen(&format!("tcp://127.0.0.1:{PORT}"));
            let start = Instant::now();
            let url = format!("tcp://two:{PORT}?attempt_delay=40s");
            assert_eq!(
                try_connect(&url).unwrap().peer_addr(),
                Some(answering.local_addr())
            );
            assert!(start.elapsed() < PATIENCE);
        });
    });
}

#[test]
fn a_first_address_that_answers_is_the_only_one_tried() {
    child::run(Surroundings::OwnNetwork, || {
        with_two_addresses(|| {
            let first = listen(&format!("tcp://[::1]:{PORT}"));
            let second = listen(&format!("tcp://127.0.0.1:{PORT}"));
            let stream = try_connect(&format!("tcp://two:{PORT}?attempt_delay=40s")).unwrap();
            assert_eq!(stream.peer_addr(), Some(first.local_addr()));
            assert!(
                second
                    .accept(Some(Duration::ZERO))
                    .unwrap_err()
                    .is_timeout()
            );
        });
    });
}

#[test]
fn addresses_that_never_answer_are_told_one_by_one() {
    child::run(Surroundings::OwnNetwork, || {
        with_two_addresses(|| {
            let _silent = FullBacklog::at(&format!("[::1]:{PORT}"));
            let url = format!("tcp://two:{PORT}?attempt_delay=10ms&connect_timeout=100ms");
            let error = try_connect(&url).unwrap_err();
            let refused = "connection refused (ECONNREFUSED)";
            let sentence = format!(
                "cannot connect to {url}: connect timed out after 100ms (ETIMEDOUT); \
                 127.0.0.1:{PORT}: {refused}; [::1]:{PORT}: no answer"
            );
            assert_error(&error, Stage::Connect, Some(libc::ETIMEDOUT), &sentence);
            assert_eq!(error.limit(), Some(Limit::Connect));

            let _both = FullBacklog::at(&format!("127.0.0.1:{PORT}"));
            let sentence = format!(
                "cannot connect to {url}: connect timed out after 100ms (ETIMEDOUT); \
                 [::1]:{PORT}: no answer; 127.0.0.1:{PORT}: no answer"
            );
            assert_eq!(try_connect(&url).unwrap_err().to_string(), sentence);
        });
    });
}

#[test]
fn a_local_address_leaves_out_the_other_family() {
    child::run(Surroundings::OwnNetwork, || {
        with_two_addresses(|| {
            let _first = listen(&format!("tcp://[::1]:{PORT}"));
            let second = listen(&format!("tcp://127.0.0.1:{PORT}"));
            let url = format!("tcp://two:{PORT}?bind=127.0.0.1&attempt_delay=40s");
            assert_eq!(
                try_connect(&url).unwrap().peer_addr(),
                Some(second.local_addr())
            );
        });
    });
}

#[test]
fn what_is_there_at_once_is_connected_to_in_no_time() {
    for url in ["tcp://127.0.0.1:0", "tcp://[::1]:0", "unix://@"] {
        let listener = listen(url);
        let url = format!("{}?connect_timeout=0s", listener.url());
        try_connect(&url).unwrap();
        accept(&listener);
    }
}

#[test]
fn the_local_address_is_the_one_that_was_asked_for() {
    for (transport, bind) in [
        ("tcp://127.0.0.1:0", "127.0.0.5"),
        ("tcp://127.0.0.1:0", "127.0.0.5:0"),
        ("tcp://[::1]:0", "::1"),
        ("tcp://[::1]:0", "[::1]:0"),
    ] {
        let listener = listen(transport);
        let client = try_connect(&format!("{}?bind={bind}", listener.url())).unwrap();
        let ip = client.local_addr().unwrap().unwrap().ip().unwrap();
        assert!(bind.contains(&ip.to_string()), "{bind} became {ip}");
        assert_eq!(
            accept(&listener).peer_addr(),
            client.local_addr().unwrap().as_ref()
        );
    }
    let socket = receive_on("udp://127.0.0.1:0");
    let url = format!("{}?bind=127.0.0.9", socket.url());
    try_connect(&url).unwrap().write_all(b"x").unwrap();
    let peer = socket.recv_from(&mut [0; 2]).unwrap().peer;
    assert_eq!(
        peer.as_ref().and_then(SocketAddress::ip),
        Some([127, 0, 0, 9].into())
    );
}

#[test]
fn a_local_address_that_is_taken_or_senseless_is_refused() {
    let listener = listen("tcp://127.0.0.1:0");
    let taken = listener.local_addr().to_string();
    let error = try_connect(&format!("{}?bind={taken}", listener.url())).unwrap_err();
    let sentence = format!("cannot bind {taken}: address already in use (EADDRINUSE)");
    assert_error(&error, Stage::Bind, Some(libc::EADDRINUSE), &sentence);
    for (url, expected) in [
        (
            "tcp://127.0.0.1:1?bind=here",
            "an IP address, or one with a port, as in [::1]:0",
        ),
        ("unix:///s?bind=@%00%00", "a path or @name"),
    ] {
        let error = try_connect(url).unwrap_err();
        if url.starts_with("tcp") {
            let sentence =
                format!("cannot parse {url}: option bind is \"here\", but takes {expected}");
            assert_error(&error, Stage::Parse, None, &sentence);
        } else {
            assert_eq!(
                error.errno(),
                Some(libc::ENOENT),
                "any byte may be in an abstract name"
            );
        }
    }
    let sentence = "cannot parse unix://@: @ alone is a name to bind, not one to connect to";
    assert_error(
        &try_connect("unix://@").unwrap_err(),
        Stage::Parse,
        None,
        sentence,
    );
}

/// A unix listener whose backlog has no room: all that it takes is one connection.
fn full_unix_listener() -> (Listener, Stream) {
    let listener = listen("unix://@?backlog=0");
    let first = connect(listener.url());
    (listener, first)
}

#[test]
fn a_full_unix_backlog_is_waited_for() {
    let (listener, _first) = full_unix_listener();
    thread::scope(|scope| {
        let (tell, told) = std::sync::mpsc::channel();
        let client = scope.spawn({
            let url = listener.url();
            move || {
                tell.send(Waiter::this_thread()).unwrap();
                connect(url)
            }
        });
        let waiter = told.recv().unwrap();
        waiter.await_call(libc::SYS_connect);
        // A signal neither ends that wait nor is it taken for a connection.
        waiter.signal();
        waiter.await_call(libc::SYS_connect);
        accept(&listener);
        let mut client = client.join().unwrap();
        let mut served = accept(&listener);
        served.write_all(b"x").unwrap();
        assert_eq!(client.read(&mut [0; 2]).unwrap(), 1);
    });
}

#[test]
fn a_full_unix_backlog_is_waited_for_until_the_deadline() {
    let (listener, _first) = full_unix_listener();
    let url = format!("{}?connect_timeout=60ms", listener.url());
    let start = Instant::now();
    let error = try_connect(&url).unwrap_err();
    assert!(start.elapsed() >= Duration::from_millis(60));
    let sentence = format!("cannot connect to {url}: connect timed out after 60ms (ETIMEDOUT)");
    assert_eq!(error.limit(), Some(Limit::Connect));
    assert!(error.to_string().starts_with(&sentence), "{error}");
}

/// Goes on whenever the descriptor or the clock says so, as a program's own loop would.
fn finish(mut connecting: Connecting) -> Result<Stream> {
    let start = Instant::now();
    loop {
        if let Some(stream) = connecting.advance()? {
            return Ok(stream);
        }
        assert!(start.elapsed() < PATIENCE);
        let wait = connecting.next_step();
        select(&mut [Member::new(&connecting, Interest::READ)], wait)?;
    }
}

fn start(url: &str) -> Connecting {
    Connecting::start(url, &ConnectOptions::default()).unwrap()
}

#[test]
fn an_asynchronous_connect_ends_with_a_stream() {
    for url in ["tcp://127.0.0.1:0", "tcp://[::1]:0", "unix://@"] {
        let listener = listen(url);
        let mut client = finish(start(&listener.url().to_string())).unwrap();
        let mut served = accept(&listener);
        served.write_all(b"hello").unwrap();
        let mut buffer = [0; 5];
        client.read_exact(&mut buffer).unwrap();
        assert_eq!(&buffer, b"hello");
    }
    let socket = receive_on("udp://127.0.0.1:0");
    finish(start(&socket.url().to_string()))
        .unwrap()
        .write_all(b"x")
        .unwrap();
    assert_eq!(socket.recv_from(&mut [0; 2]).unwrap().length, 1);
}

#[test]
fn an_asynchronous_connect_tells_why_it_was_refused() {
    child::run(Surroundings::Alone, || {
        for host in LOOPBACKS {
            let url = listen(&format!("tcp://{host}:0")).url().to_string();
            let error = finish(start(&url)).unwrap_err();
            let sentence = format!("cannot connect to {url}: connection refused (ECONNREFUSED)");
            assert_error(&error, Stage::Connect, Some(libc::ECONNREFUSED), &sentence);
        }
    });
}

#[test]
fn an_asynchronous_connect_ends_by_its_deadline() {
    let full = FullBacklog::new();
    let url = format!("tcp://{}?connect_timeout=60ms", full.address());
    let began = Instant::now();
    let error = finish(start(&url)).unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(60));
    let sentence = format!("cannot connect to {url}: connect timed out after 60ms (ETIMEDOUT)");
    assert_error(&error, Stage::Connect, Some(libc::ETIMEDOUT), &sentence);
}

#[test]
fn an_asynchronous_connect_tries_the_next_address() {
    child::run(Surroundings::OwnNetwork, || {
        with_two_addresses(|| {
            let _silent = FullBacklog::at(&format!("[::1]:{PORT}"));
            let answering = listen(&format!("tcp://127.0.0.1:{PORT}"));
            let stream = finish(start(&format!("tcp://two:{PORT}?attempt_delay=50ms"))).unwrap();
            assert_eq!(stream.peer_addr(), Some(answering.local_addr()));
        });
    });
}

#[test]
fn an_asynchronous_connect_never_waits_for_a_backlog() {
    let (listener, _first) = full_unix_listener();
    let url = listener.url().to_string();
    let began = Instant::now();
    let error: Error = finish(start(&url)).unwrap_err();
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(
        (error.stage(), error.errno()),
        (Stage::Connect, Some(libc::EAGAIN))
    );
}

#[test]
fn the_descriptor_of_a_connect_under_way_is_readable_on_progress() {
    let full = FullBacklog::new();
    let mut pending = start(&format!("tcp://{}", full.address()));
    assert!(pending.advance().unwrap().is_none());
    let mut members = [Member::new(&pending, Interest::READ)];
    assert_eq!(select(&mut members, Some(Duration::ZERO)).unwrap(), 0);

    let listener = listen("tcp://127.0.0.1:0");
    let mut pending = start(&listener.url().to_string());
    if pending.advance().unwrap().is_none() {
        let mut members = [Member::new(&pending, Interest::READ)];
        assert_eq!(select(&mut members, Some(PATIENCE)).unwrap(), 1);
        assert!(members[0].readiness().readable);
    }
}
