//! The process of a program that serves one client, from before its start until its end.

use std::io;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stream_socket::ChildEnd;
use stream_socket::engine::Cause;

use super::program::{Client, Late, Program, is_lack};
use crate::child;
use crate::log::milliseconds;

/// How often a program is tried to be started where something lacked, and then looked at.
pub(super) const AGAIN: Duration = Duration::from_millis(100);

/// How long a client waits though nothing will be given back any more. Until then another loop
/// may have closed something.
const HOPE: Duration = Duration::from_secs(2);

/// A process that serves a client.
pub(super) struct Process {
    /// `None` until it could be started.
    child: Option<Child>,
    /// While it could not.
    late: Option<Late>,
    peer: String,
    opened: Instant,
    program: Arc<Program>,
}

/// What is told of a client that has been served.
#[derive(Default)]
pub(super) struct Carried {
    pub(super) received: Option<u64>,
    pub(super) sent: Option<u64>,
    /// Datagrams, from either side, that could not be handed on.
    pub(super) lost: Option<u64>,
}

impl Process {
    /// Starts the program for a client, now or when that is possible; with the descriptor of its
    /// end, if there is one. `None` where it never will be, which is logged.
    pub(super) fn start(
        program: &Arc<Program>,
        client: Client<'_>,
    ) -> Option<(Self, Option<ChildEnd>)> {
        let mut process = Self {
            child: None,
            late: None,
            peer: client.stream.to_string(),
            opened: Instant::now(),
            program: Arc::clone(program),
        };
        // What is lent is of use to the descriptor of the end, too.
        let (result, _lent) = program.start(client);
        if !process.take(result) {
            return None;
        }
        let end = process.child.as_ref().map(ChildEnd::of);
        Some((process, end.and_then(Result::ok)))
    }

    /// Tries once more to start it, if it has not been; false when that is given up.
    pub(super) fn start_late(&mut self, client: Client<'_>) -> bool {
        if self.child.is_some() {
            return true;
        }
        let program = Arc::clone(&self.program);
        let result = program.start(client).0;
        self.take(result)
    }

    /// Takes what came of a start; false when it is given up, which is logged.
    fn take(&mut self, result: io::Result<Child>) -> bool {
        match result {
            Ok(child) => {
                self.child = Some(child);
                self.late = None;
            }
            Err(error) if is_lack(&error) && !self.is_hopeless(&error) => {
                self.late.get_or_insert_with(|| Late::new(&self.program));
                self.program.delayed(&error);
            }
            Err(error) => {
                self.program.failed(&self.peer, &error);
                return false;
            }
        }
        true
    }

    /// Whether it is better to give up than to wait for ever, together with all the others that
    /// hold the descriptors of which each needs two more.
    fn is_hopeless(&self, error: &io::Error) -> bool {
        self.opened.elapsed() >= HOPE && self.program.is_hopeless(error)
    }

    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        let ended = self.child.as_mut()?.try_wait().transpose()?;
        Some(child::phrase(&ended))
    }

    /// Kills it and what it has started; how it ended.
    pub(super) fn kill(&mut self) -> String {
        match &mut self.child {
            Some(child) => child::phrase(&child::kill(child)),
            None => "not started".to_owned(),
        }
    }

    /// Kills it, since the engine gives up its client; how it ended and why.
    pub(super) fn give_up(&mut self, cause: Cause) -> String {
        let reason = match cause {
            Cause::Lifetime => "its lifetime is over",
            Cause::Unwatched => "the system can't watch it",
            _ => "cut off at the end of the drain",
        };
        format!("{}, {reason}", self.kill())
    }

    /// Says that the client is no longer served.
    pub(super) fn close(&self, status: &str, carried: &Carried) {
        tracing::info!(
            peer = %self.peer,
            process = self.child.as_ref().map(Child::id),
            status,
            received = carried.received,
            sent = carried.sent,
            lost = carried.lost,
            milliseconds = milliseconds(self.opened.elapsed()),
            "closed",
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.is_some() {
            self.program.ended();
        }
    }
}
