//! Options of the file that a unix socket is bound to.

/// The mode, owner and life of a unix socket's file.
///
/// They are in force before anybody can connect. Of no use to abstract names, for which setting
/// one is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnixOptions {
    /// Permission bits, at most 0o777; by default what the umask leaves of 0o777.
    pub mode: Option<u32>,
    /// The owner, by name or number.
    pub owner: Option<String>,
    /// The group, by name or number.
    pub group: Option<String>,
    /// Removes a dead socket of this user's that is in the way, and the file again when the
    /// listener is closed. On by default. A socket that is answered, somebody else's socket or a
    /// file that is no socket is never removed.
    pub unlink: Option<bool>,
}
