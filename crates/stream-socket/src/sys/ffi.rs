//! What no safe crate offers, and nothing else: the only unsafe code of the library.
//!
//! - the bytes of an address that rustix has received, and can't always decode;
//! - accept4(2) with such bytes in place, where rustix copies them three times;
//! - setsockopt(2) for options that neither rustix nor socket2 knows, and ioctl(2) likewise;
//! - recvmmsg(2) and sendmmsg(2) with an address and a control buffer for each datagram;
//! - pthread_atfork(3), and descriptors that are known by number: in a forked child, and those that
//!   this process was started with.
//!
//! The bytes inside addresses and control buffers are read and written by safe code, in
//! `name.rs` and `control.rs`.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::{io, mem, ptr, slice};

use rustix::net::SocketAddrAny;

use super::control::CONTROL;
use super::name::STORAGE;
use super::{Errno, batch::DATAGRAMS_AT_ONCE};

/// The bytes of an address.
pub(super) fn address_bytes(address: &SocketAddrAny) -> &[u8] {
    // SAFETY: rustix keeps `addr_len` initialised bytes at `as_ptr` while the address is borrowed.
    unsafe { slice::from_raw_parts(address.as_ptr().cast(), address.addr_len() as usize) }
}

/// accept4(2): the connection, and how many bytes of `name`, if one is asked for, are its peer's
/// address.
///
/// Past the C library, which makes a cancellation point of it.
pub(super) fn accept(
    socket: BorrowedFd<'_>,
    flags: libc::c_int,
    name: Option<&mut [u8; STORAGE]>,
) -> Result<(OwnedFd, usize), Errno> {
    let mut length = if name.is_some() { STORAGE } else { 0 } as libc::socklen_t;
    let place = name.map_or(ptr::null_mut(), |name| name.as_mut_ptr());
    let socket = socket.as_raw_fd();
    // SAFETY: the kernel writes at most `length` bytes to `name`, and none where that is null; both
    // live until the call returns; the descriptor is borrowed and so is open.
    let descriptor =
        unsafe { libc::syscall(libc::SYS_accept4, socket, place, &raw mut length, flags) };
    if descriptor < 0 {
        return Err(last_error());
    }
    // SAFETY: the kernel has just given it to us, and nobody else knows it.
    let connection = unsafe { OwnedFd::from_raw_fd(descriptor as RawFd) };
    Ok((connection, (length as usize).min(STORAGE)))
}

/// setsockopt(2) with an integer.
pub(super) fn set_option(
    socket: BorrowedFd<'_>,
    level: libc::c_int,
    name: libc::c_int,
    value: libc::c_int,
) -> Result<(), Errno> {
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the pointer and the length are those of `value`, which lives until the call
    // returns; the descriptor is borrowed and so is open.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            level,
            name,
            ptr::from_ref(&value).cast(),
            length,
        )
    };
    if result < 0 {
        Err(last_error())
    } else {
        Ok(())
    }
}

/// ioctl(TIOCOUTQ): bytes that the system holds for the peer of a stream.
pub(super) fn queued(socket: BorrowedFd<'_>) -> Result<libc::c_int, Errno> {
    let mut length: libc::c_int = 0;
    // SAFETY: the request writes one int, to `length`, which lives until the call returns; the
    // descriptor is borrowed and so is open.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut length) };
    if result < 0 {
        Err(last_error())
    } else {
        Ok(length)
    }
}

/// What goes with one datagram: its peer, its control messages and how it fared.
#[repr(C, align(8))]
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    /// A `struct sockaddr_*`; `name_length` of its bytes count.
    pub(super) name: [u8; STORAGE],
    pub(super) name_length: usize,
    /// A sequence of `struct cmsghdr`; `control_length` of its bytes count.
    pub(super) control: Control,
    pub(super) control_length: usize,
    /// Bytes of the datagram; the whole of it, also where the buffer was shorter.
    pub(super) length: usize,
}

/// A control buffer, aligned as `struct cmsghdr` must be.
#[repr(C, align(8))]
#[derive(Clone, Debug)]
pub(super) struct Control(pub(super) [u8; CONTROL]);

impl Default for Envelope {
    fn default() -> Self {
        Self {
            name: [0; STORAGE],
            name_length: 0,
            control: Control([0; CONTROL]),
            control_length: 0,
            length: 0,
        }
    }
}

/// recvmmsg(2), without waiting: datagram `i` goes to `buffers[i]` and `envelopes[i]`.
///
/// At most [`DATAGRAMS_AT_ONCE`], and as many as both slices have room for; how many came.
pub(super) fn receive(
    socket: BorrowedFd<'_>,
    envelopes: &mut [Envelope],
    buffers: &mut [&mut [u8]],
) -> Result<usize, Errno> {
    let mut vectors = [EMPTY_VECTOR; DATAGRAMS_AT_ONCE];
    let mut headers = [EMPTY_HEADER; DATAGRAMS_AT_ONCE];
    let mut count = 0;
    for (envelope, buffer) in envelopes
        .iter_mut()
        .zip(buffers.iter_mut())
        .take(DATAGRAMS_AT_ONCE)
    {
        vectors[count] = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        };
        let header = &mut headers[count].msg_hdr;
        header.msg_name = envelope.name.as_mut_ptr().cast();
        header.msg_namelen = STORAGE as libc::socklen_t;
        header.msg_iov = &raw mut vectors[count];
        header.msg_iovlen = 1;
        header.msg_control = envelope.control.0.as_mut_ptr().cast();
        header.msg_controllen = CONTROL;
        count += 1;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_TRUNC;
    // SAFETY: the first `count` headers point to a name, a vector and a control buffer of the
    // lengths given beside them, all of which are borrowed for longer than the call, and each
    // vector to a buffer of its own length that is borrowed mutably here.
    let received = unsafe {
        libc::recvmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count as libc::c_uint,
            flags as _,
            ptr::null_mut(),
        )
    };
    let received = usize::try_from(received).map_err(|_| last_error())?;
    for (envelope, header) in envelopes.iter_mut().zip(&headers).take(received) {
        envelope.name_length = (header.msg_hdr.msg_namelen as usize).min(STORAGE);
        envelope.control_length = header.msg_hdr.msg_controllen.min(CONTROL);
        envelope.length = header.msg_len as usize;
    }
    Ok(received)
}

/// sendmmsg(2), without waiting: `payloads[i]` goes as `envelopes[i]` says.
///
/// At most [`DATAGRAMS_AT_ONCE`]; how many were sent. An error means that the first was not.
pub(super) fn send(
    socket: BorrowedFd<'_>,
    envelopes: &mut [Envelope],
    payloads: &[&[u8]],
) -> Result<usize, Errno> {
    let mut vectors = [EMPTY_VECTOR; DATAGRAMS_AT_ONCE];
    let mut headers = [EMPTY_HEADER; DATAGRAMS_AT_ONCE];
    let mut count = 0;
    for (envelope, payload) in envelopes.iter_mut().zip(payloads).take(DATAGRAMS_AT_ONCE) {
        vectors[count] = libc::iovec {
            iov_base: payload.as_ptr().cast_mut().cast(),
            iov_len: payload.len(),
        };
        let header = &mut headers[count].msg_hdr;
        if envelope.name_length > 0 {
            header.msg_name = envelope.name.as_mut_ptr().cast();
            header.msg_namelen = envelope.name_length as libc::socklen_t;
        }
        header.msg_iov = &raw mut vectors[count];
        header.msg_iovlen = 1;
        if envelope.control_length > 0 {
            header.msg_control = envelope.control.0.as_mut_ptr().cast();
            header.msg_controllen = envelope.control_length;
        }
        count += 1;
    }
    let flags = libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL;
    // SAFETY: the first `count` headers point to names, vectors and control buffers of at least
    // the lengths given beside them, borrowed for longer than the call; the kernel only reads the
    // payloads, so taking their pointers from shared slices is sound.
    let sent = unsafe {
        libc::sendmmsg(
            socket.as_raw_fd(),
            headers.as_mut_ptr(),
            count as libc::c_uint,
            flags as _,
        )
    };
    usize::try_from(sent).map_err(|_| last_error())
}

/// pthread_atfork(3): `handler` runs in every child that is forked from now on.
///
/// A child that a raw clone(2) makes is not told, nor can it be.
pub(super) fn at_fork_in_child(handler: extern "C" fn()) {
    // SAFETY: the handler is a function of this program, does nothing but change an atomic, and
    // so is allowed in the child of a process with threads. It fails only for lack of memory.
    unsafe { libc::pthread_atfork(None, None, Some(handler)) };
}

/// pthread_atfork(3): `before` runs in the thread that forks, from now on, and `after` then runs
/// in it and in the child.
pub(super) fn around_fork(before: extern "C" fn(), after: extern "C" fn()) {
    // SAFETY: the handlers are functions of this program. In the child `after` does nothing but
    // unlock what `before` has locked in the same thread: an atomic change, and a system call if
    // somebody waits. It fails only for lack of memory.
    unsafe { libc::pthread_atfork(Some(before), Some(after), Some(after)) };
}

/// fork(2), for tests: 0 in the child.
#[cfg(feature = "simulation")]
pub(super) fn fork() -> libc::pid_t {
    // SAFETY: nothing is passed. The child has this thread alone; a test's child does no more
    // than use sockets, allocate, which glibc allows there, and leave by `exit_child`.
    unsafe { libc::fork() }
}

/// _exit(2), for tests: leaves a forked child without running what the parent will run.
#[cfg(feature = "simulation")]
pub(super) fn exit_child(code: libc::c_int) -> ! {
    // SAFETY: it does not return, and runs no code of this process.
    unsafe { libc::_exit(code) }
}

/// A descriptor that is known by its number.
pub(super) fn borrow<'a>(number: RawFd) -> BorrowedFd<'a> {
    debug_assert!(number >= 0);
    // SAFETY: the number is not -1. The caller uses it for epoll_ctl, fcntl and getsockopt alone,
    // which fail if it is not open and touch no memory of this process.
    unsafe { BorrowedFd::borrow_raw(number) }
}

/// Takes charge of a descriptor that this process was started with.
pub(super) fn adopt(number: RawFd) -> OwnedFd {
    debug_assert!(number >= 0);
    // SAFETY: the caller has seen that it is open, that it came with the start of the process, so
    // that nobody in it has opened it, and that it was not adopted before.
    unsafe { OwnedFd::from_raw_fd(number) }
}

const EMPTY_VECTOR: libc::iovec = libc::iovec {
    iov_base: ptr::null_mut(),
    iov_len: 0,
};

// SAFETY: a header of zeros is one without a name, without vectors and without control, which
// recvmmsg(2) and sendmmsg(2) accept; null is a valid value for each of its pointers.
const EMPTY_HEADER: libc::mmsghdr = unsafe { mem::zeroed() };

fn last_error() -> Errno {
    let code = io::Error::last_os_error()
        .raw_os_error()
        .unwrap_or(libc::EIO);
    Errno::from_raw_os_error(code)
}
