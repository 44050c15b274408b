//! The system's numbers in words.

use std::fmt;
use std::time::Duration;

use crate::error::{Error, Limit, Stage};

pub(crate) use rustix::io::Errno;

/// The words and the name of a number: `permission denied (EACCES)`.
pub(crate) fn phrase(errno: Errno) -> String {
    let code = errno.raw_os_error();
    match nix::errno::Errno::from_raw(code) {
        nix::errno::Errno::UnknownErrno => format!("error {code}"),
        known => format!("{} ({known:?})", lower_first(known.desc())),
    }
}

/// The error of a system call that failed.
pub(crate) fn failed(stage: Stage, url: impl fmt::Display, errno: Errno) -> Error {
    Error::new(stage, url, phrase(errno)).with_errno(errno.raw_os_error())
}

/// accept(2): the process or the system has no descriptors or no memory left.
pub(crate) fn is_exhaustion(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM
    )
}

/// The error of a deadline that passed: which limit it was, how long it had been, and `ETIMEDOUT`.
pub(crate) fn timed_out(
    stage: Stage,
    url: impl fmt::Display,
    limit: Limit,
    timeout: Option<Duration>,
) -> Error {
    let after = timeout
        .map(|span| format!(" after {span:?}"))
        .unwrap_or_default();
    Error::new(stage, url, format!("{limit} timed out{after} (ETIMEDOUT)"))
        .with_errno(Errno::TIMEDOUT.raw_os_error())
        .with_limit(limit)
}

/// In the middle of a sentence a description starts small, unless it starts with an acronym.
fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if !second.is_uppercase() && second != '/' => {
            first.to_lowercase().chain(text.chars().skip(1)).collect()
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_words_and_names() {
        for (errno, expected) in [
            (Errno::ACCESS, "permission denied (EACCES)"),
            (Errno::ADDRINUSE, "address already in use (EADDRINUSE)"),
            (Errno::IO, "I/O error (EIO)"),
            (Errno::from_raw_os_error(4000), "error 4000"),
        ] {
            assert_eq!(phrase(errno), expected);
        }
    }
}
