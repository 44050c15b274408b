//! Peers that send much and say nothing.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use stream_socket::Stream;

use crate::support::certificates::{Certificates, trusting};
use crate::support::patient;

/// A server that sends so many tickets, of some 200 bytes each, and then a byte.
fn sending_tickets(count: usize) -> String {
    let file = Certificates::shared().file("localhost.pem");
    let certificate = CertificateDer::from_pem_file(&file).unwrap();
    let key = PrivateKeyDer::from_pem_file(&file).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    config.send_tls13_tickets = count;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tls://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let connection = ServerConnection::new(Arc::new(config)).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        // The client may be gone before it has all.
        _ = stream.write_all(b"x");
        _ = stream.read(&mut [0]);
    });
    url
}

#[test]
fn a_server_sends_tickets_but_not_without_end() {
    let mut client = patient(Stream::connect(&sending_tickets(100), &trusting()).unwrap());
    client.read_exact(&mut [0]).unwrap();
    let mut client = patient(Stream::connect(&sending_tickets(20_000), &trusting()).unwrap());
    let error = client.read(&mut [0]).unwrap_err();
    let reason = "the peer sends without end, and nothing to be read";
    assert!(error.to_string().ends_with(reason), "{error}");
}
