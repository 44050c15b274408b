//! The end of a child process, as something to wait for.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;

use crate::error::{Result, Stage};
use crate::sys::{child_descriptor, failed};

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
