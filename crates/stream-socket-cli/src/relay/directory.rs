//! The addresses of a target's name, looked up beside the loops, which never wait for that, and the
//! certificates that it is met with.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use stream_socket::{Error, Host, Route, SocketAddress, Target, resolve};

use crate::failure::Failure;

/// How long one look-up may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The least time between two look-ups: connections that fail ask for one, and clients can make as
/// many as they like.
const INTERVAL: Duration = Duration::from_millis(250);

/// What is known of the target.
#[derive(Debug)]
pub(super) struct Directory {
    known: Arc<Mutex<Known>>,
    /// Asks for a look; `None` where there is no name.
    ask: Option<SyncSender<()>>,
}

#[derive(Debug)]
struct Known {
    /// To the addresses that were found last.
    route: Route,
    /// Why none ever were.
    failure: Option<Error>,
}

impl Directory {
    /// Looks the name up for the first time, and then whenever `refresh` is over, so that no
    /// client is sent to an older address.
    pub(super) fn new(route: Route, refresh: Duration) -> Result<Self, Failure> {
        let is_name = matches!(
            route.url().target(),
            Target::Inet {
                host: Host::Name(_),
                ..
            }
        );
        // That of a proxy may be one.
        let is_name = is_name || route.options().via.is_some();
        let found = look(&route);
        let failure = None;
        let mut known = Known { route, failure };
        known.failure = known.learn(found).err();
        let known = Arc::new(Mutex::new(known));
        let ask = is_name.then(|| look_up(&known, refresh)).transpose()?;
        Ok(Self { known, ask })
    }

    /// The way to the addresses that were found last. A look is asked for where none ever were.
    pub(super) fn route(&self) -> Result<Route, Error> {
        let known = lock(&self.known);
        let Some(failure) = &known.failure else {
            return Ok(known.route.clone());
        };
        self.look_again();
        Err(failure.clone())
    }

    /// Asks for a look.
    pub(super) fn look_again(&self) {
        if let Some(ask) = &self.ask {
            // One that has been asked for already serves us as well.
            _ = ask.try_send(());
        }
    }

    /// Reads certificates and the like again; whether they have changed.
    pub(super) fn reload(&self) -> Result<bool, Error> {
        lock(&self.known).route.reload()
    }
}

impl Known {
    /// Takes note of what a look has found; what was found before may still be right.
    fn learn(&mut self, found: Result<Vec<SocketAddress>, Error>) -> Result<(), Error> {
        let addresses = found.inspect_err(|error| tracing::warn!("{error}"))?;
        self.route = self.route.clone().to(addresses);
        self.failure = None;
        Ok(())
    }
}

fn lock(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

fn look(route: &Route) -> Result<Vec<SocketAddress>, Error> {
    resolve(route.url(), route.options(), Some(LIMIT))
}

/// Starts the thread that looks whenever it is asked to, or `refresh` is over; how it is asked.
fn look_up(known: &Arc<Mutex<Known>>, refresh: Duration) -> Result<SyncSender<()>, Failure> {
    let (ask, asked): (_, Receiver<()>) = sync_channel(1);
    let (route, known) = (lock(known).route.clone(), Arc::clone(known));
    let look = move || {
        while asked.recv_timeout(refresh) != Err(RecvTimeoutError::Disconnected) {
            let found = look(&route);
            let mut known = lock(&known);
            if let Err(error) = known.learn(found)
                && known.failure.is_some()
            {
                known.failure = Some(error);
            }
            drop(known);
            thread::sleep(INTERVAL);
        }
    };
    let spawned = thread::Builder::new().name("names".to_owned()).spawn(look);
    spawned
        .map(|_| ask)
        .map_err(|error| Failure::System("cannot start a thread".to_owned(), error))
}
