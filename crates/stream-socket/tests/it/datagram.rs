//! What datagrams are: whole, bounded, sometimes empty, many at once, and sent to an address.

use std::io::{BufRead, ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr};

use stream_socket::{
    Batch, ConnectOptions, DatagramSocket, Error, ListenOptions, SocketAddress, SocketUrl, Stage,
    Stream, Transport,
};

use crate::support::child::{self, Surroundings};
use crate::support::{assert_error, connect, noise, pair, receive_on};

/// RFC 768: a UDP datagram's length field counts its 8 bytes of header, IPv4's its own 20.
const LARGEST_UDP: usize = 65_507;

#[test]
fn datagrams_are_whole_up_to_the_largest() {
    for (url, largest) in [
        ("udp://127.0.0.1:0", LARGEST_UDP),
        // IPv6 does not count its header.
        ("udp://[::1]:0", 65_527),
        ("udg://@", 65_536),
    ] {
        let socket = receive_on(url);
        let mut client = connect(socket.url());
        for length in [0, 1, 8192, 8193, largest] {
            let sent = noise(length, 3);
            client.write_all(&sent).unwrap();
            let mut buffer = vec![0; 1 << 16];
            let received = socket.recv_from(&mut buffer).unwrap();
            assert_eq!(
                (received.length, received.full_length),
                (length, length),
                "{url}"
            );
            assert!(!received.is_truncated());
            assert!(buffer[..length] == sent);
            // And back, read by a stream.
            socket
                .send_to(&sent, received.peer.as_ref().unwrap(), received.local)
                .unwrap();
            assert_eq!(client.read(&mut buffer).unwrap(), length, "{url}");
            assert!(buffer[..length] == sent);
        }
    }
}

#[test]
fn one_too_long_is_refused_and_the_next_one_sent() {
    let socket = receive_on("udp://127.0.0.1:0");
    let too_long = vec![0; LARGEST_UDP + 1];
    let sender = receive_on("udp://127.0.0.1:0");
    let target = socket.local_addr();
    let error = sender.send_to(&too_long, target, None).unwrap_err();
    let sentence = format!("cannot send to udp://{target}: message too long (EMSGSIZE)");
    assert_error(&error, Stage::Io, Some(libc::EMSGSIZE), &sentence);

    let mut client = connect(socket.url());
    let error = client.write(&too_long).unwrap_err();
    let sentence = format!("cannot write to udp://{target}: message too long (EMSGSIZE)");
    let ours = Error::in_io(&error).unwrap();
    assert_error(ours, Stage::Io, Some(libc::EMSGSIZE), &sentence);
    client.write_all(b"short").unwrap();
    assert_eq!(socket.recv_from(&mut [0; 8]).unwrap().length, 5);
}

#[test]
fn a_short_buffer_tells_the_true_length() {
    for url in ["udp://127.0.0.1:0", "udp://[::]:0", "udg://@"] {
        let socket = receive_on(url);
        let mut client = client_of(&socket);
        client.write_all(&[7; 1000]).unwrap();
        client.write_all(b"next").unwrap();
        let mut buffer = [0; 10];
        let received = socket.recv_from(&mut buffer).unwrap();
        assert_eq!((received.length, received.full_length), (10, 1000), "{url}");
        assert!(received.is_truncated());
        assert_eq!(buffer, [7; 10]);
        let received = socket.recv_from(&mut buffer).unwrap();
        assert_eq!((received.length, received.is_truncated()), (4, false));
    }
}

/// A client of a socket that may be bound to a wildcard address.
fn client_of(socket: &DatagramSocket) -> Stream {
    match socket.local_addr() {
        SocketAddress::Inet(inet) if inet.ip().is_unspecified() => {
            connect(&format!("udp://[::1]:{}", inet.port()).parse().unwrap())
        }
        _ => connect(socket.url()),
    }
}

#[test]
fn a_short_buffer_on_a_stream_loses_nothing() {
    let (mut here, mut there) = pair(Transport::Udg);
    let large = noise(65_536, 5);
    there.write_all(b"hello").unwrap();
    there.write_all(&large).unwrap();
    there.write_all(b"last").unwrap();
    let mut buffer = [0; 100];
    assert_eq!(here.read(&mut buffer[..2]).unwrap(), 2);
    assert_eq!(
        here.read(&mut buffer[2..]).unwrap(),
        3,
        "the rest, and nothing of the next"
    );
    assert_eq!(&buffer[..5], b"hello");
    let mut got = Vec::new();
    while got.len() < large.len() {
        let length = here.read(&mut buffer).unwrap();
        got.extend_from_slice(&buffer[..length]);
    }
    assert!(got == large, "the boundary of the datagram is kept");
    assert_eq!(here.read(&mut buffer).unwrap(), 4);
    assert_eq!(&buffer[..4], b"last");
}

/// Over unix a datagram may be larger than any over udp.
#[test]
fn a_datagram_of_any_size_is_whole() {
    let large = noise(150_000, 6);
    let reads: [fn(&mut Stream) -> Vec<u8>; 4] = [
        |here| read_in(here, 10),
        |here| read_in(here, 100_000),
        |here| read_in(here, 150_000),
        |here| here.fill_buf().unwrap().to_vec(),
    ];
    for read in reads {
        let (mut here, mut there) = pair(Transport::Udg);
        there.write_all(&large).unwrap();
        there.write_all(b"next").unwrap();
        let got = read(&mut here);
        assert!(got == large, "{} bytes", got.len());
        here.consume(got.len());
        let mut buffer = [0; 8];
        assert_eq!(here.read(&mut buffer).unwrap(), 4);
        assert_eq!(&buffer[..4], b"next");
    }
}

/// All of a datagram of 150,000 bytes, by reads of so many.
fn read_in(here: &mut Stream, step: usize) -> Vec<u8> {
    let (mut got, mut buffer) = (Vec::new(), vec![0; step]);
    while got.len() < 150_000 {
        let length = here.read(&mut buffer).unwrap();
        got.extend_from_slice(&buffer[..length]);
    }
    got
}

#[test]
fn an_empty_datagram_is_a_datagram_and_no_end() {
    for transport in [Transport::Udp, Transport::Udg] {
        let url = if transport == Transport::Udp {
            "udp://127.0.0.1:0"
        } else {
            "udg://@"
        };
        let socket = receive_on(url);
        let mut client = connect(socket.url());
        assert_eq!(client.write(b"").unwrap(), 0);
        let received = socket.recv_from(&mut [0; 8]).unwrap();
        assert_eq!((received.length, received.full_length), (0, 0));
        let peer = received.peer.unwrap();
        for _ in 0..2 {
            socket.send_to(b"", &peer, received.local).unwrap();
        }
        socket.send_to(b"after", &peer, received.local).unwrap();
        assert!(!client.is_eof().unwrap());
        assert_eq!(client.read(&mut [0; 8]).unwrap(), 0);
        assert!(!client.is_eof().unwrap());
        let mut line = Vec::new();
        assert!(
            client.read_line(&mut line, 10).unwrap(),
            "an empty line, not the end"
        );
        assert_eq!(line, b"");
        assert!(client.read_line(&mut line, 10).unwrap());
        assert_eq!(line, b"after");
    }
}

#[test]
fn a_batch_brings_what_is_there_and_at_most_64() {
    let socket = receive_on("udp://127.0.0.1:0");
    let sender = receive_on("udp://127.0.0.1:0");
    let mut batch = Batch::new(100, 16);
    for index in 0..100_u8 {
        let payload = vec![index; usize::from(index % 16)];
        batch.push(&payload, socket.local_addr(), None).unwrap();
    }
    assert_eq!(batch.len(), 100);
    let error = batch.push(b"", socket.local_addr(), None).unwrap_err();
    let to = socket.local_addr();
    let sentence =
        format!("cannot add to the batch a datagram for {to}: it has room for 100 datagrams");
    assert_error(&error, Stage::Io, None, &sentence);
    assert_eq!(sender.send_batch(&mut batch).unwrap(), 100);
    assert!(batch.is_empty());

    let mut received = Vec::new();
    for expected in [64, 36] {
        assert_eq!(socket.recv_batch(&mut batch).unwrap(), expected);
        received.extend(batch.iter().map(|d| (d.payload.to_vec(), d.peer.cloned())));
    }
    for (index, (payload, peer)) in received.iter().enumerate() {
        assert_eq!(payload, &vec![index as u8; index % 16]);
        assert_eq!(peer.as_ref(), Some(sender.local_addr()));
    }
}

#[test]
fn a_batch_tells_what_was_cut_and_what_was_empty() {
    let socket = receive_on("udg://@");
    let sender = receive_on("udg://@");
    for payload in [&b"whole"[..], b"", b"far too long"] {
        sender.send_to(payload, socket.local_addr(), None).unwrap();
    }
    let mut batch = Batch::new(8, 5);
    assert_eq!(socket.recv_batch(&mut batch).unwrap(), 3);
    let seen: Vec<_> = batch
        .iter()
        .map(|d| (d.payload, d.full_length, d.is_truncated()))
        .collect();
    assert_eq!(
        seen,
        [
            (&b"whole"[..], 5, false),
            (b"", 0, false),
            (b"far t", 12, true)
        ]
    );
}

#[test]
fn a_refused_datagram_is_told_and_taken_out_of_its_batch() {
    let socket = receive_on("udp://127.0.0.1:0");
    let sender = receive_on("udp://127.0.0.1:0");
    let mut batch = Batch::new(4, LARGEST_UDP + 1);
    let target = socket.local_addr();
    batch.push(b"first", target, None).unwrap();
    batch.push(&vec![0; LARGEST_UDP + 1], target, None).unwrap();
    batch.push(b"third", target, None).unwrap();
    let error = sender.send_batch(&mut batch).unwrap_err();
    let sentence = format!("cannot send to udp://{target}: message too long (EMSGSIZE)");
    assert_error(&error, Stage::Io, Some(libc::EMSGSIZE), &sentence);
    assert_eq!(batch.len(), 1);
    assert_eq!(sender.send_batch(&mut batch).unwrap(), 1);
    let mut buffer = [0; 8];
    for expected in [b"first", b"third"] {
        let length = socket.recv_from(&mut buffer).unwrap().length;
        assert_eq!(&buffer[..length], expected);
    }
}

#[test]
fn a_batch_that_does_not_fit_stays() {
    let receiver = receive_on("udg://@");
    let mut sender = receive_on("udg://@");
    sender.set_blocking(false);
    let mut batch = Batch::new(2048, 8);
    while batch.push(b"x", receiver.local_addr(), None).is_ok() {}
    // The queue of a unix socket holds net.unix.max_dgram_qlen datagrams.
    let error = sender.send_batch(&mut batch).unwrap_err();
    assert_eq!(error.io_kind(), ErrorKind::WouldBlock);
    let left = batch.len();
    assert!(left > 0 && left < 2048, "{left} are left");
    let mut received = Batch::new(64, 8);
    let count = receiver.recv_batch(&mut received).unwrap();
    assert!(sender.send_batch(&mut batch).is_err());
    assert_eq!(batch.len(), left - count);
}

/// The wildcard that is bound, the address that is asked, and how the server sees that address.
const ASKED: [(&str, &str, &str); 4] = [
    ("0.0.0.0", "127.0.0.2", "127.0.0.2"),
    ("0.0.0.0", "127.0.0.1", "127.0.0.1"),
    ("[::]", "[::1]", "::1"),
    ("[::]", "127.0.0.2", "::ffff:127.0.0.2"),
];

#[test]
fn a_wildcard_socket_answers_from_the_address_that_was_asked() {
    for (wildcard, asked, seen) in ASKED {
        let socket = receive_on(&format!("udp://{wildcard}:0?{}", dual_stack(wildcard)));
        let port = socket.local_addr().port().unwrap();
        let url: SocketUrl = format!("udp://{asked}:{port}").parse().unwrap();
        let mut client = connect(&url);
        client.write_all(b"a question").unwrap();
        let received = socket.recv_from(&mut [0; 64]).unwrap();
        let peer = received.peer.as_ref().unwrap();
        let local = received.local.unwrap();
        assert_eq!(
            local.ip,
            seen.parse::<IpAddr>().unwrap(),
            "{wildcard} asked at {asked}"
        );
        // What leaves from another address a connected client never sees.
        if asked == "127.0.0.2" {
            socket.send_to(b"from elsewhere", peer, None).unwrap();
        }
        socket.send_to(b"an answer", peer, Some(local)).unwrap();
        let mut batch = Batch::new(1, 64);
        batch.push(b"another", peer, Some(local)).unwrap();
        socket.send_batch(&mut batch).unwrap();
        let mut buffer = [0; 64];
        for expected in [&b"an answer"[..], b"another"] {
            let length = client.read(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], expected, "{wildcard} asked at {asked}");
        }
    }
}

/// Whatever the system's default is, net.ipv6.bindv6only.
fn dual_stack(wildcard: &str) -> &'static str {
    if wildcard == "[::]" {
        "v6only=0"
    } else {
        "reuse_port=0"
    }
}

#[test]
fn a_batch_knows_where_each_datagram_was_sent() {
    let socket = receive_on("udp://0.0.0.0:0");
    let port = socket.local_addr().port().unwrap();
    let sender = receive_on("udp://127.0.0.1:0");
    let hosts = [[127, 0, 0, 1], [127, 0, 0, 2], [127, 3, 4, 5]];
    for host in hosts {
        let target = SocketAddress::from(SocketAddr::from((host, port)));
        sender.send_to(b"x", &target, None).unwrap();
    }
    let mut batch = Batch::new(8, 8);
    socket.recv_batch(&mut batch).unwrap();
    let asked: Vec<_> = batch.iter().map(|d| d.local.unwrap().ip).collect();
    assert_eq!(asked, hosts.map(IpAddr::from));
}

#[test]
fn a_bound_address_is_the_local_one() {
    for loopback in ["127.0.0.1", "::1"] {
        let ip: IpAddr = loopback.parse().unwrap();
        let socket = receive_on(&format!("udp://{}", SocketAddr::new(ip, 0)));
        connect(socket.url()).write_all(b"x").unwrap();
        let local = socket.recv_from(&mut [0; 8]).unwrap().local.unwrap();
        assert_eq!((local.ip, local.interface), (ip, 0));
    }
}

#[test]
fn broadcast_is_refused_unless_it_is_allowed() {
    let socket = receive_on("udp://0.0.0.0:0");
    let port = socket.local_addr().port().unwrap();
    let broadcast = SocketAddress::from(SocketAddr::from(([127, 255, 255, 255], port)));
    let sentence = format!("cannot send to udp://{broadcast}: permission denied (EACCES)");
    let sender = receive_on("udp://127.0.0.1:0");
    let error = sender.send_to(b"x", &broadcast, None).unwrap_err();
    assert_error(&error, Stage::Io, Some(libc::EACCES), &sentence);

    let allowed = receive_on("udp://127.0.0.1:0?broadcast=1");
    allowed.send_to(b"x", &broadcast, None).unwrap();
    let received = socket.recv_from(&mut [0; 8]).unwrap();
    // The answer can't leave from the address that was asked, but from the one beside it.
    assert_eq!(received.local.unwrap().ip, IpAddr::from([127, 0, 0, 1]));

    let url = format!("udp://{broadcast}");
    let error = Stream::connect(&*url, &ConnectOptions::default()).unwrap_err();
    let sentence = format!("cannot connect to {url}: permission denied (EACCES)");
    assert_error(&error, Stage::Connect, Some(libc::EACCES), &sentence);
    Stream::connect(&*format!("{url}?broadcast=1"), &ConnectOptions::default()).unwrap();
}

#[test]
fn a_port_without_a_receiver_is_told_to_a_connected_client() {
    child::run(Surroundings::Alone, || {
        let gone = receive_on("udp://127.0.0.1:0").url().clone();
        let mut client = connect(&gone);
        client.write_all(b"x").unwrap();
        let error = client.read(&mut [0; 8]).unwrap_err();
        let sentence = format!("cannot read from {gone}: connection refused (ECONNREFUSED)");
        let ours = Error::in_io(&error).unwrap();
        assert_error(ours, Stage::Io, Some(libc::ECONNREFUSED), &sentence);
    });
}

#[test]
fn a_second_receiver_of_one_port_is_refused() {
    let first = receive_on("udp://127.0.0.1:0");
    let error = DatagramSocket::bind(first.url(), &ListenOptions::default()).unwrap_err();
    let sentence = format!("cannot bind {first}: address already in use (EADDRINUSE)");
    assert_error(&error, Stage::Bind, Some(libc::EADDRINUSE), &sentence);
}

#[test]
fn streams_of_bytes_and_sockets_of_datagrams_are_not_mixed_up() {
    let options = ListenOptions::default();
    let error = DatagramSocket::bind("tcp://127.0.0.1:0", &options).unwrap_err();
    let sentence = "cannot parse tcp://127.0.0.1:0: tcp has no datagrams: bind a Listener";
    assert_error(&error, Stage::Parse, None, sentence);
}

#[test]
fn a_batch_whose_last_datagram_was_refused_can_be_filled_again() {
    let socket = DatagramSocket::bind("udp://127.0.0.1:0", &ListenOptions::default()).unwrap();
    let nowhere = SocketAddress::Inet(([127, 0, 0, 1], 0).into());
    let mut batch = Batch::new(2, 9);
    for _ in 0..5 {
        // Two that travel as one, to a port that can't be sent to.
        batch.push(b"x", &nowhere, None).unwrap();
        batch.push(b"y", &nowhere, None).unwrap();
        assert_eq!(
            socket.send_batch(&mut batch).unwrap_err().errno(),
            Some(libc::EINVAL)
        );
        assert!(batch.is_empty() && !batch.is_full());
    }
    batch.push(b"self", socket.local_addr(), None).unwrap();
    assert_eq!(socket.send_batch(&mut batch).unwrap(), 1);
    assert_eq!(socket.recv_from(&mut [0; 9]).unwrap().length, 4);
}
