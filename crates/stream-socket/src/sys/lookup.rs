//! Lookups of names beside the thread that asks: helper threads, and a descriptor for each lookup
//! that tells when it is over.
//!
//! A helper begins when a name is asked for, takes what others have asked for meanwhile, and ends
//! when there is nothing left. No signal is delivered to it. There is a bounded number, since one
//! that waits for a silent name server can't be ended: it ends by itself, when the resolver gives
//! up.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::thread;

use nix::sys::signal::{SigSet, SigmaskHow};

use super::epoll::Bell;
use super::resolve::{Failure, Query};
use super::{Errno, ffi, fork};

/// Lookups that may be under way at once, abandoned ones included. The others wait for their turn.
const HELPERS: usize = 32;

/// Bytes of a helper's stack, for modules of nsswitch.conf(5) too: what Rust gives a thread.
const STACK: usize = 2 * 1024 * 1024;

/// How much more that is in a forked child than in its parent.
///
/// A C library gives the stack of a thread that did not survive the fork to the next one that asks
/// for no more, with what that one's resolver had open: both would read from one socket (seen with
/// glibc 2.36: answers went to the parent's helper).
const MORE_STACK: usize = 64 * 1024;

/// Forks after which it is as before; stacks are 6 MiB then.
const GENERATIONS: u32 = 64;

type Answer = Result<Vec<SocketAddr>, Failure>;

/// A lookup. When it is dropped, nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Lookup {
    job: Arc<Job>,
    /// Its place among those that no helper has taken yet.
    number: u64,
    /// In which process. A child that is forked meanwhile has no such helper.
    process: u32,
}

/// What a lookup and its helper share.
#[derive(Debug)]
struct Job {
    answer: Mutex<Option<Answer>>,
    /// Readable from when the answer is there.
    over: Bell,
}

/// What is asked for, and how many see to it.
#[derive(Debug)]
struct Desk {
    process: u32,
    last: u64,
    waiting: BTreeMap<u64, (Query, Arc<Job>)>,
    helpers: usize,
}

static DESK: Mutex<Desk> = Mutex::new(Desk::new(0));

impl Lookup {
    /// Asks for what `query` says.
    pub(super) fn of(query: Query) -> Result<Self, Errno> {
        let job = Arc::new(Job::new()?);
        let mut desk = desk();
        let number = desk.ask(query, Arc::clone(&job))?;
        let process = desk.process;
        Ok(Self {
            job,
            number,
            process,
        })
    }

    /// One that was over before it began: it starts no thread.
    pub(crate) fn done(addresses: Vec<SocketAddr>) -> Result<Self, Errno> {
        let job = Arc::new(Job::new()?);
        job.tell(Ok(addresses));
        Ok(Self {
            job,
            number: 0,
            process: fork::generation(),
        })
    }

    /// The answer, once: `None` while it is awaited.
    pub(crate) fn answer(&self) -> Option<Answer> {
        if self.process != fork::generation() {
            let words = "it was being looked up by the process that this one was forked from";
            return Some(Err(Failure::Resolver(words.to_owned(), None)));
        }
        self.job.answer().take()
    }
}

impl AsFd for Lookup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.job.over.as_fd()
    }
}

impl Drop for Lookup {
    fn drop(&mut self) {
        let mut desk = desk();
        if desk.process == self.process {
            desk.waiting.remove(&self.number);
        }
    }
}

impl Job {
    fn new() -> Result<Self, Errno> {
        Ok(Self {
            answer: Mutex::new(None),
            over: Bell::new()?,
        })
    }

    fn answer(&self) -> MutexGuard<'_, Option<Answer>> {
        self.answer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, answer: Answer) {
        *self.answer() = Some(answer);
        self.over.ring();
    }
}

impl Desk {
    const fn new(process: u32) -> Self {
        Self {
            process,
            last: 0,
            waiting: BTreeMap::new(),
            helpers: 0,
        }
    }

    fn ask(&mut self, query: Query, job: Arc<Job>) -> Result<u64, Errno> {
        self.last += 1;
        self.waiting.insert(self.last, (query, job));
        if self.helpers < HELPERS {
            match spawn_without_signals(help) {
                Ok(()) => self.helpers += 1,
                // Those that are there will come to it.
                Err(_) if self.helpers > 0 => {}
                Err(errno) => {
                    self.waiting.clear();
                    return Err(errno);
                }
            }
        }
        Ok(self.last)
    }
}

/// What helpers do.
fn help() {
    while let Some((query, job)) = next() {
        let answer = panic::catch_unwind(AssertUnwindSafe(|| query.run()));
        job.tell(answer.unwrap_or_else(|_| {
            let words = "the lookup ended without an answer";
            Err(Failure::Resolver(words.to_owned(), None))
        }));
    }
}

/// What is to be looked up next; with `None` this helper is none any more.
fn next() -> Option<(Query, Arc<Job>)> {
    let mut desk = desk();
    let next = desk.waiting.pop_first().map(|(_, next)| next);
    if next.is_none() {
        desk.helpers -= 1;
    }
    next
}

/// Starts a thread that no signal is delivered to: handlers run where the program expects them.
fn spawn_without_signals(work: impl FnOnce() + Send + 'static) -> Result<(), Errno> {
    // A thread starts with its creator's mask, so the mask is set before it exists.
    let before = SigSet::all()
        .thread_swap_mask(SigmaskHow::SIG_SETMASK)
        .map_err(errno)?;
    let generation = usize::try_from(fork::generation() % GENERATIONS).unwrap_or(0);
    let spawned = thread::Builder::new()
        .name("resolve".to_owned())
        .stack_size(STACK + generation * MORE_STACK)
        .spawn(work);
    before.thread_set_mask().map_err(errno)?;
    spawned.map(drop).map_err(|_| Errno::AGAIN)
}

fn errno(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}

// ---- forks ----

thread_local! {
    /// What keeps helpers from the desk while this thread forks: a child has none to leave it.
    static KEPT: Cell<Option<MutexGuard<'static, Desk>>> = const { Cell::new(None) };
}

fn locked() -> MutexGuard<'static, Desk> {
    DESK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// That of this process: a forked child has none of its parent's helpers, and begins anew.
fn desk() -> MutexGuard<'static, Desk> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| ffi::around_fork(before_fork, after_fork));
    let process = fork::generation();
    let mut desk = locked();
    if desk.process != process {
        *desk = Desk::new(process);
    }
    desk
}

extern "C" fn before_fork() {
    // A thread that is about to end, and forks in between, goes without.
    _ = KEPT.try_with(|kept| kept.set(Some(locked())));
}

extern "C" fn after_fork() {
    _ = KEPT.try_with(Cell::take);
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::deadline::Deadline;
    use crate::sys::resolve::{begin, wait};
    use crate::sys::wait::{Events, poll_one};
    use crate::url::{Host, Port};

    fn local() -> (Host, Port) {
        let host = Host::Name("localhost".to_owned());
        (host, Port::Number(80))
    }

    fn is_over(lookup: &Lookup, milliseconds: u64) -> bool {
        let deadline = Deadline::after(Some(Duration::from_millis(milliseconds)));
        poll_one(lookup, Events::READ, deadline).unwrap()
    }

    #[test]
    fn its_descriptor_tells_when_the_answer_is_there() {
        let (host, port) = local();
        let numeric = Host::V4([127, 0, 0, 1].into());
        for host in [host, numeric] {
            let lookup = begin(&host, &port, false).unwrap();
            assert!(is_over(&lookup, 10_000));
            let addresses = lookup.answer().unwrap().unwrap();
            assert!(addresses.contains(&"127.0.0.1:80".parse().unwrap()));
            assert!(is_over(&lookup, 0) && lookup.answer().is_none());
        }
    }
    #[test]
    fn when_all_helpers_are_busy_a_lookup_waits_for_its_turn_and_ends_by_its_deadline() {
        let mut desk = Desk {
            helpers: HELPERS,
            ..Desk::new(0)
        };
        let (host, port) = local();
        let job = Arc::new(Job::new().unwrap());
        let number = desk.ask(Query::new(&host, &port, false), Arc::clone(&job));
        assert!(desk.waiting.contains_key(&number.unwrap()) && desk.helpers == HELPERS);
        let lookup = Lookup {
            job,
            number: 0,
            process: fork::generation(),
        };
        let soon = Deadline::after(Some(Duration::from_millis(20)));
        assert!(matches!(wait(lookup, soon), Err(Failure::TimedOut)));
    }
}
