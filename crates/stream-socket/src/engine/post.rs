//! What a loop hears of the peers of datagram listeners that it serves.

use std::mem;
use std::sync::Arc;
use std::time::Duration;

use super::task::Wake;
use crate::peers::Notices;
use crate::sys::epoll::Bell;

/// A datagram has come, or the peer was idle for too long.
pub(super) const NEWS: Wake = Wake::Ready {
    readable: true,
    writable: false,
    ended: false,
};

/// Writing is worth a try.
pub(super) const WRITABLE: Wake = Wake::Ready {
    readable: false,
    writable: true,
    ended: false,
};

/// How long a peer without a descriptor of its own waits until it tries again to write: nothing
/// tells when there is room in another's queue, over udg, and a socket of UDP is seldom full.
pub(super) const RETRY: Duration = Duration::from_millis(5);

/// The notices to one loop, where it accepts from a listener of datagrams.
#[derive(Debug, Default)]
pub(super) struct Post {
    notices: Option<Arc<Notices>>,
    /// Kept for its room.
    heard: Vec<u64>,
}

impl Post {
    /// What peers post to; made when the first listener comes.
    pub(super) fn notices(&mut self, bell: &Arc<Bell>) -> Arc<Notices> {
        let make = || Arc::new(Notices::new(Arc::clone(bell)));
        Arc::clone(self.notices.get_or_insert_with(make))
    }

    /// The loop is going to wait; false if there is something to be heard before.
    pub(super) fn sleep(&self) -> bool {
        self.notices.as_ref().is_none_or(|notices| notices.sleep())
    }

    /// The loop waits no more.
    pub(super) fn awake(&self) {
        self.notices.iter().for_each(|notices| notices.awake());
    }

    /// The tasks to be woken, in order; to be given back with [`keep`](Self::keep).
    pub(super) fn hear(&mut self) -> Vec<u64> {
        let mut heard = mem::take(&mut self.heard);
        if let Some(notices) = &self.notices {
            notices.exchange(&mut heard);
        }
        heard
    }

    /// Keeps the room of what was heard.
    pub(super) fn keep(&mut self, mut heard: Vec<u64>) {
        heard.clear();
        self.heard = heard;
    }
}
