//! A program for each connection, its standard input and output the socket.
//!
//! What the program is told of the connection, it is told as by the UCSPI servers of D. J.
//! Bernstein: <https://cr.yp.to/proto/ucspi.txt>.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use stream_socket::engine::{Cause, Next, Wake};
use stream_socket::{ChildEnd, Interest, Place, SocketAddress, Stream, Transport};

/// The program and its arguments.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) program: OsString,
    pub(crate) arguments: Vec<OsString>,
}

impl Program {
    /// Starts it for a connection; `None` where that failed, which is logged.
    pub(super) fn start(&self, mut stream: Stream) -> Option<Running> {
        let (peer, opened) = (stream.to_string(), Instant::now());
        let place = stream.take_place();
        match self.spawn(stream) {
            Ok((child, end)) => Some(Running {
                child,
                end,
                _place: place,
                peer,
                opened,
            }),
            Err(error) => {
                let program = self.program.display();
                tracing::error!(%peer, "cannot start {program}: {error}");
                None
            }
        }
    }

    /// Without a hook before exec, so that std takes its fast way, posix_spawn(3).
    fn spawn(&self, stream: Stream) -> std::io::Result<(Child, ChildEnd)> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        describe(&mut command, &stream)?;
        let (socket, _) = stream.into_parts()?;
        command.stdout(Stdio::from(socket.try_clone()?));
        command.stdin(Stdio::from(socket));
        let mut child = command.spawn()?;
        match ChildEnd::of(&child) {
            Ok(end) => Ok((child, end)),
            Err(error) => {
                // Unwatched it could not be reaped.
                child.kill()?;
                child.wait()?;
                Err(error.into())
            }
        }
    }
}

/// All that a UCSPI server may tell, by tcp or by unix.
const VARIABLES: [&str; 13] = [
    "PROTO",
    "TCPLOCALHOST",
    "TCPLOCALIP",
    "TCPLOCALPORT",
    "TCPREMOTEHOST",
    "TCPREMOTEINFO",
    "TCPREMOTEIP",
    "TCPREMOTEPORT",
    "UNIXLOCALPATH",
    "UNIXREMOTEEGID",
    "UNIXREMOTEEUID",
    "UNIXREMOTEPATH",
    "UNIXREMOTEPID",
];

/// Tells the program who its peer is, and who it is itself.
fn describe(command: &mut Command, stream: &Stream) -> std::io::Result<()> {
    // What another server said of another connection must not stay.
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    let local = stream.local_addr()?;
    match (stream.peer_addr(), local) {
        (Some(SocketAddress::Inet(peer)), Some(SocketAddress::Inet(local))) => {
            command.env("PROTO", "TCP");
            describe_inet(command, "TCPREMOTE", peer);
            describe_inet(command, "TCPLOCAL", &local);
        }
        (peer, local) => {
            command.env("PROTO", "UNIX");
            let names = [("UNIXREMOTEPATH", peer.cloned()), ("UNIXLOCALPATH", local)];
            for (name, address) in names {
                if let Some(path) = address.as_ref().and_then(path) {
                    command.env(name, path);
                }
            }
        }
    }
    if stream.transport() == Transport::Unix {
        let credentials = stream.peer_credentials()?;
        command.env("UNIXREMOTEPID", credentials.process.to_string());
        command.env("UNIXREMOTEEUID", credentials.user.to_string());
        command.env("UNIXREMOTEEGID", credentials.group.to_string());
    }
    Ok(())
}

fn describe_inet(command: &mut Command, prefix: &str, address: &SocketAddr) {
    command.env(
        format!("{prefix}IP"),
        address.ip().to_canonical().to_string(),
    );
    command.env(format!("{prefix}PORT"), address.port().to_string());
}

/// A path as it is; an abstract name, which an environment can't hold, as `@name`.
fn path(address: &SocketAddress) -> Option<OsString> {
    let SocketAddress::Unix(unix) = address else {
        return None;
    };
    let path = unix.as_path().map(|path| path.as_os_str().to_owned());
    path.or_else(|| {
        let name = unix.as_abstract()?;
        let mut text = OsString::from("@");
        text.push(std::ffi::OsStr::from_bytes(
            name.split(|byte| *byte == 0).next()?,
        ));
        Some(text)
    })
}

/// A program that serves a connection.
pub(super) struct Running {
    child: Child,
    end: ChildEnd,
    /// Kept until the program has ended, since the connection is as long.
    _place: Option<Place>,
    peer: String,
    opened: Instant,
}

impl Running {
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.end.as_fd()
    }

    /// Waits for the program's end, also while the server drains.
    pub(super) fn run(&mut self, wake: Wake) -> Next {
        if !matches!(wake, Wake::Ready { .. }) {
            return Next::Wait(Interest::READ);
        }
        let status = match self.child.try_wait() {
            Ok(None) => return Next::Wait(Interest::READ),
            Ok(Some(status)) => status.to_string(),
            Err(error) => format!("unknown: {error}"),
        };
        self.close(&status);
        Next::Done
    }

    /// Kills the program, whose time is over.
    pub(super) fn given_up(&mut self, cause: Cause) {
        let ended = self.child.kill().and_then(|()| self.child.wait());
        let status = ended.map_or_else(|error| error.to_string(), |status| status.to_string());
        let reason = match cause {
            Cause::Lifetime => "its lifetime is over",
            _ => "cut off at the end of the drain",
        };
        self.close(&format!("{status}, {reason}"));
    }

    fn close(&self, status: &str) {
        let milliseconds = self.opened.elapsed().as_millis();
        tracing::info!(
            peer = %self.peer,
            process = self.child.id(),
            status,
            milliseconds = u64::try_from(milliseconds).unwrap_or(u64::MAX),
            "closed",
        );
    }
}
