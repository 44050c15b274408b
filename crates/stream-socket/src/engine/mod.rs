//! Floor 6, the engine: thousands of connections in one thread, without a runtime.
//!
//! An [`Engine`] is a readiness loop that the caller runs, one for each thread. What it drives are
//! [`Task`]s: small state machines, each with a descriptor or two, that go on without waiting and
//! say what they wait for. Several loops may accept from one [`Listener`](crate::Listener); a
//! [`Control`] that they share counts, drains and stops them together.
//!
//! Connections are watched edge-triggered and hold no buffer: all of a loop share one of
//! [`BUFFER`] bytes. A connection that always has more to do gives way to the others after a
//! slice of time.
//!
//! Peers of a listener of datagrams are tasks as well. They share the listener's socket, from
//! which the loop receives for all of them, so a peer costs no descriptor; such a listener belongs
//! to one loop.
//!
//! # Examples
//!
//! An echo server for any number of clients:
//!
//! ```
//! use std::io::{ErrorKind, Read, Write};
//! use std::os::fd::{AsFd, BorrowedFd};
//! use std::sync::Arc;
//! use stream_socket::engine::{Control, Engine, Next, Task, Turn, Wake};
//! use stream_socket::{Interest, ListenOptions, Listener, Stream};
//!
//! struct Shout(Stream);
//!
//! impl Task for Shout {
//!     fn descriptor(&self) -> BorrowedFd<'_> {
//!         self.0.as_fd()
//!     }
//!
//!     fn run(&mut self, _wake: Wake, turn: &mut Turn<'_>) -> Next {
//!         match self.0.read(turn.buffer()) {
//!             Ok(0) => Next::Done,
//!             Ok(length) => match self.0.write_all(&turn.buffer()[..length]) {
//!                 Ok(()) => Next::Yield,
//!                 Err(_) => Next::Done,
//!             },
//!             Err(error) if error.kind() == ErrorKind::WouldBlock => Next::Wait(Interest::READ),
//!             Err(_) => Next::Done,
//!         }
//!     }
//! }
//!
//! let listener = Arc::new(Listener::bind("tcp://127.0.0.1:0", &ListenOptions::default())?);
//! let control = Control::new();
//! let mut engine = Engine::new(&control)?;
//! engine.listen(listener, |mut stream| {
//!     stream.set_blocking(false);
//!     Some(Shout(stream))
//! })?;
//! # let url = engine.listeners().next().unwrap().url().clone();
//! # let client = std::thread::spawn(move || {
//! #     let mut stream = Stream::connect(&url, &Default::default()).unwrap();
//! #     stream.write_all(b"x").unwrap();
//! #     stream.read_exact(&mut [0]).unwrap();
//! #     control.stop();
//! # });
//! engine.run()?;
//! # client.join().unwrap();
//! # Ok::<(), stream_socket::Error>(())
//! ```

mod accept;
mod control;
mod descriptors;
mod event_loop;
mod pipes;
mod post;
mod relay;
mod slot;
mod slots;
mod task;
mod timers;

pub use control::{Control, Counters};
pub use descriptors::raise_descriptor_limit;
pub use event_loop::Engine;
pub use relay::{Dial, Relay, RelayEnding, RelayReport, Side};
pub use task::{Cause, Next, Second, Task, TaskId, Turn, Wake};

/// Bytes of the buffer that all connections of a loop share.
///
/// Not 64 KiB: on loopback, whose segments carry at most 65,483 bytes, that leaves a small tail
/// for every segment and costs nearly three times as much (measured).
pub const BUFFER: usize = 60 * 1024;
