//! By way of SOCKS5 and HTTP proxies: played by the test, word by word.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::{
    ConnectOptions, Connecting, Interest, Member, Result, Route, Stage, Stream, select,
};

/// What a proxy reads, and what it says then.
type Script = &'static [(&'static [u8], &'static [u8])];

const SOCKS5: Script = &[
    (&[5, 1, 0], &[5, 0]),
    (
        b"\x05\x01\0\x03\x0bexample.org\0\x50",
        // The address that it says ends with the first byte of what follows it.
        &[5, 0, 0, 1, 10, 0, 0, 1, 0, 80, b'h', b'i'],
    ),
];
const SOCKS5_V6: Script = &[
    (&[5, 1, 0], &[5, 0]),
    (
        b"\x05\x01\0\x03\x0bexample.org\0\x50",
        b"\x05\0\0\x0410.0.0.1 a v6 on12hi",
    ),
];
const SOCKS5_NAMED: Script = &[
    (&[5, 2, 0, 2], &[5, 2]),
    (b"\x01\x05alice\x0asec:ret@%/", &[1, 0]),
    (
        b"\x05\x01\0\x03\x0bexample.org\0\x50",
        &[5, 0, 0, 1, 10, 0, 0, 1, 0, 80, b'h', b'i'],
    ),
];
const HTTP_NAMED: Script = &[(
    b"CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n\
      Proxy-Authorization: Basic YWxpY2U6c2VjOnJldEAlLw==\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n\r\nhi",
)];
/// Before the host, and what a proxy is told of it above.
const NAMED: &str = "alice:sec:ret%40%25%2F@";

const HTTP: Script = &[(
    b"CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n\r\n",
    b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nhi",
)];

const HTTP_IN_TIME: Script = &[(
    b"CONNECT example.org:80 HTTP/1.1\r\nHost: example.org:80\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n\r\n\
      HTTP/1.1 200 OK\r\n\r\nhi",
)];

/// A proxy that says its words one byte at a time, or all at once.
fn proxy(script: Script, is_slow: bool) -> (String, thread::JoinHandle<TcpStream>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let play = move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        for (asked, answer) in script {
            let mut heard = vec![0; asked.len()];
            stream.read_exact(&mut heard).unwrap();
            assert_eq!(heard, *asked);
            if is_slow {
                for byte in *answer {
                    stream.write_all(&[*byte]).unwrap();
                    thread::sleep(Duration::from_millis(1));
                }
            } else {
                stream.write_all(answer).unwrap();
            }
        }
        stream.shutdown(Shutdown::Write).unwrap();
        stream
    };
    (address, thread::spawn(play))
}

fn options(protocol: &str, address: &str) -> ConnectOptions {
    let mut options = ConnectOptions::default();
    options.via = Some(format!("{protocol}://{address}"));
    options
}

/// By a loop of the caller's own.
fn begin(options: &ConnectOptions) -> Result<Stream> {
    let mut connecting = Connecting::start("tcp://example.org:80", options)?;
    loop {
        if let Some(stream) = connecting.advance()? {
            return Ok(stream);
        }
        let wait = connecting.next_step();
        select(&mut [Member::new(&connecting, Interest::READ)], wait)?;
    }
}

#[test]
fn what_follows_the_answer_is_the_peers() {
    for (protocol, name, script) in [
        ("socks5", "", SOCKS5),
        ("socks5", "", SOCKS5_V6),
        ("socks5", NAMED, SOCKS5_NAMED),
        ("http", "", HTTP),
        ("http", NAMED, HTTP_NAMED),
        ("http", "", HTTP_IN_TIME),
    ] {
        for (is_slow, own_loop) in [(false, false), (true, false), (false, true), (true, true)] {
            let (address, played) = proxy(script, is_slow);
            let options = options(protocol, &format!("{name}{address}"));
            let mut stream = if own_loop {
                begin(&options).unwrap()
            } else {
                Stream::connect("tcp://example.org:80", &options).unwrap()
            };
            let mut text = [0; 2];
            stream.read_exact(&mut text).unwrap();
            assert_eq!(&text, b"hi");
            stream.write_all(b"and back").unwrap();
            drop(stream);
            let mut rest = String::new();
            played.join().unwrap().read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "and back");
        }
    }
}

#[test]
fn the_header_of_the_proxy_protocol_comes_after_the_proxy() {
    let (address, played) = proxy(HTTP, false);
    let url = "tcp://example.org:80?send_proxy=v1";
    let stream = Stream::connect(url, &options("http", &address)).unwrap();
    drop(stream);
    let mut text = String::new();
    // It ends with a reset, since nobody has read what follows the answer.
    _ = played.join().unwrap().read_to_string(&mut text);
    assert!(
        text.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "),
        "{text}"
    );
}

/// That it goes on, again and again.
const PROCESSING: [[u8; 18]; 600] = [*b"HTTP/1.1 102 P\r\n\r\n"; 600];

#[rustfmt::skip]
const REFUSALS: &[(&str, Script, &str)] = &[
    ("socks5", &[(&[5, 1, 0], &[5, 0xff])], "it wants us to authenticate"),
    ("socks5", &[(&[5, 1, 0], &[5, 2])], "what it answers can't be understood"),
    ("socks5", &[(&[5, 1, 0], b"HTTP")], "what it answers can't be understood"),
    ("socks5", &[(&[5, 1, 0], b"")], "it has closed the connection"),
    ("socks5", &[(&[5, 1, 0], &[5, 0]), (b"\x05\x01\0\x03\x0bexample.org\0\x50", &[5, 5, 0, 1, 0])],
        "connection refused"),
    ("http", &[(HTTP[0].0, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")],
        "407 Proxy Authentication Required"),
    ("http", &[(HTTP[0].0, b"SSH-2.0-x\r\n\r\n")], "what it answers can't be understood"),
    ("http", &[(HTTP[0].0, &[b'x'; 9000])], "its answer is too long"),
    ("http", &[(HTTP[0].0, PROCESSING.as_flattened())], "its answer is too long"),
    ("http", &[(HTTP[0].0, b"HTTP/1.1 101 Switching Protocols\r\n\r\n")],
        "101 Switching Protocols"),
];

#[test]
fn a_proxy_that_refuses_is_quoted() {
    for (protocol, script, reason) in REFUSALS {
        let (address, _played) = proxy(script, false);
        let error = Stream::connect("tcp://example.org:80", &options(protocol, &address));
        let error = error.unwrap_err();
        assert_eq!(error.stage(), Stage::Proxy, "{error}");
        let sentence = format!(
            "cannot connect to tcp://example.org:80: the proxy {protocol}://{address}: {reason}"
        );
        assert_eq!(error.to_string(), sentence);
    }
}

#[rustfmt::skip]
const REFUSALS_OF_NAMES: &[(&str, Script, &str)] = &[
    ("socks5", &[(&[5, 2, 0, 2], &[5, 0xff])],
        "it wants us to authenticate otherwise than by name and password"),
    ("socks5", &[SOCKS5_NAMED[0], (SOCKS5_NAMED[1].0, &[1, 1])],
        "it does not take the name and password"),
    ("http", &[(HTTP_NAMED[0].0, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")],
        "407 Proxy Authentication Required"),
];

#[test]
fn a_name_and_password_are_told_to_nobody_else() {
    for (protocol, script, reason) in REFUSALS_OF_NAMES {
        let (address, _played) = proxy(script, false);
        let options = options(protocol, &format!("{NAMED}{address}"));
        let error = Stream::connect("tcp://example.org:80", &options).unwrap_err();
        let sentence = format!(
            "cannot connect to tcp://example.org:80: the proxy {protocol}://{address}: {reason}"
        );
        assert_eq!(error.to_string(), sentence);
        let connecting = Connecting::start("tcp://example.org:80", &options).unwrap();
        for shown in [format!("{options:?}"), format!("{connecting:?}")] {
            assert!(!shown.contains("ret"), "{shown}");
            assert!(!shown.contains("[115, 101, 99"), "{shown}");
        }
    }
    // Nor when it has been said, and the answer is waited for.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let options = options("http", &format!("{NAMED}{address}"));
    let mut connecting = Connecting::start("tcp://example.org:80", &options).unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(50) {
        assert!(connecting.advance().unwrap().is_none());
    }
    let shown = format!("{connecting:?}");
    assert!(shown.contains("Prelude"), "{shown}");
    // "Authorization".
    assert!(!shown.contains("65, 117, 116, 104"), "{shown}");
}

#[test]
fn a_proxy_that_is_silent_is_waited_for_no_longer_than_any_peer() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut options = options("socks5", &silent.local_addr().unwrap().to_string());
    options.connect_timeout = Some(Duration::from_millis(200));
    let error = Stream::connect("tcp://example.org:80", &options).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    for (via, words) in [
        (
            "ftp://h:1",
            "option via is \"ftp://h:1\", but takes socks5://host:port or http://host:port",
        ),
        (
            "socks5://h",
            "option via is \"socks5://h\", but takes a proxy: the port is missing; write h:PORT",
        ),
        (
            "socks5://h:1?ttl=3",
            "option via is \"socks5://h:1?ttl=3\", but takes a proxy without options of its own",
        ),
        (
            "socks5://secret@h:1",
            "option via is \"socks5://***@h:1\", but takes a name and password of 1 to 255 bytes \
             for SOCKS5",
        ),
    ] {
        options.via = Some(via.to_owned());
        let error = Stream::connect("tcp://example.org:80", &options).unwrap_err();
        assert_eq!((error.stage(), error.reason()), (Stage::Parse, words));
    }
    options.via = Some("socks5://h:1".to_owned());
    for (url, words) in [
        (
            "tcp://example.org:http",
            "a proxy needs the number of the port, not the name of a service",
        ),
        (
            "tcp://[fe80::1%lo]:80",
            "a proxy can't be told of an interface of this host",
        ),
    ] {
        // Before anybody is connected to.
        let error = Route::new(url, &options).unwrap_err();
        assert_eq!((error.stage(), error.reason()), (Stage::Parse, words));
    }
    let url = "tcp://example.org:80?via=http://me:secret@h:1";
    let error = Stream::connect(url, &ConnectOptions::default()).unwrap_err();
    assert!(!error.to_string().contains("secret"), "{error}");
}
