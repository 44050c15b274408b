//! Which process this is, and which are its children.
//!
//! An epoll descriptor is shared with a forked child and reports for both, so each process must
//! have its own. A counter that every fork raises in the child tells when that is due; to read
//! it costs no system call, unlike getpid(2).

use std::os::fd::{BorrowedFd, OwnedFd, RawFd};
use std::process::Child;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::wait::{Id, WaitPidFlag, waitid};

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

/// kill(2) with SIGTERM, of the child alone.
pub(crate) fn terminate(child: &Child) -> Result<(), Errno> {
    let id = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM)
}

/// prctl(2), `PR_SET_PDEATHSIG`: the kernel kills this process when the thread that started it
/// has ended. `ESRCH` if that was before the call, so that somebody else is the parent by now.
pub(crate) fn end_with_parent(parent: u32) -> Result<(), Errno> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let now = rustix::process::getppid().map(|id| id.as_raw_nonzero().get());
    if now == i32::try_from(parent).ok() {
        Ok(())
    } else {
        Err(Errno::SRCH)
    }
}

/// waitid(2): the first child that has ended and was not reaped, which it stays.
pub(crate) fn ended_child() -> Result<Option<u32>, Errno> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, flags) {
        Ok(status) => Ok(status.pid().map(|id| id.as_raw().unsigned_abs())),
        Err(nix::errno::Errno::ECHILD) => Ok(None),
        Err(errno) => Err(Errno::from_raw_os_error(errno as i32)),
    }
}

/// waitid(2), of a child that has ended.
pub(crate) fn reap(child: u32) -> Result<(), Errno> {
    let id = i32::try_from(child).map_err(|_| Errno::CHILD)?;
    let id = rustix::process::Pid::from_raw(id);
    rustix::process::waitpid(id, rustix::process::WaitOptions::NOHANG).map(drop)
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
