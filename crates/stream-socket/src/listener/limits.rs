//! Limits that may change while a listener is in use.

use std::sync::PoisonError;
use std::time::Duration;

use super::Listener;
use crate::error::{Error, Result, Stage};
use crate::options::{ListenOptions, Options};

/// How long the engine keeps connections.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spans {
    pub(crate) idle: Option<Duration>,
    pub(crate) lifetime: Option<Duration>,
}

impl Spans {
    pub(super) fn new(options: &ListenOptions) -> Self {
        Self {
            idle: options.idle_timeout,
            lifetime: options.lifetime,
        }
    }
}

impl Listener {
    /// Changes how many connections there may be and for how long, in whatever thread it is
    /// accepted from: `max_connections`, `max_connections_per_ip`, `idle_timeout` and `lifetime` of
    /// these options, where `None` is no limit; the others are not looked at.
    ///
    /// The connections that there are stay, with the times that they began with, even if there are
    /// more of them than there may be now; they count, if their number was limited. Makes no system
    /// call, unless somebody waits for a place.
    ///
    /// # Errors
    ///
    /// At [`Stage::Parse`] what [`bind`](Self::bind) would refuse; at [`Stage::Listen`] where it
    /// was bound without a limit of number, so that its connections are not counted.
    pub fn set_limits(&self, options: &ListenOptions) -> Result<()> {
        options.for_url(&self.url)?;
        let numbers = [options.max_connections, options.max_connections_per_ip];
        match &self.gate {
            Some(gate) => gate.set_limits(options),
            None if numbers == [None, None] => {}
            None => {
                let reason = "its connections are not counted, since it was bound without a limit";
                return Err(Error::new(Stage::Listen, &self.url, reason));
            }
        }
        *self.spans.write().unwrap_or_else(PoisonError::into_inner) = Spans::new(options);
        Ok(())
    }

    pub(crate) fn spans(&self) -> Spans {
        *self.spans.read().unwrap_or_else(PoisonError::into_inner)
    }
}
