//! The ceiling of TLS: rustls over blocking sockets, one connection after the other, and nothing
//! else. `bench-rustls line|send ADDRESS CERTIFICATE`, whose file holds the key too.

#![allow(
    clippy::print_stderr,
    reason = "a program that reports its failure to the benchmark"
)]

use std::env;
use std::error::Error;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

const LINE: &[u8] = b"The local time is 11/22/2026 10:06 pm\n";
/// Half the cost of single records (measured).
const CHUNK: usize = 64 * 1024;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let [mode, address, certificate] = &words[..] else {
        eprintln!("Usage: bench-rustls line|send ADDRESS CERTIFICATE");
        return ExitCode::from(2);
    };
    match serve(mode, address, certificate) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-rustls: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(mode: &str, address: &str, certificate: &str) -> Result<(), Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(certificate)?;
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    // As ours: tickets that need no memory here.
    config.ticketer = rustls::crypto::aws_lc_rs::Ticketer::new()?;
    let config = Arc::new(config);
    let listener = TcpListener::bind(address)?;
    for socket in listener.incoming() {
        let connection = ServerConnection::new(Arc::clone(&config))?;
        let stream = StreamOwned::new(connection, socket?);
        // A client that goes away concerns nobody else.
        _ = match mode {
            "line" => line(stream),
            "send" => send(stream),
            _ => return Err("no such mode".into()),
        };
    }
    Ok(())
}

fn line(mut stream: StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
    stream.write_all(LINE)?;
    stream.conn.send_close_notify();
    stream.flush()
}

fn send(mut stream: StreamOwned<ServerConnection, TcpStream>) -> std::io::Result<()> {
    let chunk = vec![b'x'; CHUNK];
    stream.conn.set_buffer_limit(None);
    loop {
        stream.write_all(&chunk)?;
        stream.flush()?;
    }
}
