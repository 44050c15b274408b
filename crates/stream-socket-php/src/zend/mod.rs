//! The only part with unsafe code: what C calls, and how a panic is kept from it.

#![allow(unsafe_code)]

mod boundary;
mod ffi;
mod lent;
mod opening;
mod operating;
mod parking;
mod proxying;
mod securing;
mod stripping;

pub(crate) use ffi::now;
pub(crate) use lent::Lent;
