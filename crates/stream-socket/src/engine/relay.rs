//! A relay: what one stream receives, another one sends, both ways.
//!
//! Nothing is held for a connection that is idle, and at most one buffer, one pipe, or 128 KiB that
//! TLS has decrypted, or encrypted, for each direction whose receiver has stalled: then nothing
//! more is read from the sender.

mod end;
mod flow;
mod reach;
mod report;

use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use self::end::End;
use self::flow::{Fault, Flow, Step};
use self::reach::Reaching;
pub use self::report::{RelayEnding, RelayReport, Side};
use super::slot::LOOKS;
use super::task::{Cause, Next, Second, Task, Turn, Wake};
use crate::connecting::Route;
use crate::error::{Error, Limit, Result};
use crate::select::Interest;
use crate::stream::Stream;

/// How long the other direction may be silent after one has ended, where nothing else is said.
const HALF_CLOSED: Duration = Duration::from_secs(60);

/// How long datagrams may be silent in a drain: nothing tells that one was the last.
const QUIET: Duration = Duration::from_secs(1);

/// How a relay comes to its target, and who is told of its end.
pub trait Dial {
    /// Where the target is. A name is waited for by the whole loop, unless the route
    /// [has its addresses](Route::to).
    ///
    /// # Errors
    ///
    /// What stands in the way; it is handed to [`failed`](Self::failed).
    fn dial(&mut self, client: &Stream) -> Result<Route>;

    /// An attempt has failed: after how long to try again, or `None` to give up.
    fn failed(&mut self, error: &Error) -> Option<Duration>;

    /// Is told how it ended, once. Does nothing by itself.
    fn ended(&mut self, _report: &RelayReport<'_>) {}
}

/// A client and a target, and what goes between them: a [`Task`].
///
/// The end of one direction is passed on when all before it is delivered, and the other goes on;
/// from then on it may be silent for no longer than [`half_closed`](Self::half_closed). A peer
/// that resets its connection has the other one reset, where the transport can; so nobody takes a
/// part for the whole. A direction that moves much goes by splice(2), where the process ignores
/// SIGPIPE.
///
/// Between datagrams and bytes, each read becomes a datagram, or its bytes.
pub struct Relay<D> {
    client: End,
    target: Target,
    dial: D,
    up: Flow,
    down: Flow,
    /// How many descriptors the target has had.
    nth: u8,
    /// How often it has been looked in vain, in a silence, whether anything moves.
    looks: u8,
    half_closed: Silence,
    /// Which side ended first.
    first: Option<Side>,
    /// A side that could take no more, and why; what it has sent is still delivered.
    broken: Option<(Side, Error)>,
    is_told: bool,
}

#[derive(Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "all but new relays are connected, and would pay for the allocation"
)]
enum Target {
    /// To be dialled when the timer comes.
    Later,
    Reaching(Box<Reaching>),
    Connected(End),
}

impl<D: Dial> Relay<D> {
    /// A relay for `client`, which dials first.
    pub fn new(client: Stream, dial: D) -> Self {
        Self {
            client: End::new(client),
            target: Target::Later,
            dial,
            up: Flow::default(),
            down: Flow::default(),
            nth: 0,
            looks: 0,
            half_closed: Silence::of(HALF_CLOSED),
            first: None,
            broken: None,
            is_told: false,
        }
    }

    /// The same, where the other direction may be silent for `silence` after one has ended, to the
    /// millisecond; 60 s by default, and for ever from 50 days on.
    #[must_use]
    pub fn half_closed(mut self, silence: Duration) -> Self {
        self.half_closed = Silence::of(silence);
        self
    }

    /// Dials, or goes on connecting; `None` once the target is there.
    fn reach(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Option<Next> {
        if let Target::Connected(_) = self.target {
            return None;
        }
        if let Wake::Ready { ended, .. } = wake {
            return Some(self.hear_while_reaching(ended));
        }
        let result = match &mut self.target {
            Target::Reaching(reaching) => reaching.advance(wake),
            _ if matches!(wake, Wake::Start | Wake::Timer) => {
                match self.up.hear_before(&mut self.client, turn) {
                    Ok(speaks) => self.dial(wake, speaks),
                    Err(error) => return Some(self.lose_client(error)),
                }
            }
            _ => return Some(Next::Wait(Interest::READ)),
        };
        match (result, &self.target) {
            (Ok(Some(end)), target) => {
                if !matches!(target, Target::Reaching(reaching) if reaching.is_alone()) {
                    self.nth = self.nth.wrapping_add(1);
                }
                self.target = Target::Connected(end);
                turn.set_timer(None);
                None
            }
            (Ok(None), Target::Reaching(reaching)) => {
                turn.set_timer(reaching.next_step());
                Some(Next::Wait(Interest::READ))
            }
            (Ok(None), _) => Some(Next::Yield),
            (Err(error), _) => Some(self.retry(error, turn)),
        }
    }

    fn dial(&mut self, wake: Wake, speaks: bool) -> Result<Option<End>> {
        let route = self.dial.dial(&self.client.stream)?;
        let mut reaching = Box::new(Reaching::new(&route, speaks)?);
        self.nth = self.nth.wrapping_add(1);
        let end = reaching.advance(wake)?;
        self.target = Target::Reaching(reaching);
        Ok(end)
    }

    /// The client has news before there is a target: it is not reached for one that is gone.
    fn hear_while_reaching(&mut self, has_ended: bool) -> Next {
        if has_ended && let Err(error) = self.client.stream.pending_error() {
            return self.end(RelayEnding::Failed(Side::Client, error));
        }
        Next::Wait(Interest::READ)
    }

    /// The client has failed before there is a target.
    #[cold]
    fn lose_client(&mut self, error: io::Error) -> Next {
        let error = Error::of_io(error, Side::Client.name());
        self.end(RelayEnding::Failed(Side::Client, error))
    }

    fn retry(&mut self, error: Error, turn: &mut Turn<'_>) -> Next {
        self.target = Target::Later;
        match self.dial.failed(&error).filter(|_| !turn.is_draining()) {
            Some(pause) => {
                turn.set_timer(Some(pause));
                Next::Wait(Interest::READ)
            }
            None => {
                if self.has_not_taken_all(Side::Client) {
                    self.reset(Side::Client);
                }
                self.end(RelayEnding::Unreached(error))
            }
        }
    }

    /// Moves what can be moved.
    fn pump(&mut self, turn: &mut Turn<'_>) -> Next {
        let mut has_moved = false;
        loop {
            let steps = match self.step_both(turn) {
                Ok(steps) => steps,
                Err(next) => return next,
            };
            if self.up.is_done() && self.down.is_done() {
                return self.finish();
            }
            has_moved |= steps != [Step::Blocked; 2];
            if !steps.contains(&Step::Moved) {
                break;
            }
            if turn.is_over() {
                self.renew_patience(turn);
                return Next::Yield;
            }
        }
        self.client.flush();
        if let Target::Connected(target) = &mut self.target {
            target.flush();
        }
        if has_moved {
            self.renew_patience(turn);
        }
        Next::Wait(self.client.interest())
    }

    fn step_both(&mut self, turn: &mut Turn<'_>) -> std::result::Result<[Step; 2], Next> {
        Ok([
            self.step(Side::Client, turn)?,
            self.step(Side::Target, turn)?,
        ])
    }

    /// A step of what comes from `side`; what is next, if that is the end.
    fn step(&mut self, side: Side, turn: &mut Turn<'_>) -> std::result::Result<Step, Next> {
        let Target::Connected(target) = &mut self.target else {
            return Err(Next::Wait(Interest::READ));
        };
        let (flow, from, to) = match side {
            Side::Client => (&mut self.up, &mut self.client, target),
            Side::Target => (&mut self.down, target, &mut self.client),
        };
        match flow.step(from, to, turn) {
            Ok(step) => {
                if flow.is_done() {
                    self.first.get_or_insert(side);
                }
                Ok(step)
            }
            Err(fault) => self.meet(fault, side, turn),
        }
    }

    /// Something has moved: once one side has ended, the other's silence begins anew, and in a
    /// drain that of datagrams.
    fn renew_patience(&mut self, turn: &mut Turn<'_>) {
        self.looks = 0;
        if turn.is_draining() && self.client.stream.transport().is_datagram() {
            turn.set_timer(Some(QUIET));
        } else if self.first.is_some() {
            self.await_the_other(turn);
        }
    }

    /// For as long as it may be silent; while it does not take all, until the next look.
    fn await_the_other(&self, turn: &mut Turn<'_>) {
        let parts = if self.is_stalled() { LOOKS } else { 1 };
        turn.set_timer(self.half_closed.span().map(|span| span / parts));
    }

    /// An end has failed in a step of what comes from `side`: what is next, or the step that this
    /// is.
    #[cold]
    fn meet(
        &mut self,
        fault: Fault,
        side: Side,
        turn: &mut Turn<'_>,
    ) -> std::result::Result<Step, Next> {
        let (failed, error) = match fault {
            Fault::Sender(error) => (side, error),
            Fault::Receiver(error) => (side.other(), error),
        };
        let error = Error::of_io(error, failed.name());
        if error.limit() == Some(Limit::PeerIdle) {
            self.given_up(Cause::Idle);
            return Err(Next::Done);
        }
        if failed == side {
            let (side, error) = self.broken.take().unwrap_or((side, error));
            self.reset(side.other());
            return Err(self.end(RelayEnding::Failed(side, error)));
        }
        // What it has sent before it broke is still worth having.
        match side {
            Side::Client => self.up.give_up(turn.pipes),
            Side::Target => self.down.give_up(turn.pipes),
        }
        self.broken.get_or_insert((failed, error));
        self.first.get_or_insert(failed);
        Ok(Step::Moved)
    }

    fn finish(&mut self) -> Next {
        let first = self.first.unwrap_or(Side::Client);
        match self.broken.take() {
            Some((side, error)) => self.end(RelayEnding::Failed(side, error)),
            None => self.end(RelayEnding::Finished { first }),
        }
    }

    /// Has a side know, where that is possible, that what it was sent is not the whole.
    fn reset(&mut self, side: Side) {
        match (side, &mut self.target) {
            (Side::Client, _) => self.client.stream.reset_on_close(),
            (Side::Target, Target::Connected(target)) => target.stream.reset_on_close(),
            (Side::Target, _) => {}
        }
    }

    /// Whether a side has not taken what was received for it; of the client, also whether there was
    /// no target yet that could have taken what it sent.
    fn has_not_taken_all(&self, side: Side) -> bool {
        match (side, &self.target) {
            (Side::Client, Target::Connected(_)) => self.down.is_stalled(),
            _ => self.up.is_stalled(),
        }
    }

    /// A side that has ended breaks when it does not take what is sent to it any more, and no
    /// read tells.
    fn look_for_a_break(&mut self, side: Side, turn: &mut Turn<'_>) {
        let (end, from, to) = match (side, &self.target) {
            (Side::Client, _) => (&self.client, &self.up, &self.down),
            (Side::Target, Target::Connected(target)) => (target, &self.down, &self.up),
            (Side::Target, _) => return,
        };
        if from.is_done()
            && !to.is_done()
            && let Err(error) = end.stream.pending_error()
        {
            let fault = Fault::Receiver(error.with_action("write to").into());
            // The direction to it is done with, and the other one was: that is the end.
            _ = self.meet(fault, side.other(), turn);
        }
    }

    fn end(&mut self, ending: RelayEnding) -> Next {
        if !self.is_told {
            self.is_told = true;
            let target = match &self.target {
                Target::Connected(target) => Some(&target.stream),
                _ => None,
            };
            self.dial.ended(&RelayReport {
                client: &self.client.stream,
                target,
                up: self.up.sent(),
                down: self.down.sent(),
                ending: &ending,
            });
        }
        Next::Done
    }

    /// One side has been silent for too long after the other has ended.
    fn time_is_up(&mut self, turn: &mut Turn<'_>) -> Next {
        if self.is_moving() {
            self.renew_patience(turn);
            return Next::Wait(self.client.interest());
        }
        self.looks = self.looks.saturating_add(1);
        if u32::from(self.looks) < LOOKS && self.first.is_some() && self.is_stalled() {
            self.await_the_other(turn);
            return Next::Wait(self.client.interest());
        }
        match (self.broken.take(), self.first) {
            (Some((side, error)), _) => self.end(RelayEnding::Failed(side, error)),
            (None, None) => self.end(RelayEnding::Quiet),
            (None, Some(first)) if self.has_not_taken_all(first) => {
                self.reset(first);
                self.end(RelayEnding::Stalled { first })
            }
            (None, Some(first)) => self.end(RelayEnding::HalfClosed { first }),
        }
    }
}

/// A span in milliseconds, which take a quarter of the memory of a `Duration`. The longest one has
/// no end.
#[derive(Clone, Copy, Debug)]
struct Silence(u32);

impl Silence {
    fn of(span: Duration) -> Self {
        Self(u32::try_from(span.as_millis()).unwrap_or(u32::MAX))
    }

    fn span(self) -> Option<Duration> {
        (self.0 < u32::MAX).then(|| Duration::from_millis(self.0.into()))
    }
}

impl<D: Dial> Task for Relay<D> {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.client.stream.as_fd()
    }

    fn second(&self) -> Option<Second<'_>> {
        let (descriptor, interest) = match &self.target {
            Target::Later => return None,
            Target::Reaching(reaching) => reaching.watched()?,
            Target::Connected(end) => (end.stream.as_fd(), end.interest()),
        };
        Some(Second {
            descriptor,
            interest,
            nth: self.nth,
        })
    }

    fn owns_descriptors(&self) -> bool {
        let is_targets = match &self.target {
            Target::Connected(target) => target.stream.is_unshared(),
            _ => true,
        };
        is_targets && self.client.stream.is_unshared()
    }

    fn is_stalled(&self) -> bool {
        self.up.is_stalled() || self.down.is_stalled()
    }

    fn is_moving(&mut self) -> bool {
        let Target::Connected(target) = &self.target else {
            return false;
        };
        let (up, down) = (self.up.is_taken(target), self.down.is_taken(&self.client));
        up || down
    }

    fn run(&mut self, wake: Wake, turn: &mut Turn<'_>) -> Next {
        match (wake, &mut self.target) {
            (Wake::Ready { .. }, _) => self.client.ready.note(wake),
            (Wake::Second { .. }, Target::Connected(end)) => end.ready.note(wake),
            (Wake::Timer, Target::Connected(_)) => return self.time_is_up(turn),
            (Wake::Drain, Target::Connected(_)) if self.first.is_none() => {
                self.renew_patience(turn);
            }
            _ => {}
        }
        match wake {
            Wake::Ready { ended: true, .. } => self.look_for_a_break(Side::Client, turn),
            Wake::Second { ended: true, .. } => self.look_for_a_break(Side::Target, turn),
            _ => {}
        }
        match self.reach(wake, turn) {
            Some(next) => next,
            None => self.pump(turn),
        }
    }

    fn given_up(&mut self, cause: Cause) {
        for side in [Side::Client, Side::Target] {
            // Who was idle may have been told all there was.
            if cause != Cause::Idle || self.has_not_taken_all(side) {
                self.reset(side);
            }
        }
        self.end(RelayEnding::GivenUp(cause));
    }
}

impl<D> fmt::Debug for Relay<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay")
            .field("client", &self.client)
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_may_be_without_end() {
        let day = Duration::from_secs(86_400);
        for (span, expected) in [
            (
                Duration::from_micros(300_900),
                Some(Duration::from_millis(300)),
            ),
            (49 * day, Some(49 * day)),
            (50 * day, None),
            (Duration::MAX, None),
        ] {
            assert_eq!(Silence::of(span).span(), expected, "{span:?}");
        }
    }
}
