//! Floor 2, options: plain structs, and the one table that names their fields.

mod connect;
mod judge;
mod key;
mod listen;
mod socket;
mod tls;
mod tls_check;
mod unix;
mod value;

pub use connect::ConnectOptions;
pub(crate) use key::Options;
pub use key::{Key, Role, keys};
pub use listen::ListenOptions;
pub use socket::SocketOptions;
pub use tls::{
    HandshakeTime, Passphrase, TlsClientOptions, TlsIdentity, TlsServerOptions, TlsVersion,
};
pub use tls_check::TlsCheck;
pub use unix::UnixOptions;
pub use value::{Kind, parse_span};
