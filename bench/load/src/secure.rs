//! TLS over a connection: 1.3 with one cipher and one group, so that all servers do the same work.

use std::io::{self, Read, Write};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs::{cipher_suite, default_provider, kx_group};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind, SignatureScheme,
};

use crate::failure::Failure;
use crate::socket::Connection;

/// A connection and its TLS.
pub(crate) struct Secure {
    tls: ClientConnection,
    socket: Connection,
}

/// What all connections have in common.
pub(crate) fn configuration(resumes: bool) -> Result<Arc<ClientConfig>, Failure> {
    let mut provider = default_provider();
    provider.cipher_suites = vec![cipher_suite::TLS13_AES_256_GCM_SHA384];
    provider.kx_groups = vec![kx_group::X25519];
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(failed)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anybody))
        .with_no_client_auth();
    config.resumption = if resumes {
        Resumption::in_memory_sessions(256)
    } else {
        Resumption::disabled()
    };
    Ok(Arc::new(config))
}

fn failed(error: Error) -> Failure {
    Failure::new(format!("TLS failed: {error}"))
}

fn broken(error: &io::Error) -> Failure {
    Failure::new(format!("TLS failed: {error}"))
}

impl Secure {
    /// Makes the handshake, which has to be of this kind if one is asked for.
    pub(crate) fn open(
        socket: Connection,
        config: &Arc<ClientConfig>,
        kind: Option<HandshakeKind>,
    ) -> Result<Self, Failure> {
        let name = ServerName::try_from("localhost").map_err(|_| Failure::new("no name"))?;
        let tls = ClientConnection::new(Arc::clone(config), name).map_err(failed)?;
        let mut secure = Self { tls, socket };
        while secure.tls.is_handshaking() {
            secure.turn().map_err(|error| broken(&error))?;
        }
        let made = secure.tls.handshake_kind();
        match kind {
            Some(kind) if made != Some(kind) => Err(Failure::new(format!(
                "the handshake was {made:?}, not {kind:?}"
            ))),
            _ => Ok(secure),
        }
    }

    fn turn(&mut self) -> io::Result<()> {
        self.tls.complete_io(&mut self.socket).map(drop)
    }

    /// Reads to the end, be it the cut of a server that closes at once. The tickets are in it.
    pub(crate) fn end(mut self) -> u64 {
        let mut rest = Vec::new();
        let mut stream = rustls::Stream::new(&mut self.tls, &mut self.socket);
        _ = stream.read_to_end(&mut rest);
        rest.len() as u64
    }

    /// Fills the buffer.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        let mut stream = rustls::Stream::new(&mut self.tls, &mut self.socket);
        stream.read_exact(buffer).map_err(|error| broken(&error))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stream = rustls::Stream::new(&mut self.tls, &mut self.socket);
        stream
            .write_all(bytes)
            .and_then(|()| stream.flush())
            .map_err(|error| broken(&error))
    }
}

/// Whose certificate it is does not matter here.
#[derive(Debug)]
struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        default_provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}
