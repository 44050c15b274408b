//! What rustls tells to those whom it asks to choose and to judge, and to nobody else: kept for the
//! session on whose behalf it asked. It asks within the call that advances a connection, on the
//! same thread.

use std::cell::RefCell;

/// What was noted while a connection advanced.
#[derive(Debug, Default)]
pub(super) struct Noted {
    /// The name that the client asked for.
    pub(super) server_name: Option<Box<str>>,
    /// Who issued the last certificate of a chain that leads to nobody trusted.
    pub(super) unknown_issuer: Option<String>,
}

thread_local! {
    static NOTED: RefCell<Noted> = RefCell::default();
}

pub(super) fn server_name(name: Option<&str>) {
    NOTED.with_borrow_mut(|noted| noted.server_name = name.map(Box::from));
}

pub(super) fn unknown_issuer(name: String) {
    NOTED.with_borrow_mut(|noted| noted.unknown_issuer = Some(name));
}

/// All that was noted since the last call.
pub(super) fn take() -> Noted {
    NOTED.take()
}
