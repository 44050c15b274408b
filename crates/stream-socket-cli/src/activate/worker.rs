//! A worker: a process that runs.

use std::io;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use stream_socket::{ChildEnd, Interest, Member, select, terminate};

use super::launcher::Launcher;
use crate::child;
use crate::failure::Failure;
use crate::log::milliseconds;

/// One of them. It is killed when it is dropped before its end was seen.
pub(super) struct Worker {
    number: usize,
    child: Child,
    end: ChildEnd,
    since: Instant,
    is_reaped: bool,
}

impl Worker {
    /// The one of this number, from 1.
    pub(super) fn start(launcher: &Launcher, number: usize) -> Result<Self, Failure> {
        let mut child = launcher.start()?;
        let end = ChildEnd::of(&child).inspect_err(|_| {
            _ = child.kill();
            _ = child.wait();
        })?;
        tracing::info!(worker = number, process = child.id(), "started");
        Ok(Self {
            number,
            child,
            end,
            since: Instant::now(),
            is_reaped: false,
        })
    }

    pub(super) fn number(&self) -> usize {
        self.number
    }

    pub(super) fn process(&self) -> u32 {
        self.child.id()
    }

    /// What is readable once it has ended.
    pub(super) fn end(&self) -> &ChildEnd {
        &self.end
    }

    /// When it was started.
    pub(super) fn since(&self) -> Instant {
        self.since
    }

    /// How it ended, if it has. What it has started is killed, since it would hold the sockets.
    pub(super) fn ended(&mut self) -> Option<io::Result<ExitStatus>> {
        let mut members = [Member::new(&self.end, Interest::READ)];
        // Whatever interrupts it, the descriptor stays readable.
        let has_ended = select(&mut members, Some(Duration::ZERO)).is_ok_and(|count| count > 0);
        has_ended.then(|| self.kill())
    }

    /// Asks it to end.
    pub(super) fn terminate(&self) {
        if let Err(error) = terminate(&self.child) {
            tracing::warn!("{error}");
        }
    }

    /// Kills it, and what it has started; how it ended.
    pub(super) fn kill(&mut self) -> io::Result<ExitStatus> {
        self.is_reaped = true;
        child::kill(&mut self.child)
    }

    /// Says how it ended, and after how long the next one is started, if one is.
    pub(super) fn tell(&self, how: &str, status: &io::Result<ExitStatus>, again: Option<Duration>) {
        tracing::info!(
            worker = self.number,
            process = self.child.id(),
            status = child::phrase(status),
            milliseconds = milliseconds(self.since.elapsed()),
            again_in_milliseconds = again.map(milliseconds),
            "{how}",
        );
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.is_reaped {
            _ = self.kill();
        }
    }
}
