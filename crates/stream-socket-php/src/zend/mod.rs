//! The only part with unsafe code: what C calls, and how a panic is kept from it.

#![allow(unsafe_code)]

mod boundary;
mod ffi;
mod opening;
mod operating;
mod stripping;
