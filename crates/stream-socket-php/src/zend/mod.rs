//! The only part with unsafe code: what C calls, and how a panic is kept from it.

mod boundary;
#[allow(unsafe_code)]
mod ffi;
