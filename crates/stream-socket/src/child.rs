//! Child processes: their end, as something to wait for, and what they are asked or forced to.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::process::Child;

use crate::error::{Result, Stage};
use crate::sys::{self, child_descriptor, failed, kill_group_of};

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

/// Asks a child process to end: [kill(2)] with `SIGTERM`, of it alone.
///
/// For a child that has not been reaped.
///
/// # Errors
///
/// At [`Stage::Io`]: it has become another user's (`EPERM`).
///
/// # Examples
///
/// ```
/// use std::os::unix::process::ExitStatusExt;
/// use std::process::Command;
///
/// let mut child = Command::new("sleep").arg("1000").spawn()?;
/// stream_socket::terminate(&child)?;
/// assert_eq!(child.wait()?.signal(), Some(15));
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// [kill(2)]: https://man7.org/linux/man-pages/man2/kill.2.html
pub fn terminate(child: &Child) -> Result<()> {
    sys::terminate(child).map_err(|errno| {
        let name = format_args!("process {}", child.id());
        failed(Stage::Io, name, errno).with_action("end")
    })
}

/// Has this process be killed when the one that started it has ended, even if that was killed
/// itself: `PR_SET_PDEATHSIG` of [prctl(2)] with `SIGKILL`.
///
/// `parent` is the process that is to have started this one, as it knows itself:
/// [`std::process::id`]. It holds across exec, unless the program is another user's by its mode;
/// children don't have it. What counts is the end of the thread that started this process.
///
/// # Errors
///
/// At [`Stage::Io`]: the parent has ended already (`ESRCH`).
///
/// [prctl(2)]: https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html
pub fn end_with_parent(parent: u32) -> Result<()> {
    sys::end_with_parent(parent).map_err(|errno| {
        let name = format_args!("process {parent}");
        failed(Stage::Io, name, errno).with_action("end with")
    })
}

/// Keeps all descriptors that are open, the standard ones excepted, from programs that this
/// process starts or becomes: each is close-on-exec from now on.
///
/// Rust's standard library and this crate open none that is not. It is for those that this process
/// was started with, by whoever left them open. [`Inherited`](crate::Inherited) takes none of
/// `fd://` any more.
///
/// # Errors
///
/// At [`Stage::Io`]: `/proc` is not mounted, or there is no descriptor left to read it with.
///
/// # Examples
///
/// ```
/// stream_socket::keep_descriptors()?;
/// # Ok::<(), stream_socket::Error>(())
/// ```
pub fn keep_descriptors() -> Result<()> {
    sys::inherited::keep_all_from_programs().map_err(|errno| {
        let name = "the descriptors of this process";
        failed(Stage::Io, name, errno).with_action("keep")
    })
}

/// Reaps children that nobody in this process has started: orphans, which the kernel gives to
/// process 1 of a container, or to one that asked for them; how many. It never waits.
///
/// `is_own` says which are to be left to whoever has started them. What stands behind such a one
/// is found by the next call, after that one was reaped.
///
/// # Errors
///
/// At [`Stage::Io`], with the number of [waitid(2)].
///
/// # Examples
///
/// ```
/// // As process 1, all of whose own children have ended.
/// let count = stream_socket::reap_orphans(|_| false)?;
/// # assert_eq!(count, 0);
/// # Ok::<(), stream_socket::Error>(())
/// ```
///
/// [waitid(2)]: https://man7.org/linux/man-pages/man2/waitid.2.html
pub fn reap_orphans(is_own: impl Fn(u32) -> bool) -> Result<usize> {
    let refused = |errno| failed(Stage::Io, "the orphans", errno).with_action("reap");
    let mut count = 0;
    while let Some(child) = sys::ended_child().map_err(refused)? {
        if is_own(child) {
            break;
        }
        sys::reap(child).map_err(refused)?;
        count += 1;
    }
    Ok(count)
}
