//! Where a test can step between the library and the system.
//!
//! Every system call is made inside [`call`], which names its kind. In an ordinary build that is
//! nothing but the call. With the feature `simulation` a thread may plan faults for the calls
//! to come, and may record which calls were made.

use super::Errno;

/// The kinds of system call that the library makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
#[cfg_attr(
    not(feature = "simulation"),
    allow(unreachable_pub, reason = "only tests plan faults")
)]
pub enum Call {
    /// socket(2) and socketpair(2).
    Socket,
    /// setsockopt(2).
    SetOption,
    /// getsockopt(2).
    Option,
    /// bind(2).
    Bind,
    /// listen(2).
    Listen,
    /// accept4(2).
    Accept,
    /// connect(2).
    Connect,
    /// recv(2), recvmsg(2), recvmmsg(2).
    Receive,
    /// send(2), sendmsg(2), sendmmsg(2).
    Send,
    /// ppoll(2), epoll_wait(2).
    Poll,
    /// epoll_create1(2), epoll_ctl(2), eventfd(2).
    Watch,
    /// shutdown(2).
    Shutdown,
    /// getsockname(2) and getpeername(2).
    Name,
    /// getaddrinfo(3).
    Resolve,
    /// What is done to the file of a unix socket: stat, chmod, chown, unlink.
    File,
    /// fcntl(2): the blocking mode of a descriptor.
    Mode,
    /// pipe2(2).
    Pipe,
}

/// Makes one system call of the given kind, unless a fault is planned for it.
#[inline]
pub(crate) fn call<T>(kind: Call, run: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    before(kind)?;
    run()
}

/// How many of `wanted` bytes the next call of this kind may move.
#[inline]
pub(crate) fn clip(kind: Call, wanted: usize) -> usize {
    #[cfg(feature = "simulation")]
    return plan::clip(kind, wanted);
    #[cfg(not(feature = "simulation"))]
    {
        _ = kind;
        wanted
    }
}

#[inline]
fn before(kind: Call) -> Result<(), Errno> {
    #[cfg(feature = "simulation")]
    return plan::before(kind);
    #[cfg(not(feature = "simulation"))]
    {
        _ = kind;
        Ok(())
    }
}

#[cfg(feature = "simulation")]
pub(crate) use plan::shuffle;
#[cfg(feature = "simulation")]
pub use plan::{Fault, Plan, calls};

#[cfg(feature = "simulation")]
mod plan {
    use std::cell::RefCell;
    use std::time::Duration;

    use super::{Call, Errno};
    use crate::deadline::clock;

    /// What happens to a call instead of, or before, its ordinary course.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    pub enum Fault {
        /// It fails with this number and is not made.
        Errno(i32),
        /// It moves at most this many bytes.
        Short(usize),
        /// The clock is this much later when it is made; a poll sees nothing in that time.
        Slow(Duration),
        /// It takes its ordinary course: a place in the order of faults.
        Pass,
    }

    /// Faults planned for this thread, taken back when dropped.
    #[derive(Debug)]
    pub struct Plan(());

    #[derive(Default)]
    struct State {
        faults: Vec<(Call, Fault)>,
        calls: Vec<Call>,
        recording: bool,
        /// The state of a random sequence, by which events come in another order.
        seed: Option<u64>,
    }

    thread_local! {
        static STATE: RefCell<State> = RefCell::default();
    }

    impl Plan {
        /// Plans faults for this thread's next calls; those of one kind are met in order.
        pub fn new(faults: impl IntoIterator<Item = (Call, Fault)>) -> Self {
            STATE.with_borrow_mut(|state| state.faults = faults.into_iter().collect());
            Self(())
        }

        /// Lets the events of each wait come in an order that follows from `seed`.
        pub fn shuffled(self, seed: u64) -> Self {
            STATE.with_borrow_mut(|state| state.seed = Some(seed));
            self
        }

        /// How many planned faults no call has met yet.
        pub fn left(&self) -> usize {
            STATE.with_borrow(|state| state.faults.len())
        }
    }

    impl Drop for Plan {
        fn drop(&mut self) {
            STATE.with_borrow_mut(|state| {
                state.faults.clear();
                state.seed = None;
            });
        }
    }

    /// Puts `count` things into the order that the plan's seed gives, by `swap`.
    pub(crate) fn shuffle(count: usize, mut swap: impl FnMut(usize, usize)) {
        let Some(mut seed) = STATE.with_borrow(|state| state.seed) else {
            return;
        };
        for place in (1..count).rev() {
            // Knuth's linear congruential generator, of which the upper bits are good enough.
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            swap(place, (seed >> 33) as usize % (place + 1));
        }
        STATE.with_borrow_mut(|state| state.seed = Some(seed));
    }

    /// The calls that `run` makes on this thread, in order.
    pub fn calls<T>(run: impl FnOnce() -> T) -> (T, Vec<Call>) {
        STATE.with_borrow_mut(|state| {
            state.calls.clear();
            state.recording = true;
        });
        let result = run();
        STATE.with_borrow_mut(|state| {
            state.recording = false;
            (result, std::mem::take(&mut state.calls))
        })
    }

    pub(super) fn before(kind: Call) -> Result<(), Errno> {
        let fault = STATE.with_borrow_mut(|state| {
            if state.recording {
                state.calls.push(kind);
            }
            let at = state.faults.iter().position(|(call, _)| *call == kind)?;
            (!matches!(state.faults[at].1, Fault::Short(_))).then(|| state.faults.remove(at).1)
        });
        match fault {
            Some(Fault::Errno(number)) => Err(Errno::from_raw_os_error(number)),
            Some(Fault::Slow(span)) => {
                clock::advance(span);
                if kind == Call::Poll {
                    Err(Errno::TIME)
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
    }

    pub(super) fn clip(kind: Call, wanted: usize) -> usize {
        STATE.with_borrow_mut(|state| {
            let Some(at) = state.faults.iter().position(|(call, _)| *call == kind) else {
                return wanted;
            };
            match state.faults[at].1 {
                Fault::Short(bytes) => {
                    state.faults.remove(at);
                    wanted.min(bytes)
                }
                _ => wanted,
            }
        })
    }
}
