//! Which process this is, and which are its children.
//!
//! An epoll descriptor is shared with a forked child and reports for both, so each process must
//! have its own. A counter that every fork raises in the child tells when that is due; to read
//! it costs no system call, unlike getpid(2).

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::process::Child;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use super::seam::{Call, call};
use super::{Errno, ffi};

static FORKS: AtomicU32 = AtomicU32::new(0);

/// How many forks lie between the first process that asked and this one.
pub(crate) fn generation() -> u32 {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| ffi::at_fork_in_child(in_child));
    FORKS.load(Ordering::Relaxed)
}

extern "C" fn in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// pidfd_open(2): a descriptor that is readable when the child has ended.
pub(crate) fn child_descriptor(child: &Child) -> Result<OwnedFd, Errno> {
    let id = rustix::process::Pid::from_child(child);
    call(Call::Socket, || {
        rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty())
    })
}

/// kill(2), of the whole process group that the child leads.
pub(crate) fn kill_group_of(child: &Child) -> Result<(), Errno> {
    let id = rustix::process::Pid::from_child(child);
    rustix::process::kill_process_group(id, rustix::process::Signal::KILL)
}

/// Lends a descriptor that this process inherited, of which only the number is known.
///
/// Whoever closed it in between makes this one see another's descriptor, or none (`EBADF`).
pub(crate) fn with_inherited<T>(number: RawFd, run: impl FnOnce(BorrowedFd<'_>) -> T) -> T {
    run(ffi::borrow(number))
}

/// Runs `child` in a forked child, for tests; waits for it and says whether it returned true.
#[cfg(feature = "simulation")]
pub fn in_forked_child(child: impl FnOnce() -> bool, parent: impl FnOnce()) -> bool {
    use nix::sys::wait::{WaitStatus, waitpid};

    match ffi::fork() {
        0 => {
            let run = std::panic::AssertUnwindSafe(child);
            let passed = std::panic::catch_unwind(run).unwrap_or(false);
            ffi::exit_child(i32::from(!passed))
        }
        id => {
            parent();
            let id = nix::unistd::Pid::from_raw(id);
            matches!(waitpid(id, None), Ok(WaitStatus::Exited(_, 0)))
        }
    }
}
