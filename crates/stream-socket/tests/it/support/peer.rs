//! Programs that are not ours, to talk to.

use std::env;
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use super::PATIENCE;

/// The Debian package that brings each program.
const PACKAGES: &[(&str, &str)] = &[
    ("curl", "curl"),
    ("gnutls-cli", "gnutls-bin"),
    ("ip", "iproute2"),
    ("mount", "mount"),
    ("nc.openbsd", "netcat-openbsd"),
    ("ncat", "ncat"),
    ("openssl", "openssl"),
    ("php", "php-cli"),
    ("python3", "python3"),
    ("setpriv", "util-linux"),
    ("ss", "iproute2"),
    ("socat", "socat"),
    ("sslscan", "sslscan"),
    ("strace", "strace"),
    ("unshare", "util-linux"),
];

/// Where Debian keeps what is not on the `PATH` of an ordinary user.
const ADMINISTRATOR_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// The path of a program; a test that needs a missing one fails and says what to install.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let found = env::split_paths(&path)
        .chain(ADMINISTRATOR_FOLDERS.map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    let package = PACKAGES.iter().find(|(program, _)| *program == name);
    let package = package.map_or(name, |(_, package)| package);
    found.unwrap_or_else(|| {
        panic!("this test needs {name}: install Debian's {package}, as `cargo xtask test` does")
    })
}

/// A running program, killed when dropped.
pub(crate) struct Peer {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines,
    errors: Lines,
}

/// What a program wrote, line by line as it comes.
struct Lines(Receiver<Vec<u8>>);

impl Peer {
    pub(crate) fn start<A: AsRef<OsStr>>(name: &str, arguments: &[A]) -> Self {
        let mut command = Command::new(program(name));
        command.args(arguments);
        Self::run(command)
    }

    /// python3 with a script of ours.
    pub(crate) fn python(script: &str, arguments: &[&str]) -> Self {
        Self::start("python3", &[&["-c", script], arguments].concat())
    }

    /// Stock PHP, without its configuration, with a script of ours.
    pub(crate) fn php(script: &str, arguments: &[&str]) -> Self {
        Self::start("php", &[&["-n", "-r", script, "--"], arguments].concat())
    }

    pub(crate) fn run(mut command: Command) -> Self {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let input = child.stdin.take();
        let output = Lines::of(child.stdout.take().unwrap());
        let errors = Lines::of(child.stderr.take().unwrap());
        Self {
            child,
            input,
            output,
            errors,
        }
    }

    pub(crate) fn id(&self) -> i32 {
        self.child.id().cast_signed()
    }

    /// Writes to its standard input, which must have room for it.
    pub(crate) fn tell(&mut self, bytes: &[u8]) {
        self.input.as_mut().unwrap().write_all(bytes).unwrap();
    }

    pub(crate) fn end_input(&mut self) {
        self.input = None;
    }

    /// The next line on its standard output, without the line feed.
    pub(crate) fn line(&self) -> String {
        self.output.next_with("")
    }

    /// The next line on its standard output that contains `text`.
    pub(crate) fn line_with(&self, text: &str) -> String {
        self.output.next_with(text)
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// The next line on its standard error that contains `text`.
    pub(crate) fn error_line_with(&self, text: &str) -> String {
        self.errors.next_with(text)
    }

    /// Ends its input, and returns what it printed, once it has ended by itself and well.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.end_input();
        let (output, errors) = (self.output.rest(), self.errors.rest());
        let status = self.child.wait().unwrap();
        assert!(
            status.success(),
            "{status}: {}",
            String::from_utf8_lossy(&errors)
        );
        output
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

impl Lines {
    fn of(source: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                if sender.send(std::mem::take(&mut line)).is_err() {
                    break;
                }
            }
        });
        Self(receiver)
    }

    fn next_with(&self, text: &str) -> String {
        let mut seen = String::new();
        while let Ok(line) = self.0.recv_timeout(PATIENCE) {
            let line = String::from_utf8_lossy(&line);
            if line.contains(text) {
                return line.trim_end().to_owned();
            }
            seen.push_str(&line);
        }
        panic!("the peer ended, or kept silent, without a line with {text:?}: {seen}");
    }

    fn rest(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        loop {
            match self.0.recv_timeout(PATIENCE) {
                Ok(line) => bytes.extend(line),
                Err(mpsc::RecvTimeoutError::Disconnected) => return bytes,
                Err(mpsc::RecvTimeoutError::Timeout) => panic!(
                    "the peer does not end; so far: {}",
                    String::from_utf8_lossy(&bytes)
                ),
            }
        }
    }
}

/// Arguments, written as words.
pub(crate) fn words<const N: usize>(words: [&str; N]) -> Vec<String> {
    words.map(str::to_owned).to_vec()
}

/// The address at the end of a program's line.
pub(crate) fn address_in(line: &str) -> SocketAddr {
    let address = line.rsplit([' ', '=']).next().unwrap();
    address
        .parse()
        .unwrap_or_else(|_| panic!("no address at the end of {line:?}"))
}

/// A loopback address and a free port on it, for programs that can't tell what port 0 became.
///
/// Nobody else has the address, so nobody else takes the port.
pub(crate) fn own_address() -> SocketAddr {
    static COUNT: AtomicU8 = AtomicU8::new(1);
    let [.., high, low] = std::process::id().to_be_bytes();
    let host = [127, high | 1, low, COUNT.fetch_add(1, Ordering::Relaxed)];
    TcpListener::bind(SocketAddr::from((host, 0)))
        .and_then(|probe| probe.local_addr())
        .unwrap()
}
