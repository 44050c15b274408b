//! A signal that arrives while a thread waits, and only then.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::pthread::{Pthread, pthread_kill, pthread_self};
use nix::sys::signal::Signal;
use nix::unistd::gettid;

use super::until;

/// A thread that is going to wait, as others see it.
#[derive(Clone, Copy)]
pub(crate) struct Waiter {
    thread: Pthread,
    task: i32,
}

impl Waiter {
    pub(crate) fn this_thread() -> Self {
        // Without a handler the signal would end the process.
        signal_hook::flag::register(signal_hook::consts::SIGUSR1, Arc::default()).unwrap();
        Self {
            thread: pthread_self(),
            task: gettid().as_raw(),
        }
    }

    /// Sends it a signal once it waits.
    pub(crate) fn interrupt(self) {
        self.await_call(libc::SYS_ppoll);
        self.signal();
    }

    /// Waits until it is inside the system call of that number.
    pub(crate) fn await_call(self, number: i64) {
        until("a thread waits", || self.is_inside(number));
    }

    pub(crate) fn signal(self) {
        pthread_kill(self.thread, Signal::SIGUSR1).unwrap();
    }

    /// Whether it is inside a system call: proc_pid_syscall(5).
    fn is_inside(self, number: i64) -> bool {
        let file = format!("/proc/self/task/{}/syscall", self.task);
        let call = fs::read_to_string(file).unwrap_or_default();
        call.split_whitespace().next() == Some(&number.to_string())
    }
}

/// Runs `wait` and sends this thread a signal each time it is found waiting; the result, and how
/// many signals there were.
pub(crate) fn interrupting<T>(wait: impl FnOnce() -> T) -> (T, usize) {
    let waiter = Waiter::this_thread();
    let (is_over, signals) = (AtomicBool::new(false), AtomicUsize::new(0));
    let result = thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Acquire) {
                if waiter.is_inside(libc::SYS_ppoll) {
                    waiter.signal();
                    signals.fetch_add(1, Ordering::Relaxed);
                }
                thread::park_timeout(Duration::from_millis(5));
            }
        });
        let _end = SetWhenDropped(&is_over);
        wait()
    });
    (result, signals.into_inner())
}

/// Ends the helper, also when the test fails.
struct SetWhenDropped<'a>(&'a AtomicBool);

impl Drop for SetWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
