//! The peers that run on tokio: `bench-tokio accept|echo|echo-lazy ADDRESS`.
//!
//! One thread, since the server has one core, and a task for each connection, as its documentation
//! teaches. A multi-threaded runtime on one core was measured too and is slower.

#![allow(
    clippy::print_stderr,
    reason = "a program that reports its failure to the benchmark"
)]

use std::cell::RefCell;
use std::env;
use std::io::{self, ErrorKind};
use std::process::ExitCode;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Builder;

/// As many bytes as PHP's manual page of `stream_socket_server` sends at most.
const LINE: &[u8] = b"The local time is 11/22/2026 10:06 pm\n";
/// The size of the buffer in `tokio::io::copy`.
const CONNECTION_BUFFER: usize = 8 * 1024;
const SHARED_BUFFER: usize = 60 * 1024;
/// That of every server measured.
const BACKLOG: u32 = 4096;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; SHARED_BUFFER]);
}

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let [mode, address] = &words[..] else {
        eprintln!("Usage: bench-tokio accept|echo|echo-lazy ADDRESS");
        return ExitCode::from(2);
    };
    let served = Builder::new_current_thread()
        .enable_io()
        .build()
        .and_then(|runtime| runtime.block_on(serve(mode, address)));
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-tokio: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn serve(mode: &str, address: &str) -> io::Result<()> {
    let listener = listen(address)?;
    loop {
        let (stream, _) = listener.accept().await?;
        // A client that goes away concerns nobody else.
        match mode {
            "accept" => drop(tokio::spawn(answer(stream))),
            "echo" => drop(tokio::spawn(echo(stream))),
            "echo-lazy" => drop(tokio::spawn(echo_lazily(stream))),
            _ => return Err(io::Error::new(ErrorKind::InvalidInput, "no such mode")),
        }
    }
}

fn listen(address: &str) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(address.parse().map_err(io::Error::other)?)?;
    socket.listen(BACKLOG)
}

async fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(LINE).await
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    let mut buffer = [0; CONNECTION_BUFFER];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            count => stream.write_all(&buffer[..count]).await?,
        }
    }
}

/// Waits without a buffer and reads into one that all connections share: what a careful author
/// does where there are many idle ones.
async fn echo_lazily(mut stream: TcpStream) -> io::Result<()> {
    loop {
        stream.readable().await?;
        let exchanged = BUFFER.with_borrow_mut(|buffer| exchange(&stream, buffer));
        match exchanged {
            Ok(None) => return Ok(()),
            Ok(Some(unsent)) => stream.write_all(&unsent).await?,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

/// One read and one write: what could not be sent, or `None` at the end.
fn exchange(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<Option<Vec<u8>>> {
    let count = stream.try_read(buffer)?;
    if count == 0 {
        return Ok(None);
    }
    let sent = match stream.try_write(&buffer[..count]) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        result => result?,
    };
    Ok(Some(buffer[sent..count].to_vec()))
}
