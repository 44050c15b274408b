//! A program for each client, its standard input and output a socket.
//!
//! What the program is told of the client, it is told as by the UCSPI servers of D. J.
//! Bernstein: <https://cr.yp.to/proto/ucspi.txt>.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use stream_socket::{SocketAddress, Stream, TlsFacts, Transport, UnixAddress};

use super::spares::{Lent, Spares};
use crate::descriptor;

/// How often at most it is told that programs can't be started, or are not: what lacks to one
/// lacks to all.
const REPORT: Duration = Duration::from_secs(1);

/// errno(3) of Linux, which std has no kinds for: the system or the process has no descriptors.
const ENFILE: i32 = 23;
const EMFILE: i32 = 24;
const ENOBUFS: i32 = 105;

/// Whom a program is started for.
#[derive(Clone, Copy)]
pub(super) struct Client<'a> {
    /// Who it is.
    pub(super) stream: &'a Stream,
    /// What becomes the program's standard input and output.
    pub(super) socket: &'a Stream,
}

impl<'a> Client<'a> {
    /// One whose connection itself is given to the program.
    pub(super) fn over(stream: &'a Stream) -> Self {
        let socket = stream;
        Self { stream, socket }
    }
}

/// The program and its arguments.
#[derive(Debug)]
pub(crate) struct Program {
    program: OsString,
    arguments: Vec<OsString>,
    spares: Spares,
    /// How many run.
    running: AtomicUsize,
    /// How many clients wait for it to be started.
    waiting: AtomicUsize,
    /// When it was last told that it can't be started for want of something.
    told: Occasion,
    /// When it was last told that a peer is refused.
    told_refused: Occasion,
}

/// A client that waits for its program to be started.
pub(super) struct Late(Arc<Program>);

impl Late {
    pub(super) fn new(program: &Arc<Program>) -> Self {
        program.waiting.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(program))
    }
}

impl Drop for Late {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Program {
    pub(crate) fn new(program: OsString, arguments: Vec<OsString>) -> Self {
        Self {
            program,
            arguments,
            spares: Spares::default(),
            running: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            told: Occasion::default(),
            told_refused: Occasion::default(),
        }
    }

    /// Starts it for a client, if need be with the descriptors that are kept back for that. They
    /// are taken again when the second of the pair is dropped.
    pub(super) fn start(&self, client: Client<'_>) -> (io::Result<Child>, Option<Lent<'_>>) {
        self.spares.refill();
        match self.spawn(client) {
            Err(error) if is_lack(&error) => {
                let lent = self.spares.lend();
                (self.spawn(client), Some(lent))
            }
            result => (result, None),
        }
    }

    /// Without a hook before exec, so that std takes its fast way, posix_spawn(3).
    fn spawn(&self, client: Client<'_>) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).process_group(0);
        describe(&mut command, client.stream)?;
        // The stream stays, since the program may have to be started once more.
        let socket = descriptor::blocking(client.socket)?;
        command.stdout(Stdio::from(socket.try_clone()?));
        command.stdin(Stdio::from(socket));
        let child = command.spawn()?;
        self.running.fetch_add(1, Ordering::Relaxed);
        Ok(child)
    }

    /// One of those that were started has ended.
    pub(super) fn ended(&self) {
        self.running.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether another client can be served. While one waits for want of descriptors or
    /// processes, newcomers would take what it waits for.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) == 0
    }

    /// A connection has let go of its descriptors: the spares come before newcomers.
    pub(super) fn released(&self) {
        self.spares.refill();
    }

    /// Whether nobody is left whose end would give back what lacks.
    pub(super) fn is_hopeless(&self, error: &io::Error) -> bool {
        number(error) == Some(EMFILE) && self.running.load(Ordering::Relaxed) == 0
    }

    /// Says that it can't be started for `peer`, who is given up.
    pub(super) fn failed(&self, peer: &str, error: &io::Error) {
        let program = self.program.display();
        tracing::error!(%peer, "cannot start {program}: {error}");
    }

    /// Says, now and then, that it is not started for a peer.
    pub(super) fn refuse(&self, peer: &Stream, reason: &str) {
        if self.told_refused.comes() {
            tracing::warn!(%peer, reason, others = "not told within a second", "refused");
        }
    }

    /// Says, now and then, that connections wait for it to be started.
    pub(super) fn delayed(&self, error: &io::Error) {
        if !self.told.comes() {
            return;
        }
        let program = self.program.display();
        tracing::warn!("cannot start {program} now, connections wait: {error}");
    }
}

/// Something that is told now and then.
#[derive(Debug, Default)]
struct Occasion(Mutex<Option<Instant>>);

impl Occasion {
    /// Whether to tell it once more.
    fn comes(&self) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|told| told.elapsed() < REPORT) {
            return false;
        }
        *told = Some(Instant::now());
        true
    }
}

/// Whether it failed for want of descriptors, processes or memory, which may be there again soon.
pub(super) fn is_lack(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::OutOfMemory)
        || matches!(number(error), Some(ENFILE | EMFILE | ENOBUFS))
}

/// The system's number, also of an error that went through the library.
pub(super) fn number(error: &io::Error) -> Option<i32> {
    stream_socket::Error::in_io(error)
        .map_or_else(|| error.raw_os_error(), stream_socket::Error::errno)
}

/// All that a UCSPI server may tell, by any transport.
const VARIABLES: [&str; 35] = [
    "PROTO",
    "SSL_CIPHER",
    "SSL_CIPHER_USEKEYSIZE",
    "SSL_CLIENT_I_DN",
    "SSL_CLIENT_S_DN",
    "SSL_CLIENT_VERIFY",
    "SSL_PROTOCOL",
    "SSL_SESSION_RESUMED",
    "SSL_TLS_SNI",
    "SSL_TLS_SNI_SERVERNAME",
    "TCPLOCALHOST",
    "TCPLOCALIP",
    "TCPLOCALPORT",
    "TCPREMOTEHOST",
    "TCPREMOTEINFO",
    "TCPREMOTEIP",
    "TCPREMOTEPORT",
    "UDGLOCALPATH",
    "UDGREMOTEPATH",
    "UDPLOCALHOST",
    "UDPLOCALIP",
    "UDPLOCALPORT",
    "UDPREMOTEHOST",
    "UDPREMOTEINFO",
    "UDPREMOTEIP",
    "UDPREMOTEPORT",
    "UNIXLOCALPATH",
    "UNIXREMOTEEGID",
    "UNIXREMOTEEUID",
    "UNIXREMOTEPATH",
    "UNIXREMOTEPID",
    "VSOCKLOCALCID",
    "VSOCKLOCALPORT",
    "VSOCKREMOTECID",
    "VSOCKREMOTEPORT",
];

/// Tells the program who its peer is, and who it is itself.
fn describe(command: &mut Command, stream: &Stream) -> io::Result<()> {
    // What another server said of another connection must not stay.
    for variable in VARIABLES {
        command.env_remove(variable);
    }
    let transport = stream.transport();
    let protocol = transport.carrier().name().to_ascii_uppercase();
    command.env("PROTO", if transport.is_tls() { "SSL" } else { &protocol });
    let local = stream.local_addr()?;
    for (end, address) in [("REMOTE", stream.peer_addr()), ("LOCAL", local.as_ref())] {
        if let Some(address) = address {
            describe_address(command, &format!("{protocol}{end}"), address);
        }
    }
    if let Some(facts) = stream.tls() {
        describe_tls(command, &facts);
    }
    if transport.carrier() == Transport::Unix {
        let credentials = stream.peer_credentials()?;
        command.env("UNIXREMOTEPID", credentials.process.to_string());
        command.env("UNIXREMOTEEUID", credentials.user.to_string());
        command.env("UNIXREMOTEEGID", credentials.group.to_string());
    }
    Ok(())
}

/// By the names that Apache's mod_ssl has made known; of the name that the client asked for,
/// servers of UCSPI tell by another.
fn describe_tls(command: &mut Command, facts: &TlsFacts) {
    command.env(
        "SSL_PROTOCOL",
        facts.version.to_string().replace("TLS ", "TLSv"),
    );
    command.env("SSL_CIPHER", facts.cipher.openssl_name);
    command.env("SSL_CIPHER_USEKEYSIZE", facts.cipher.bits.to_string());
    let kind = if facts.resumed { "Resumed" } else { "Initial" };
    command.env("SSL_SESSION_RESUMED", kind);
    if let Some(name) = &facts.server_name {
        command.env("SSL_TLS_SNI", name);
        command.env("SSL_TLS_SNI_SERVERNAME", name);
    }
    // Who shows a certificate that is not accepted does not come as far as this.
    let client = facts.peer_subject_and_issuer();
    let verified = if client.is_some() { "SUCCESS" } else { "NONE" };
    command.env("SSL_CLIENT_VERIFY", verified);
    if let Some((subject, issuer)) = client {
        command.env("SSL_CLIENT_S_DN", subject);
        command.env("SSL_CLIENT_I_DN", issuer);
    }
}

fn describe_address(command: &mut Command, prefix: &str, address: &SocketAddress) {
    match address {
        SocketAddress::Inet(inet) => {
            let ip = inet.ip().to_canonical();
            command.env(format!("{prefix}IP"), ip.to_string());
            command.env(format!("{prefix}PORT"), inet.port().to_string());
        }
        SocketAddress::Unix(unix) => {
            if let Some(path) = path(unix) {
                command.env(format!("{prefix}PATH"), path);
            }
        }
        SocketAddress::Vsock(vsock) => {
            command.env(format!("{prefix}CID"), vsock.cid.to_string());
            command.env(format!("{prefix}PORT"), vsock.port.to_string());
        }
        _ => {}
    }
}

/// A path as it is; an abstract name, which an environment can't hold, as `@name`.
fn path(unix: &UnixAddress) -> Option<OsString> {
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
