//! Every call from C passes here: no panic goes through a frame of C, which would end the process.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;
use std::thread;

use crate::failure::Failure;

static QUIET: Once = Once::new();

/// How a call ended.
#[derive(Debug)]
pub(super) enum Ended<T> {
    Well(T),
    Failed(Failure),
    Panicked(String),
}

/// Runs `body`; a panic in it is a result.
pub(super) fn guarded<T>(body: impl FnOnce() -> Result<T, Failure>) -> Ended<T> {
    QUIET.call_once(silence);
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        #[cfg(feature = "simulation")]
        simulated::panic_in_turn();
        body()
    }));
    match result {
        Ok(Ok(value)) => Ended::Well(value),
        Ok(Err(failure)) => Ended::Failed(failure),
        Err(payload) => Ended::Panicked(message(&*payload)),
    }
}

/// PHP tells of a panic by an Error; standard error is the script's. The library's own threads,
/// which have names, are no part of a call.
fn silence() {
    let others = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        if thread::current().name().is_some() {
            others(info);
        }
    }));
}

fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}

/// A panic in the call that a test chooses.
#[cfg(feature = "simulation")]
mod simulated {
    use std::env;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// Its number among the calls of the process, from 1.
    static CHOSEN: LazyLock<Option<u64>> = LazyLock::new(|| {
        let number = env::var("STREAM_SOCKET_PANIC_AT").ok()?;
        number.parse().ok()
    });

    static CALLS: AtomicU64 = AtomicU64::new(0);

    #[allow(clippy::panic, reason = "the point of it")]
    pub(super) fn panic_in_turn() {
        let number = CALLS.fetch_add(1, Relaxed) + 1;
        assert!(*CHOSEN != Some(number), "simulated");
    }
}
