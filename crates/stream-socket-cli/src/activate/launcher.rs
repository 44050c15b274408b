//! How a worker is started.
//!
//! `LISTEN_PID` must be the worker's own process, whose number nobody knows before it is there, and
//! std lets nobody change the environment between fork and exec. So what is started is this command
//! under another name, which then becomes the program: exec keeps the number.

use std::borrow::Cow;
use std::env;
use std::ffi::OsString;
use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{self, Child, Command, ExitCode, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};

use super::sockets::Sockets;
use crate::exit;
use crate::failure::Failure;

/// The name by which this command knows that it is to become a worker.
const NAME: &str = "stream-socket-worker";

/// This command itself, also where its file has been replaced by a newer one.
const SELF: &str = "/proc/self/exe";

/// sd_listen_fds(3): `SD_LISTEN_FDS_START`.
const FIRST: RawFd = 3;

/// What is said to this command by who started it, and is not for workers.
const OURS: [&str; 5] = [
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// To exec a program takes milliseconds, unless its file system hangs.
const LIMIT: Duration = Duration::from_secs(30);

/// Starts the program with the sockets.
pub(crate) struct Launcher {
    /// The program and its arguments.
    words: Vec<OsString>,
    sockets: Sockets,
}

impl Launcher {
    pub(crate) fn new(words: Vec<OsString>, sockets: Sockets) -> Self {
        Self { words, sockets }
    }

    /// The sockets that it passes.
    pub(super) fn sockets(&self) -> Vec<BorrowedFd<'_>> {
        self.sockets.descriptors().collect()
    }

    /// The program without its arguments.
    fn program(&self) -> Cow<'_, str> {
        self.words
            .first()
            .map_or("".into(), |word| word.to_string_lossy())
    }

    /// Starts it, and sees that the program itself runs.
    pub(super) fn start(&self) -> Result<Child, Failure> {
        let failed = |error| Failure::System(format!("cannot start {}", self.program()), error);
        let (mut answer, report) = UnixStream::pair().map_err(failed)?;
        answer.set_read_timeout(Some(LIMIT)).map_err(failed)?;
        let mut child = self.launch(report.into()).map_err(failed)?;
        let mut code = String::new();
        let error = match answer.read_to_string(&mut code) {
            Ok(0) => return Ok(child),
            Ok(_) => io::Error::from_raw_os_error(code.parse().unwrap_or_default()),
            // How a socket tells that the time is up.
            Err(error) if error.kind() == ErrorKind::WouldBlock => ErrorKind::TimedOut.into(),
            Err(error) => error,
        };
        // It would end by itself, but for one that hangs.
        _ = child.kill();
        _ = child.wait();
        Err(failed(error))
    }

    fn launch(&self, report: OwnedFd) -> io::Result<Child> {
        let mut command = Command::new(SELF);
        command
            .arg0(NAME)
            .arg(process::id().to_string())
            .args(&self.words)
            .process_group(0)
            .stdin(Stdio::from(report));
        for name in OURS {
            command.env_remove(name);
        }
        command.env("LISTEN_FDS", self.sockets.count().to_string());
        if let Some(names) = self.sockets.names() {
            command.env("LISTEN_FDNAMES", names);
        }
        command
            .fd_mappings(self.mappings()?)
            .map_err(io::Error::other)?;
        command.spawn()
    }

    fn mappings(&self) -> io::Result<Vec<FdMapping>> {
        let numbered = self.sockets.descriptors().zip(FIRST..);
        let mappings = numbered.map(|(socket, child_fd)| {
            let parent_fd = socket.try_clone_to_owned()?;
            Ok(FdMapping {
                parent_fd,
                child_fd,
            })
        });
        mappings.collect()
    }
}

/// Becomes the worker, if this process was started to do that; it returns only if it was not, or
/// can't.
///
/// Standard input is where it is told why the program can't be started; it is closed once that
/// runs.
pub(crate) fn launched() -> Option<ExitCode> {
    let mut words = env::args_os();
    if words.next()? != NAME {
        return None;
    }
    let report = io::stdin().as_fd().try_clone_to_owned();
    let error = become_worker(words);
    let code = error.raw_os_error().unwrap_or_default().to_string();
    // Where it can't be told, nobody is left who would listen.
    _ = report.and_then(|report| UnixStream::from(report).write_all(code.as_bytes()));
    Some(exit::FAILED.into())
}

fn become_worker(mut words: impl Iterator<Item = OsString>) -> io::Error {
    let parent = words.next().unwrap_or_default();
    let parent = parent.to_str().and_then(|parent| parent.parse().ok());
    if let Err(error) = stream_socket::end_with_parent(parent.unwrap_or_default()) {
        return error.into();
    }
    Command::new(words.next().unwrap_or_default())
        .args(words)
        .env("LISTEN_PID", process::id().to_string())
        .stdin(Stdio::null())
        .exec()
}
