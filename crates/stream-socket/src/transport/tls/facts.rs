//! What rustls knows of a connection.

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use super::fingerprint::fingerprint;
use super::suites::named;
use crate::options::TlsVersion;
use crate::transport::TlsFacts;
use crate::transport::tls_facts::CIPHERS;

/// The facts of an established connection.
pub(super) fn facts(state: &CommonState, server_name: Option<&str>) -> TlsFacts {
    let is_old = state.protocol_version() == Some(ProtocolVersion::TLSv1_2);
    let cipher = state.negotiated_cipher_suite();
    let cipher = cipher.and_then(|cipher| named(cipher.suite()));
    let certificates = state.peer_certificates().unwrap_or_default();
    TlsFacts {
        version: if is_old {
            TlsVersion::V1_2
        } else {
            TlsVersion::V1_3
        },
        // A test sees to it that the table has all.
        cipher: *cipher.unwrap_or(&CIPHERS[0]),
        alpn: state.alpn_protocol().map(<[u8]>::to_vec),
        server_name: server_name.map(str::to_owned),
        peer_certificates: certificates.iter().map(|der| der.to_vec()).collect(),
        peer_fingerprint: certificates.first().map(|own| fingerprint(own)),
        resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}
