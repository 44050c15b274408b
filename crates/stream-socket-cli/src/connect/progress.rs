//! What a person at the terminal sees of a long transfer.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A transfer that takes less needs no bar.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often it is drawn when nothing moves, so that the rate falls.
const TICK: Duration = Duration::from_millis(250);

/// A line on standard error: bytes each way, and how fast.
#[derive(Debug)]
pub(super) struct Progress {
    begun: Instant,
    bar: Option<ProgressBar>,
}

/// How many bytes went which way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moved {
    pub(super) sent: u64,
    pub(super) received: u64,
}

impl Progress {
    /// Shown if standard error is a terminal, and what is transferred is not seen there itself.
    pub(super) fn new(is_redirected: bool, is_quiet: bool, now: Instant) -> Option<Self> {
        let is_shown = is_redirected && !is_quiet && io::stderr().is_terminal();
        is_shown.then_some(Self {
            begun: now,
            bar: None,
        })
    }

    /// When it is to be drawn next.
    pub(super) fn due(&self, now: Instant) -> Instant {
        (self.begun + PATIENCE).max(now + TICK)
    }

    pub(super) fn show(&mut self, moved: Moved, now: Instant) {
        if self.bar.is_none() && now < self.begun + PATIENCE {
            return;
        }
        let bar = self.bar.get_or_insert_with(bar);
        let Moved { sent, received } = moved;
        bar.set_message(format!(
            "sent {}, received {}",
            HumanBytes(sent),
            HumanBytes(received)
        ));
        bar.set_position(sent + received);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    // The template is a constant: it is right, or the style is the plain one.
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}, {bytes_per_sec}, {elapsed}") {
        bar.set_style(style);
    }
    bar
}
