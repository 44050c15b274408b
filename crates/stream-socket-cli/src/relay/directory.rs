//! The addresses of a target's name: looked up beside the loops, which never wait for that.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use stream_socket::{Error, Host, Route, Target, resolve};

use crate::failure::Failure;

/// How long one look-up may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The least time between two look-ups: connections that fail ask for one, and clients can make as
/// many as they like.
const INTERVAL: Duration = Duration::from_millis(250);

/// What is known of a name.
#[derive(Debug)]
pub(super) struct Directory {
    entry: Arc<Mutex<Entry>>,
    /// Asks for a look; `None` where there is no name.
    ask: Option<SyncSender<()>>,
}

/// The way to the addresses that were found last, or why none ever were.
type Entry = Result<Route, Error>;

impl Directory {
    /// Looks the name up for the first time, and then whenever `refresh` is over, so that no
    /// client is sent to an older address.
    pub(super) fn new(route: &Route, refresh: Duration) -> Result<Self, Failure> {
        let found = look(route);
        if let Err(error) = &found {
            tracing::warn!("{error}");
        }
        let entry = Arc::new(Mutex::new(found));
        let is_name = matches!(
            route.url().target(),
            Target::Inet {
                host: Host::Name(_),
                ..
            }
        );
        // That of a proxy may be one.
        let is_name = is_name || route.options().via.is_some();
        let ask = is_name.then(|| look_up(route, &entry, refresh));
        let ask = ask.transpose()?;
        Ok(Self { entry, ask })
    }

    /// The way to the addresses that were found last. A look is asked for where none ever were.
    pub(super) fn route(&self) -> Result<Route, Error> {
        let entry = lock(&self.entry);
        if entry.is_err() {
            self.look_again();
        }
        entry.clone()
    }

    /// Asks for a look.
    pub(super) fn look_again(&self) {
        if let Some(ask) = &self.ask {
            // One that has been asked for already serves us as well.
            _ = ask.try_send(());
        }
    }
}

fn lock(entry: &Mutex<Entry>) -> MutexGuard<'_, Entry> {
    entry.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(route: &Route) -> Result<Route, Error> {
    let addresses = resolve(route.url(), route.options(), Some(LIMIT))?;
    Ok(route.clone().to(addresses))
}

/// Starts the thread that looks whenever it is asked to, or `refresh` is over; how it is asked.
fn look_up(
    route: &Route,
    entry: &Arc<Mutex<Entry>>,
    refresh: Duration,
) -> Result<SyncSender<()>, Failure> {
    let (ask, asked): (_, Receiver<()>) = sync_channel(1);
    let (route, entry) = (route.clone(), Arc::clone(entry));
    let look = move || {
        while asked.recv_timeout(refresh) != Err(RecvTimeoutError::Disconnected) {
            let found = look(&route);
            let mut entry = lock(&entry);
            if let Err(error) = &found {
                tracing::warn!("{error}");
            }
            // What was found before may still be right.
            if found.is_ok() || entry.is_err() {
                *entry = found;
            }
            drop(entry);
            thread::sleep(INTERVAL);
        }
    };
    let spawned = thread::Builder::new().name("names".to_owned()).spawn(look);
    spawned
        .map(|_| ask)
        .map_err(|error| Failure::System("cannot start a thread".to_owned(), error))
}
