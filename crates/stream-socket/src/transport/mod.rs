//! Floor 4, transports: from a URL and options to a socket.
//!
//! The four plain transports differ in data, not in code: each is a family and a type of socket,
//! so binding and connecting are one path each for all of them.

mod apply;
mod bind;
mod endpoint;
mod race;

pub(crate) use apply::accepted_options;
pub(crate) use bind::{Bound, bind, bind_all, listen};
pub(crate) use endpoint::of_descriptor;
pub(crate) use race::{Connected, Race};
