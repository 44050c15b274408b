//! A contender's server: started under the guard, seen to answer, sampled, ended.

use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::ground::Ground;
use super::measure::Outcome;
use super::network::Network;
use super::pinned::Pinned;
use super::process;
use super::row::{CONFIGURATION, DIRECT, FOLDER, PORT, Probe, TARGET_PORT};

/// How long a server may take until it answers.
const START_PATIENCE: Duration = Duration::from_secs(10);
/// How long one try at it may take.
const TRY_PATIENCE: Duration = Duration::from_secs(2);
/// A datagram to a server that is not there yet is lost.
const DATAGRAM_PATIENCE: Duration = Duration::from_millis(50);
const TRY_INTERVAL: Duration = Duration::from_millis(5);
/// The guard ends the server's group within two seconds.
const END_PATIENCE: Duration = Duration::from_secs(4);
/// How long the work that a load has left behind may take.
const SETTLE_PATIENCE: Duration = Duration::from_millis(500);
const SETTLE_INTERVAL: Duration = Duration::from_millis(10);

const QUESTION: &[u8] = b"the question that shows whether a server is there, of 64 bytes.\n";
/// No line of a contender is longer.
const LONGEST_LINE: u64 = 200;

#[derive(Debug)]
pub(super) struct Server {
    guard: Pinned,
    address: SocketAddrV4,
    /// Where it is to connect to, if it is a relay.
    target: SocketAddrV4,
    network: Option<Network>,
}

impl Server {
    /// Starts it on a port that was free a moment ago; `folder` takes what it writes.
    pub(super) fn start(
        ground: &Ground,
        outcome: &Outcome,
        network: Option<Network>,
        folder: &Path,
    ) -> Result<Self, String> {
        let [port, target] = free_ports().map_err(|error| format!("no port is free: {error}"))?;
        let name = outcome.name;
        let file = folder.join(format!("{name}.conf"));
        let fill = |text: &str| {
            text.replace(PORT, &port.to_string())
                .replace(TARGET_PORT, &target.to_string())
                .replace(CONFIGURATION, &file.to_string_lossy())
                .replace(FOLDER, &folder.to_string_lossy())
        };
        fs::write(&file, fill(&outcome.configuration))
            .map_err(|error| format!("cannot write {}: {error}", file.display()))?;
        let mut words = network.as_ref().map(Network::enter).unwrap_or_default();
        words.push(ground.made("guard"));
        words.extend(outcome.command.iter().map(|word| fill(word)));
        let complaints = folder.join(format!("{name}-server.log"));
        let is_direct = name == DIRECT;
        let at = |port| SocketAddrV4::new(Ipv4Addr::LOCALHOST, port);
        Ok(Self {
            guard: Pinned::start(ground.cores[0], &words, &complaints)?,
            address: at(if is_direct { target } else { port }),
            target: at(target),
            network,
        })
    }

    pub(super) fn address(&self) -> SocketAddrV4 {
        self.address
    }

    pub(super) fn target(&self) -> SocketAddrV4 {
        self.target
    }

    /// What the load's command line begins with, so that it is where the server is.
    pub(super) fn enter(&self) -> Vec<String> {
        self.network
            .as_ref()
            .map(Network::enter)
            .unwrap_or_default()
    }

    /// Waits until it answers; what it answers is returned if the load has to know it.
    pub(super) fn probe(&mut self, probe: Probe) -> Result<Option<String>, String> {
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            let error = match self.try_once(probe) {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            if self.guard.has_ended() {
                return Err(self.blame("it ended"));
            }
            if error.kind() == ErrorKind::InvalidData || Instant::now() > deadline {
                return Err(self.blame(&format!("it does not answer as it should: {error}")));
            }
            thread::sleep(TRY_INTERVAL);
        }
    }

    fn try_once(&self, probe: Probe) -> io::Result<Option<String>> {
        match probe {
            Probe::Line => line(&self.connect()?).map(Some),
            Probe::Echo => stream_echo(&self.connect()?).map(|()| None),
            Probe::Listens => self.connect().map(|_| None),
            Probe::Datagram => datagram_echo(self.address).map(|()| None),
            Probe::Relay => Ok(None),
        }
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let stream = TcpStream::connect_timeout(&self.address.into(), TRY_PATIENCE)?;
        stream.set_read_timeout(Some(TRY_PATIENCE))?;
        Ok(stream)
    }

    pub(super) fn processor_time(&self) -> Result<Duration, String> {
        process::processor_time(self.guard.id()).map_err(|error| error.to_string())
    }

    /// As [`Server::processor_time`], once programs that it started have ended and it rests.
    pub(super) fn settled_processor_time(&self) -> Result<Duration, String> {
        let deadline = Instant::now() + SETTLE_PATIENCE;
        let look = || Ok::<_, String>((self.processor_time()?, self.descendants()?));
        let mut before = look()?;
        loop {
            thread::sleep(SETTLE_INTERVAL);
            let now = look()?;
            if now == before || Instant::now() > deadline {
                return Ok(now.0);
            }
            before = now;
        }
    }

    fn descendants(&self) -> Result<usize, String> {
        process::descendants(self.guard.id()).map_err(|error| error.to_string())
    }

    /// The server's process, which is its process group too.
    pub(super) fn process(&self) -> Result<u32, String> {
        process::first_child(self.guard.id()).map_err(|error| error.to_string())
    }

    pub(super) fn memory(&self) -> Result<u64, String> {
        process::memory(self.guard.id()).map_err(|error| error.to_string())
    }

    /// The failure with what the server itself said last.
    pub(super) fn blame(&self, what: &str) -> String {
        match self.guard.complaint() {
            complaint if complaint.is_empty() => what.to_owned(),
            complaint => format!("{what}; it said: {complaint}"),
        }
    }

    pub(super) fn end(mut self) -> Result<(), String> {
        self.guard.end(END_PATIENCE).map(drop)
    }
}

fn free_ports() -> io::Result<[u16; 2]> {
    let any = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (one, other) = (any()?, any()?);
    Ok([one.local_addr()?.port(), other.local_addr()?.port()])
}

fn wrong(what: String) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

/// The one line that a stream says before it ends.
fn line(stream: &TcpStream) -> io::Result<String> {
    let mut bytes = Vec::new();
    stream.take(LONGEST_LINE).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let is_line = text.len() > 1 && text.find('\n') == Some(text.len() - 1);
    if is_line {
        Ok(text.into_owned())
    } else {
        Err(wrong(format!("{text:?} is no line")))
    }
}

fn stream_echo(mut stream: &TcpStream) -> io::Result<()> {
    stream.write_all(QUESTION)?;
    let mut answer = [0; QUESTION.len()];
    stream.read_exact(&mut answer)?;
    compare(&answer)
}

fn datagram_echo(server: SocketAddrV4) -> io::Result<()> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_read_timeout(Some(DATAGRAM_PATIENCE))?;
    socket.connect(server)?;
    socket.send(QUESTION)?;
    let mut answer = [0; 2 * QUESTION.len()];
    let length = socket.recv(&mut answer)?;
    compare(&answer[..length])
}

fn compare(answer: &[u8]) -> io::Result<()> {
    if answer == QUESTION {
        Ok(())
    } else {
        Err(wrong(format!("\"{}\" came back", answer.escape_ascii())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve_once(answer: &'static [u8]) -> TcpStream {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback is there");
        let client = TcpStream::connect(listener.local_addr().unwrap()).expect("it listens");
        let (mut stream, _) = listener.accept().expect("a client is there");
        stream.write_all(answer).expect("the client is there");
        client
    }

    #[test]
    fn only_one_whole_line_is_an_answer() {
        let answer = line(&serve_once(b"The local time is 1/2/2026 3:04 pm\n")).unwrap();
        assert_eq!(answer, "The local time is 1/2/2026 3:04 pm\n");
        for answer in [&b""[..], b"\n", b"cut", b"a\nb\n", b"a\nb"] {
            let error = line(&serve_once(answer)).unwrap_err();
            assert_eq!(
                error.kind(),
                ErrorKind::InvalidData,
                "{}",
                answer.escape_ascii()
            );
        }
    }

    #[test]
    fn an_echo_that_is_not_one_is_wrong() {
        assert!(stream_echo(&serve_once(QUESTION)).is_ok());
        let error = stream_echo(&serve_once(&[b'x'; QUESTION.len()])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
