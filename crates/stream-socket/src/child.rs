//! The end of a child process, as something to wait for.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;

use crate::error::{Result, Stage};
use crate::sys::{child_descriptor, failed, kill_group_of};

/// A descriptor that becomes readable when a child process has ended: [pidfd_open(2)].
///
/// With it a loop waits for children as it does for sockets, without a handler for SIGCHLD, which
/// belongs to the whole process. The child is still to be reaped with
/// [`try_wait`](Child::try_wait).
///
/// [pidfd_open(2)]: https://man7.org/linux/man-pages/man2/pidfd_open.2.html
///
/// # Examples
///
/// ```
/// use std::process::Command;
/// use stream_socket::{ChildEnd, Interest, Member, select};
///
/// let mut child = Command::new("true").spawn()?;
/// let end = ChildEnd::of(&child)?;
/// select(&mut [Member::new(&end, Interest::READ)], None)?;
/// assert!(child.try_wait()?.is_some());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct ChildEnd(OwnedFd);

impl ChildEnd {
    /// Of a child that has not been reaped.
    ///
    /// # Errors
    ///
    /// At [`Stage::Io`]: there are no descriptors left, or the kernel is older than 5.3 (`ENOSYS`).
    pub fn of(child: &Child) -> Result<Self> {
        child_descriptor(child).map(Self).map_err(|errno| {
            let name = format_args!("process {}", child.id());
            failed(Stage::Io, name, errno).with_action("watch")
        })
    }
}

impl AsFd for ChildEnd {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Kills a child process and all others in its process group: [kill(2)] with `SIGKILL`.
///
/// For a child that leads a group of its own, as
/// [`process_group`](std::os::unix::process::CommandExt::process_group) makes it, and that has not
/// been reaped; what it has started goes with it, and with that whatever sockets they hold.
///
/// # Errors
///
/// At [`Stage::Io`]: there is no such group (`ESRCH`).
///
/// # Examples
///
/// ```
/// use std::os::unix::process::CommandExt;
/// use std::process::Command;
///
/// let mut shell = Command::new("sh");
/// let mut child = shell.args(["-c", "sleep 1000 & wait"]).process_group(0).spawn()?;
/// stream_socket::kill_group(&child)?;
/// assert!(!child.wait()?.success());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// [kill(2)]: https://man7.org/linux/man-pages/man2/kill.2.html
pub fn kill_group(child: &Child) -> Result<()> {
    kill_group_of(child).map_err(|errno| {
        let name = format_args!("the group of process {}", child.id());
        failed(Stage::Io, name, errno).with_action("kill")
    })
}
