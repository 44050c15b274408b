//! The addresses of a target's name: looked up beside the loops, which never wait for that.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use stream_socket::{ConnectOptions, Error, Host, SocketAddress, SocketUrl, Target, resolve};

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
    refresh: Duration,
}

#[derive(Debug)]
struct Entry {
    /// The last that was found, or why nothing ever was.
    addresses: Result<Arc<[SocketAddress]>, Error>,
    looked: Instant,
}

impl Directory {
    /// Looks the name up for the first time.
    pub(super) fn new(
        url: &SocketUrl,
        options: &ConnectOptions,
        refresh: Duration,
    ) -> Result<Self, Failure> {
        let addresses = resolve(url, options, Some(LIMIT)).map(Arc::from);
        if let Err(error) = &addresses {
            tracing::warn!("{error}");
        }
        let looked = Instant::now();
        let entry = Arc::new(Mutex::new(Entry { addresses, looked }));
        let is_name = matches!(
            url.target(),
            Target::Inet {
                host: Host::Name(_),
                ..
            }
        );
        // That of a proxy may be one.
        let is_name = is_name || options.via.is_some();
        let ask = is_name.then(|| look_up(url, options, &entry)).transpose()?;
        Ok(Self {
            entry,
            ask,
            refresh,
        })
    }

    /// The addresses that were found last. A look is asked for where that was long ago.
    pub(super) fn addresses(&self) -> Result<Arc<[SocketAddress]>, Error> {
        let (addresses, looked) = {
            let entry = self.entry.lock().unwrap_or_else(PoisonError::into_inner);
            (entry.addresses.clone(), entry.looked)
        };
        if addresses.is_err() || looked.elapsed() >= self.refresh {
            self.look_again();
        }
        addresses
    }

    /// Asks for a look, if none is under way.
    pub(super) fn look_again(&self) {
        if let Some(ask) = &self.ask {
            // One that has been asked for already serves us as well.
            _ = ask.try_send(());
        }
    }
}

/// Starts the thread that looks whenever it is asked to; how it is asked.
fn look_up(
    url: &SocketUrl,
    options: &ConnectOptions,
    entry: &Arc<Mutex<Entry>>,
) -> Result<SyncSender<()>, Failure> {
    let (ask, asked): (_, Receiver<()>) = sync_channel(1);
    let (url, options, entry) = (url.clone(), options.clone(), Arc::clone(entry));
    let look = move || {
        while asked.recv().is_ok() {
            let found = resolve(&url, &options, Some(LIMIT));
            let mut entry = entry.lock().unwrap_or_else(PoisonError::into_inner);
            entry.looked = Instant::now();
            match found {
                Ok(addresses) => entry.addresses = Ok(addresses.into()),
                // What was found before may still be right.
                Err(error) => {
                    tracing::warn!("{error}");
                    if entry.addresses.is_err() {
                        entry.addresses = Err(error);
                    }
                }
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
