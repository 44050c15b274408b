//! What the library does, one thing at a time, each with what it needs standing ready.

use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;

use stream_socket::simulation::{Call, Fault};
use stream_socket::{
    Batch, ConnectOptions, Connecting, DatagramSocket, Interest, ListenOptions, Listener, Member,
    Result, Stage, Stream, Transport, select,
};

use super::unwrapped;
use crate::support::{PATIENCE, listen, pair, receive_on, tcp_pair};

/// A thing to do, once and again; what it needs stands ready.
pub(super) type Attempt = Box<dyn FnMut() -> Result<()>>;

/// Something that the library does.
pub(super) struct Operation {
    pub(super) name: &'static str,
    pub(super) prepare: fn() -> Attempt,
    /// Faults that lead to where the calls are that are of interest: to a wait, for one.
    pub(super) before: &'static [(Call, Fault)],
    /// At which stages it may fail when a call of this kind does.
    pub(super) stages: fn(Call) -> &'static [Stage],
    /// Whether a signal that comes while it waits ends it.
    pub(super) interruptible: bool,
}

const fn operation(
    name: &'static str,
    prepare: fn() -> Attempt,
    stages: fn(Call) -> &'static [Stage],
) -> Operation {
    Operation {
        name,
        prepare,
        before: &[],
        stages,
        interruptible: false,
    }
}

const fn waiting(
    name: &'static str,
    prepare: fn() -> Attempt,
    before: &'static [(Call, Fault)],
) -> Operation {
    Operation {
        before,
        ..operation(name, prepare, |_| &[Stage::Io])
    }
}

const RECEIVE_WAITS: &[(Call, Fault)] = &[(Call::Receive, Fault::Errno(libc::EAGAIN))];
const SEND_WAITS: &[(Call, Fault)] = &[(Call::Send, Fault::Errno(libc::EAGAIN))];

pub(super) const LATER: &str = "connect, asynchronous";

pub(super) const OPERATIONS: &[Operation] = &[
    operation(
        "bind tcp",
        || bind("tcp://127.0.0.1:0?nodelay=1"),
        of_binding,
    ),
    operation(
        "bind tcp v6",
        || bind("tcp://[::1]:0?reuse_port=1&v6only=1"),
        of_binding,
    ),
    operation(
        "bind unix",
        || bind("unix://@?send_buffer=65536"),
        of_binding,
    ),
    operation("bind unix path", bind_path, of_binding),
    operation("bind udp", || bind_datagrams("udp://0.0.0.0:0"), of_binding),
    operation("bind udg", || bind_datagrams("udg://@"), of_binding),
    operation(
        "accept tcp",
        || accept("tcp://127.0.0.1:0"),
        |_| &[Stage::Accept],
    ),
    operation("accept unix", || accept("unix://@"), |_| &[Stage::Accept]),
    Operation {
        before: &[(Call::Accept, Fault::Errno(libc::EAGAIN))],
        interruptible: true,
        ..operation(
            "accept, waiting",
            || accept("tcp://127.0.0.1:0"),
            |_| &[Stage::Accept],
        )
    },
    operation(
        "connect tcp",
        || connecting("tcp://127.0.0.1:0", "?nodelay=1"),
        of_connecting,
    ),
    operation("connect unix", || connecting("unix://@", ""), of_connecting),
    operation(
        "connect from",
        || connecting("tcp://127.0.0.1:0", "?bind=127.0.0.1"),
        of_connecting,
    ),
    operation("connect udg", connecting_udg, of_connecting),
    operation(LATER, connecting_later, of_connecting_later),
    operation(
        "pair",
        || Box::new(|| Stream::pair(Transport::Udg).map(drop)),
        |_| &[Stage::Socket],
    ),
    operation("read", || read(tcp_pair()), |_| &[Stage::Io]),
    operation(
        "read datagram",
        || read(pair(Transport::Udg)),
        |_| &[Stage::Io],
    ),
    waiting("read, waiting", || read(tcp_pair()), RECEIVE_WAITS),
    operation("read line", read_line, |_| &[Stage::Io]),
    waiting("read line, waiting", read_line, RECEIVE_WAITS),
    operation("peek", peek, |_| &[Stage::Io]),
    operation("write", || write(tcp_pair()), |_| &[Stage::Io]),
    waiting("write, waiting", || write(tcp_pair()), SEND_WAITS),
    operation("shutdown", shutdown, |_| &[Stage::Io]),
    operation("local address", local_address, |_| &[Stage::Io]),
    operation("credentials", credentials, |_| &[Stage::Io]),
    operation("receive", receive, |_| &[Stage::Io]),
    waiting("receive, waiting", receive, RECEIVE_WAITS),
    operation("send", send, |_| &[Stage::Io]),
    waiting("send, waiting", send, SEND_WAITS),
    operation("receive batch", receive_batch, |_| &[Stage::Io]),
    operation("send batch", send_batch, |_| &[Stage::Io]),
    Operation {
        interruptible: true,
        ..operation("select", selecting, |_| &[Stage::Io])
    },
];

fn bind(url: &'static str) -> Attempt {
    Box::new(move || Listener::bind(url, &ListenOptions::default()).map(drop))
}

fn bind_path() -> Attempt {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("unix://{}/s?mode=0600&owner=0", folder.path().display());
    let url = url.replace("owner=0", &format!("owner={}", nix::unistd::geteuid()));
    let mut bound: Option<Listener> = None;
    Box::new(move || {
        let _keep = &folder;
        // A second time it is bound anew, and not in the way of itself.
        drop(bound.take());
        bound = Some(Listener::bind(&*url, &ListenOptions::default())?);
        Ok(())
    })
}

fn bind_datagrams(url: &'static str) -> Attempt {
    Box::new(move || DatagramSocket::bind(url, &ListenOptions::default()).map(drop))
}

fn of_binding(call: Call) -> &'static [Stage] {
    match call {
        Call::Bind | Call::Name => &[Stage::Bind],
        Call::Listen => &[Stage::Listen],
        // What is done to the file is part of binding, but for its owner and mode: options.
        Call::File => &[Stage::Bind, Stage::Socket],
        _ => &[Stage::Socket],
    }
}

fn accept(url: &str) -> Attempt {
    let listener = listen(url);
    // Made and kept outside of the library.
    let connect = move |listener: &Listener| match listener.transport() {
        Transport::Tcp => drop(TcpStream::connect(listener.local_addr().to_string()).unwrap()),
        _ => {
            use std::os::linux::net::SocketAddrExt;
            use std::os::unix::net::SocketAddr;
            let name = &listener.local_addr().to_string()[1..];
            let address = SocketAddr::from_abstract_name(name).unwrap();
            drop(UnixStream::connect_addr(&address).unwrap());
        }
    };
    connect(&listener);
    connect(&listener);
    Box::new(move || listener.accept(Some(PATIENCE)).map(drop))
}

fn connecting(url: &str, query: &str) -> Attempt {
    let listener = listen(url);
    let url = format!("{}{query}", listener.url());
    Box::new(move || {
        let _keep = &listener;
        Stream::connect(&*url, &ConnectOptions::default()).map(drop)
    })
}

fn connecting_udg() -> Attempt {
    let socket = receive_on("udg://@");
    Box::new(move || Stream::connect(socket.url(), &ConnectOptions::default()).map(drop))
}

fn connecting_later() -> Attempt {
    let listener = listen("tcp://127.0.0.1:0");
    Box::new(move || {
        let mut connecting = Connecting::start(listener.url(), &ConnectOptions::default())?;
        while connecting.advance()?.is_none() {}
        Ok(())
    })
}

fn of_connecting(call: Call) -> &'static [Stage] {
    match call {
        Call::Socket | Call::SetOption => &[Stage::Socket],
        Call::Bind => &[Stage::Bind],
        _ => &[Stage::Connect],
    }
}

/// Its set of descriptors is made and filled by calls of the same kind as a poll.
fn of_connecting_later(call: Call) -> &'static [Stage] {
    match call {
        Call::Poll => &[Stage::Socket, Stage::Connect],
        call => of_connecting(call),
    }
}

fn read((mut here, mut there): (Stream, Stream)) -> Attempt {
    there.write_all(b"first").unwrap();
    there.write_all(b"second").unwrap();
    Box::new(move || {
        let _keep = &there;
        here.read(&mut [0; 5]).map(drop).map_err(unwrapped)
    })
}

fn read_line() -> Attempt {
    let (mut here, mut there) = tcp_pair();
    there.write_all(b"first\nsecond\n").unwrap();
    let mut expected = [b"first\n".to_vec(), b"second\n".to_vec()]
        .into_iter()
        .peekable();
    Box::new(move || {
        let _keep = &there;
        let mut line = Vec::new();
        here.read_line(&mut line, 99)?;
        assert_eq!(Some(line), expected.next(), "nothing is lost by a failure");
        Ok(())
    })
}

fn peek() -> Attempt {
    let (mut here, mut there) = tcp_pair();
    there.write_all(b"x").unwrap();
    Box::new(move || {
        let _keep = &there;
        here.peek(&mut [0; 5]).map(|length| assert_eq!(length, 1))
    })
}

fn write((mut here, there): (Stream, Stream)) -> Attempt {
    Box::new(move || {
        let _keep = &there;
        here.write_all(b"x").map_err(unwrapped)
    })
}

fn shutdown() -> Attempt {
    let (mut here, there) = tcp_pair();
    Box::new(move || {
        let _keep = &there;
        here.shutdown(std::net::Shutdown::Write)
    })
}

fn local_address() -> Attempt {
    let (here, there) = tcp_pair();
    Box::new(move || {
        let _keep = &there;
        here.local_addr().map(drop)
    })
}

fn credentials() -> Attempt {
    let (here, there) = pair(Transport::Unix);
    Box::new(move || {
        let _keep = &there;
        here.peer_credentials().map(drop)
    })
}

/// A socket that two datagrams wait on, and another that is there to send and to be sent to.
///
/// They were sent outside of the library, so that no fault is met there.
fn with_datagrams() -> (DatagramSocket, DatagramSocket) {
    let [socket, other] = [(); 2].map(|()| receive_on("udp://127.0.0.1:0"));
    let sender = UdpSocket::bind("127.0.0.1:0").unwrap();
    for payload in [b"first", b"again"] {
        sender
            .send_to(payload, socket.local_addr().to_string())
            .unwrap();
    }
    (socket, other)
}

fn receive() -> Attempt {
    let (socket, _) = with_datagrams();
    Box::new(move || socket.recv_from(&mut [0; 9]).map(drop))
}

fn send() -> Attempt {
    let (socket, other) = with_datagrams();
    Box::new(move || socket.send_to(b"x", other.local_addr(), None))
}

fn receive_batch() -> Attempt {
    let (socket, _) = with_datagrams();
    Box::new(move || socket.recv_batch(&mut Batch::new(1, 9)).map(drop))
}

fn send_batch() -> Attempt {
    let (socket, other) = with_datagrams();
    Box::new(move || {
        let mut batch = Batch::new(8, 9);
        batch.push(b"x", other.local_addr(), None).unwrap();
        socket.send_batch(&mut batch).map(drop)
    })
}

fn selecting() -> Attempt {
    let (here, mut there) = pair(Transport::Unix);
    there.write_all(b"x").unwrap();
    Box::new(move || {
        let _keep = &there;
        let mut members = [Member::new(&here, Interest::READ)];
        select(&mut members, Some(PATIENCE)).map(|ready| assert_eq!(ready, 1))
    })
}
