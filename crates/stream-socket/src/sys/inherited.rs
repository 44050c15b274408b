//! Descriptors that this process was started with.
//!
//! A number alone says nothing about whose it is. Taken is what is a socket, was open across exec
//! (whatever this process opens by itself is close-on-exec, or noted here), and was not taken
//! before.

use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{env, process};

use rustix::fs::{Dir, Mode, OFlags};
use rustix::io::FdFlags;

use super::seam::{Call, call};
use super::{Errno, ffi, socket};

/// sd_listen_fds(3): `SD_LISTEN_FDS_START`.
const FIRST: RawFd = 3;

/// The highest of the standard ones.
const STANDARD: RawFd = 2;

/// More than any process is started with.
const MOST: RawFd = 1 << 20;

/// A set of descriptors' numbers, which a fork can't find locked. What is never touched of it takes
/// no memory.
struct Numbers([AtomicU64; MOST as usize / 64]);

impl Numbers {
    const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; MOST as usize / 64])
    }

    fn place(&self, number: RawFd) -> Option<(&AtomicU64, u64)> {
        let number = usize::try_from(number).ok()?;
        Some((self.0.get(number / 64)?, 1 << (number % 64)))
    }

    fn has(&self, number: RawFd) -> bool {
        let place = self.place(number);
        place.is_some_and(|(word, bit)| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// False if it was one of them already, or can't be.
    fn insert(&self, number: RawFd) -> bool {
        let place = self.place(number).filter(|_| !self.has(number));
        place.is_some_and(|(word, bit)| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }

    fn remove(&self, number: RawFd) {
        if let Some((word, bit)) = self.place(number) {
            word.fetch_and(!bit, Ordering::Relaxed);
        }
    }
}

/// The numbers that were taken: whatever has one of them now was opened by this process.
static TAKEN: Numbers = Numbers::new();

/// Those that this process has itself left open across exec.
static OPENED: Numbers = Numbers::new();

/// Why a descriptor is not to be had.
#[derive(Debug)]
pub(crate) enum Refusal {
    Taken,
    /// It was opened by this process: it is close-on-exec, or noted as such.
    Ours,
    System(Errno),
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Refusal::System(errno)
    }
}

/// Takes a descriptor, which is close-on-exec from now on. One that is `announced` by the service
/// manager may be so already.
///
/// `EBADF` if it is not open, `ENOTSOCK` if it is no socket; one that fails is left as it is.
pub(crate) fn take(number: RawFd, announced: bool) -> Result<OwnedFd, Refusal> {
    let descriptor = ffi::borrow(number);
    let flags = call(Call::Mode, || rustix::io::fcntl_getfd(descriptor));
    if TAKEN.has(number) {
        return Err(Refusal::Taken);
    }
    let is_closed_on_exec = flags?.contains(FdFlags::CLOEXEC);
    if OPENED.has(number) || (is_closed_on_exec && !announced) {
        return Err(Refusal::Ours);
    }
    socket::kind(descriptor)?;
    if !TAKEN.insert(number) {
        return Err(Refusal::Taken);
    }
    adopted(descriptor, number).map_err(|errno| {
        TAKEN.remove(number);
        errno.into()
    })
}

fn adopted(descriptor: BorrowedFd<'_>, number: RawFd) -> Result<OwnedFd, Errno> {
    if number <= STANDARD {
        return moved_away(descriptor, number);
    }
    close_on_exec(descriptor)?;
    Ok(ffi::adopt(number))
}

/// Notes a descriptor of ours that stays open across exec, so that it is not taken for one that
/// came with the start.
pub(crate) fn opened(descriptor: BorrowedFd<'_>) {
    OPENED.insert(descriptor.as_raw_fd());
}

/// Standard input, output and error stay open, or the next file opened would be one of them: the
/// socket gets another number, and they become /dev/null.
fn moved_away(descriptor: BorrowedFd<'_>, number: RawFd) -> Result<OwnedFd, Errno> {
    let socket = call(Call::Mode, || {
        rustix::io::fcntl_dupfd_cloexec(descriptor, STANDARD + 1)
    })?;
    let null = call(Call::Socket, || {
        rustix::fs::open("/dev/null", OFlags::RDWR | OFlags::CLOEXEC, Mode::empty())
    })?;
    call(Call::Mode, || match number {
        0 => rustix::stdio::dup2_stdin(&null),
        1 => rustix::stdio::dup2_stdout(&null),
        _ => rustix::stdio::dup2_stderr(&null),
    })?;
    Ok(socket)
}

fn close_on_exec(descriptor: BorrowedFd<'_>) -> Result<(), Errno> {
    call(Call::Mode, || {
        rustix::io::fcntl_setfd(descriptor, FdFlags::CLOEXEC)
    })
}

/// A descriptor that a service manager has passed.
#[derive(Debug)]
pub(crate) struct Announced {
    pub(crate) number: RawFd,
    pub(crate) name: String,
}

/// What the service manager says that it has passed, by `LISTEN_PID`, `LISTEN_FDS` and
/// `LISTEN_FDNAMES`; all of them are close-on-exec from now on. Else why there is nothing.
pub(crate) fn announced() -> Result<Vec<Announced>, String> {
    let announced = read(|name| env::var(name).ok(), process::id())?;
    announced.iter().for_each(keep_from_programs);
    Ok(announced)
}

/// Whether programs inherit what was taken, or has its number now, is its owner's to say.
fn keep_from_programs(Announced { number, .. }: &Announced) {
    if !TAKEN.has(*number) && !OPENED.has(*number) {
        // What is not open is told to who asks for it.
        _ = close_on_exec(ffi::borrow(*number));
    }
}

/// Makes every descriptor but the standard ones close-on-exec, whoever has opened it.
pub(crate) fn keep_all_from_programs() -> Result<(), Errno> {
    let list = call(Call::Socket, || {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::open("/proc/self/fd", flags, Mode::empty())
    })?;
    for entry in Dir::read_from(list)? {
        let number = entry?.file_name().to_str().ok().map(str::parse);
        let Some(Ok(number)) = number else { continue };
        if number > STANDARD {
            close_on_exec(ffi::borrow(number))?;
        }
    }
    Ok(())
}

fn read(variable: impl Fn(&str) -> Option<String>, process: u32) -> Result<Vec<Announced>, String> {
    let Some(count) = variable("LISTEN_FDS") else {
        return Err("no sockets were passed: LISTEN_FDS is not set".to_owned());
    };
    let for_whom = variable("LISTEN_PID").unwrap_or_default();
    if for_whom.parse() != Ok(process) {
        return Err(format!(
            "sockets were passed to another process: LISTEN_PID is {for_whom:?}, not {process}"
        ));
    }
    let count: RawFd = count
        .parse()
        .ok()
        .filter(|count| (1..=RawFd::MAX - FIRST).contains(count))
        .ok_or_else(|| format!("LISTEN_FDS is {count:?}, which is no number of sockets"))?;
    let names = variable("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let announced = (FIRST..FIRST + count.min(MOST)).map(|number| Announced {
        number,
        // The name that systemd gives to what has none.
        name: match names.next() {
            None | Some("") => "unknown".to_owned(),
            Some(name) => name.to_owned(),
        },
    });
    Ok(announced.collect())
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd, IntoRawFd};

    use super::*;

    fn told(variables: &[(&str, &str)]) -> Result<Vec<(RawFd, String)>, String> {
        let variable = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        let announced = read(variable, 7)?;
        Ok(announced
            .into_iter()
            .map(|one| (one.number, one.name))
            .collect())
    }

    #[test]
    fn what_was_taken_is_left_to_programs_if_its_owner_says_so() {
        let (socket, _other) = std::os::unix::net::UnixStream::pair().unwrap();
        let passed = rustix::io::fcntl_dupfd_cloexec(socket, 4000).unwrap();
        rustix::io::fcntl_setfd(&passed, FdFlags::empty()).unwrap();
        let announced = Announced {
            number: passed.into_raw_fd(),
            name: String::new(),
        };
        keep_from_programs(&announced);
        let taken = take(announced.number, true).unwrap();
        for inheritable in [false, true] {
            if inheritable {
                socket::make_inheritable(taken.as_fd()).unwrap();
            }
            keep_from_programs(&announced);
            let flags = rustix::io::fcntl_getfd(&taken).unwrap();
            assert_eq!(flags.contains(FdFlags::CLOEXEC), !inheritable);
        }
    }

    #[test]
    fn what_is_passed_is_told_by_three_variables() {
        let named = |number, name: &str| (number, name.to_owned());
        let (pid, one, two) = (
            ("LISTEN_PID", "7"),
            ("LISTEN_FDS", "1"),
            ("LISTEN_FDS", "2"),
        );
        for (variables, passed) in [
            (vec![pid, one], vec![named(3, "unknown")]),
            (
                vec![pid, two, ("LISTEN_FDNAMES", "web:admin")],
                vec![named(3, "web"), named(4, "admin")],
            ),
            (
                vec![pid, two, ("LISTEN_FDNAMES", ":web")],
                vec![named(3, "unknown"), named(4, "web")],
            ),
        ] {
            assert_eq!(told(&variables), Ok(passed));
        }
        for (variables, reason) in [
            (vec![pid], "no sockets were passed: LISTEN_FDS is not set"),
            (
                vec![one],
                "sockets were passed to another process: LISTEN_PID is \"\", not 7",
            ),
            (
                vec![one, ("LISTEN_PID", "8")],
                "sockets were passed to another process: LISTEN_PID is \"8\", not 7",
            ),
            (
                vec![pid, ("LISTEN_FDS", "x")],
                "LISTEN_FDS is \"x\", which is no number of sockets",
            ),
            (
                vec![pid, ("LISTEN_FDS", "0")],
                "LISTEN_FDS is \"0\", which is no number of sockets",
            ),
        ] {
            assert_eq!(told(&variables), Err(reason.to_owned()));
        }
    }
}
