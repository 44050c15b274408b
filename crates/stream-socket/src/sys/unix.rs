//! The file of a unix socket: its mode and owner, and whose it is to remove.

use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, FileType, Gid, Mode, Stat, Uid};

use super::seam::{Call, call};
use super::{Errno, socket};
use crate::address::{SocketAddress, UnixAddress};

/// A socket file that this process made and removes when dropped.
///
/// Removed only while it is still the same file and this still the same process: a child that
/// was forked with the socket leaves the file to its parent.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
    process: u32,
}

impl SocketFile {
    /// Takes charge of the file that a bind has just made.
    pub(crate) fn adopt(path: &Path) -> Result<Self, Errno> {
        let stat = status(path)?;
        Ok(Self {
            // The program may change its directory before it closes the socket.
            path: std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
            identity: identity(&stat),
            process: std::process::id(),
        })
    }

    /// Leaves the file where it is.
    pub(crate) fn leave(mut self) {
        self.process = 0;
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if std::process::id() != self.process {
            return;
        }
        if status(&self.path).is_ok_and(|stat| identity(&stat) == self.identity) {
            // Nobody can be told; the file then stays, as after a crash.
            _ = remove(&self.path);
        }
    }
}

/// Removes the socket file at `address` if it is a dead one of this user's, or of the `owner`
/// that it was to be given to; whether it did.
///
/// Dead: a connect to it is refused, and no socket of this host is bound to that path. What is not
/// a socket, belongs to somebody else or is answered stays.
pub(crate) fn remove_dead(
    address: &UnixAddress,
    datagram: bool,
    owner: Option<u32>,
) -> Result<bool, Errno> {
    let Some(path) = address.as_path() else {
        return Ok(false);
    };
    let stat = status(path)?;
    let is_socket = FileType::from_raw_mode(stat.st_mode) == FileType::Socket;
    let owners = [Some(rustix::process::geteuid().as_raw()), owner];
    if !is_socket || !owners.contains(&Some(stat.st_uid)) {
        return Ok(false);
    }
    let probe = socket::open(socket::Family::Unix, datagram)?;
    match socket::connect(probe.as_fd(), &SocketAddress::Unix(address.clone())) {
        // A connect is refused as well by a socket that is bound and does not listen yet.
        Err(Errno::CONNREFUSED) if !is_bound(path) => remove(path).map(|()| true),
        _ => Ok(false),
    }
}

/// Whether a socket is bound to the path, as far as the kernel tells: /proc/net/unix has the paths
/// as they were given to bind, each at the end of a line.
fn is_bound(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    let Ok(table) = std::fs::read("/proc/net/unix") else {
        return false;
    };
    table.split(|byte| *byte == b'\n').any(|line| {
        line.strip_suffix(path)
            .is_some_and(|rest| rest.ends_with(b" "))
    })
}

/// unlink(2).
pub(crate) fn remove(path: &Path) -> Result<(), Errno> {
    call(Call::File, || fs::unlink(path))
}

/// fchmod(2) of a socket not yet bound: the file that bind makes has no more than these bits.
pub(crate) fn limit_mode(socket: impl AsFd, mode: u32) -> Result<(), Errno> {
    call(Call::File, || fs::fchmod(socket, Mode::from_raw_mode(mode)))
}

/// chmod(2).
pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), Errno> {
    call(Call::File, || {
        fs::chmodat(CWD, path, Mode::from_raw_mode(mode), AtFlags::empty())
    })
}

/// lchown(2); `None` leaves the one or the other as it is.
pub(crate) fn set_owner(path: &Path, user: Option<u32>, group: Option<u32>) -> Result<(), Errno> {
    let (user, group) = (user.map(Uid::from_raw), group.map(Gid::from_raw));
    call(Call::File, || {
        fs::chownat(CWD, path, user, group, AtFlags::SYMLINK_NOFOLLOW)
    })
}

/// The number of a user given by number or by name; `None` where there is no such name.
pub(crate) fn user_id(user: &str) -> Option<u32> {
    user.parse()
        .ok()
        .or_else(|| Some(nix::unistd::User::from_name(user).ok()??.uid.as_raw()))
}

/// The number of a group given by number or by name; `None` where there is no such name.
pub(crate) fn group_id(group: &str) -> Option<u32> {
    group
        .parse()
        .ok()
        .or_else(|| Some(nix::unistd::Group::from_name(group).ok()??.gid.as_raw()))
}

fn status(path: &Path) -> Result<Stat, Errno> {
    call(Call::File, || fs::lstat(path))
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}
