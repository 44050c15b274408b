//! Floor 4, transports: from a URL and options to a socket.
//!
//! The plain transports differ in data, not in code: each is a family and a type of socket,
//! so binding and connecting are one path each for all of them.

mod apply;
mod beside;
mod bind;
mod endpoint;
mod inherited;
mod local;
mod plan;
mod prelude;
mod race;
#[cfg(feature = "tls")]
pub(crate) mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
pub(crate) mod tls;
mod tls_facts;
mod via;

pub(crate) use apply::{accepted_options, inherited_options};
pub(crate) use beside::bind_beside;
pub(crate) use bind::{Bound, bind, bind_all, listen, share, tell_local_address};
pub use inherited::Inherited;
pub(crate) use inherited::refuse_binding;
pub(crate) use plan::{Plan, interleaved};
pub(crate) use race::{Connected, Race};
pub use tls_facts::{TlsCipher, TlsFacts, tls_ciphers};
