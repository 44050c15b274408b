//! Room for as many descriptors as the system grants.

use crate::error::{Result, Stage};
use crate::sys::{failed, limit};

/// Lets this process have as many descriptors as it may: raises the soft limit to the hard one,
/// as [setrlimit(2)] says, and tells how many that are; `None` where there is no limit.
///
/// The soft limit is 1024 nearly everywhere, for the sake of programs that use select(2), which
/// knows no descriptors beyond that. Nothing here does. But programs that this one starts inherit
/// the limit, so raise it where none are started, or where they can stand it.
///
/// # Errors
///
/// At [`Stage::Socket`] when the system refuses.
///
/// # Examples
///
/// ```
/// let limit = stream_socket::engine::raise_descriptor_limit()?;
/// assert!(limit.is_none_or(|limit| limit > 0));
/// # Ok::<(), stream_socket::Error>(())
/// ```
///
/// [setrlimit(2)]: https://man7.org/linux/man-pages/man2/setrlimit.2.html
pub fn raise_descriptor_limit() -> Result<Option<u64>> {
    limit::raise_descriptors().map_err(|errno| {
        failed(Stage::Socket, "the limit of descriptors", errno).with_action("raise")
    })
}
