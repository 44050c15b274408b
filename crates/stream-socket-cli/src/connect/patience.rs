//! How long the exchange waits, and for what.

use std::time::{Duration, Instant};

use stream_socket::{ConnectOptions, Limit};

/// Limits in time; `None` is without.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// For any movement at all.
    pub(crate) timeout: Option<Duration>,
    /// For more, once it could be over.
    pub(crate) wait: Duration,
    /// For the peer to send something.
    pub(crate) read: Option<Duration>,
    /// For the peer to take something.
    pub(crate) write: Option<Duration>,
}

impl Limits {
    pub(crate) fn new(timeout: Option<Duration>, wait: Duration, options: &ConnectOptions) -> Self {
        Self {
            timeout,
            wait,
            read: options.socket.read_timeout,
            write: options.socket.write_timeout,
        }
    }
}

/// What is being waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    /// All could be over, if nothing more comes.
    pub(super) is_almost_over: bool,
    /// The peer may send.
    pub(super) to_receive: bool,
    /// The peer is to take what was sent.
    pub(super) to_send: bool,
}

/// What a wait without result comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Expiry {
    /// Nothing more came: it is over.
    Over,
    /// Nothing moved for so long.
    Silence(Duration),
    /// A limit of the socket's own.
    Limit(Limit, Duration),
}

/// When something last moved, and what follows from that.
#[derive(Debug)]
pub(super) struct Patience {
    limits: Limits,
    moved: Instant,
    received: Instant,
    /// When the peer last took something, or was first given something to take.
    taken: Instant,
}

impl Patience {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            moved: now,
            received: now,
            taken: now,
        }
    }

    pub(super) fn moved(&mut self, now: Instant) {
        self.moved = now;
    }

    pub(super) fn received(&mut self, now: Instant) {
        (self.moved, self.received) = (now, now);
    }

    pub(super) fn taken(&mut self, now: Instant) {
        (self.moved, self.taken) = (now, now);
    }

    /// How long one write may wait, where it has to.
    pub(super) fn write_timeout(&self) -> Option<Duration> {
        let Limits { write, timeout, .. } = self.limits;
        write.into_iter().chain(timeout).min()
    }

    /// What comes first if nothing moves, and when.
    pub(super) fn next(&self, waiting: Waiting) -> Option<(Instant, Expiry)> {
        let Limits {
            timeout,
            wait,
            read,
            write,
        } = self.limits;
        let at = |is_on: bool, since: Instant, span: Option<Duration>| {
            span.filter(|_| is_on)
                .and_then(|span| Some((since.checked_add(span)?, span)))
        };
        let over = at(waiting.is_almost_over, self.moved, Some(wait))
            .map(|(instant, _)| (instant, Expiry::Over));
        let silence =
            at(true, self.moved, timeout).map(|(instant, span)| (instant, Expiry::Silence(span)));
        let read = at(waiting.to_receive, self.received, read)
            .map(|(instant, span)| (instant, Expiry::Limit(Limit::Read, span)));
        let write = at(waiting.to_send, self.taken, write)
            .map(|(instant, span)| (instant, Expiry::Limit(Limit::Write, span)));
        [over, silence, read, write]
            .into_iter()
            .flatten()
            .min_by_key(|(instant, _)| *instant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_limit_counts() {
        let seconds = Duration::from_secs;
        let limits = Limits {
            timeout: Some(seconds(10)),
            wait: seconds(1),
            read: Some(seconds(5)),
            write: None,
        };
        let start = Instant::now();
        let mut patience = Patience::new(limits, start);
        let receiving = Waiting {
            to_receive: true,
            ..Waiting::default()
        };
        let ending = Waiting {
            is_almost_over: true,
            ..Waiting::default()
        };
        let expiry = |patience: &Patience, waiting| {
            let (instant, expiry) = patience.next(waiting).unwrap();
            (instant - start, expiry)
        };
        let read = Expiry::Limit(Limit::Read, seconds(5));
        assert_eq!(expiry(&patience, receiving), (seconds(5), read));
        assert_eq!(expiry(&patience, ending), (seconds(1), Expiry::Over));
        patience.taken(start + seconds(2));
        assert_eq!(expiry(&patience, receiving), (seconds(5), read));
        let silence = Expiry::Silence(seconds(10));
        assert_eq!(
            expiry(&patience, Waiting::default()),
            (seconds(12), silence)
        );
    }

    #[test]
    fn without_limits_nothing_is_due() {
        let limits = Limits {
            timeout: None,
            wait: Duration::MAX,
            read: None,
            write: None,
        };
        let patience = Patience::new(limits, Instant::now());
        let waiting = Waiting {
            is_almost_over: true,
            to_receive: true,
            to_send: true,
        };
        assert_eq!(patience.next(waiting), None);
    }
}
