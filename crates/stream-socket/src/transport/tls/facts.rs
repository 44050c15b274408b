//! What rustls knows of a connection.

use rustls::{CommonState, HandshakeKind, ProtocolVersion};

use crate::options::TlsVersion;
use crate::transport::TlsFacts;

/// The facts of an established connection.
pub(super) fn facts(state: &CommonState, server_name: Option<&str>) -> TlsFacts {
    let is_old = state.protocol_version() == Some(ProtocolVersion::TLSv1_2);
    let suite = state.negotiated_cipher_suite();
    let certificates = state.peer_certificates().unwrap_or_default();
    TlsFacts {
        version: if is_old {
            TlsVersion::V1_2
        } else {
            TlsVersion::V1_3
        },
        cipher: suite.map_or_else(String::new, |suite| format!("{:?}", suite.suite())),
        alpn: state.alpn_protocol().map(<[u8]>::to_vec),
        server_name: server_name.map(str::to_owned),
        peer_certificates: certificates.iter().map(|der| der.to_vec()).collect(),
        resumed: state.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}
