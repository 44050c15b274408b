//! `stream-socket relay`.

use std::fmt::Write;
use std::time::Duration;

use stream_socket::Listener;
use stream_socket::engine::raise_descriptor_limit;

use crate::args::RelayArguments;
use crate::failure::Failure;
use crate::limits::Limits;
use crate::loops::Settings;
use crate::place::Place;
use crate::relay::{self, Destination, Patience};
use crate::signal::Signals;
use crate::{notify, options, output};

/// How long connecting may take where nothing else is said: a client that waits for longer has
/// mostly gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

const PEERS: &str = "--max-peers and --peer-idle-timeout limit those";

/// Binds, says so, and relays until a signal ends it.
pub(super) fn run(arguments: &RelayArguments) -> Result<(), Failure> {
    if let Err(error) = raise_descriptor_limit() {
        tracing::warn!("{error}");
    }
    let RelayArguments { listen, target, .. } = arguments;
    let places = Place::all(std::slice::from_ref(listen))?;
    let (listening, connecting) = options::relaying(&places, target, &arguments.flags)?;
    let mut connecting = options::merged_connecting(target, &connecting)?;
    options::weaken(target, &mut connecting, arguments.danger)?;
    connecting.connect_timeout = connecting.connect_timeout.or(Some(CONNECT_TIMEOUT));
    let patience = Patience {
        half_closed: arguments.half_closed,
        retry: arguments.retry,
        refresh: arguments.refresh,
    };
    let destination = Destination::new(&target.without_query(), &connecting, patience)?;
    let (mut listeners, mut limits) = (Vec::<Listener>::new(), Vec::new());
    for (place, options) in places.into_iter().zip(&listening) {
        let Some(path) = &arguments.limits else {
            listeners.extend(place.listen(options)?);
            continue;
        };
        if place.url().transport().is_datagram() {
            let url = place.url();
            let sentence = format!("--limits is for connections, and {url} has peers: {PEERS}");
            return Err(Failure::Usage(sentence));
        }
        let options = options::merged_listening(place.url(), options)?;
        let file = Limits::new(path.clone(), options);
        for listener in place.listen(&file.to_bind()?)? {
            // They go before a query.
            listener.set_limits(&file.read()?)?;
            listeners.push(listener);
            limits.push(file.clone());
        }
    }
    let signals = Signals::install_with_hang_up()?;
    let mut bound = String::new();
    for listener in &listeners {
        let url = listener.url();
        // Writing to a string can't fail.
        _ = writeln!(bound, "{url}");
        let fingerprint = listener.fingerprint();
        tracing::info!(%url, target = %destination.url(), fingerprint, "relaying");
    }
    output::data(bound.as_bytes())?;
    notify::ready();
    let settings = Settings {
        threads: arguments.threads,
        drain: arguments.drain,
    };
    relay::run(listeners, limits, destination, signals, settings)
}
