//! `stream-socket relay`.

use std::fmt::Write;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::FileTypeExt;

use stream_socket::engine::raise_descriptor_limit;
use stream_socket::{Listener, Port, SocketUrl, Target};

use crate::args::{CONNECT_TIMEOUT, RelayArguments};
use crate::failure::Failure;
use crate::limits::Limits;
use crate::loops::Settings;
use crate::place::Place;
use crate::relay::{self, Destination, Patience};
use crate::signal::Signals;
use crate::{notify, options, output};

const PEERS: &str = "--max-peers and --peer-idle-timeout limit those";

/// What no client could be passed on to. The system chooses a port to listen on, and none to
/// connect to; a descriptor is taken for the one client that it is for, and only looked at now.
fn refuse_no_target(target: &SocketUrl) -> Result<(), Failure> {
    let why = match target.target() {
        Target::Inet {
            port: Port::Number(0),
            ..
        } => "nobody listens on port 0",
        Target::Descriptor(number) => match fs::metadata(format!("/proc/self/fd/{number}")) {
            Ok(file) if !file.file_type().is_socket() => "it is no socket",
            Err(error) if error.kind() == ErrorKind::NotFound => "it is not open",
            _ => return Ok(()),
        },
        _ => return Ok(()),
    };
    Err(Failure::Usage(format!("{target} is no target: {why}")))
}

/// Binds, says so, and relays until a signal ends it.
pub(super) fn run(arguments: &RelayArguments) -> Result<(), Failure> {
    if let Err(error) = raise_descriptor_limit() {
        tracing::warn!("{error}");
    }
    let RelayArguments { listen, target, .. } = arguments;
    refuse_no_target(target)?;
    let places = Place::all(std::slice::from_ref(listen))?;
    let (listening, connecting) = options::relaying(&places, target, &arguments.flags)?;
    let mut connecting = options::merged_connecting(target, &connecting)?;
    options::weaken(target, &mut connecting, arguments.danger)?;
    connecting.connect_timeout = connecting.connect_timeout.or(Some(CONNECT_TIMEOUT.0));
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
    if let Some(listener) = listeners.iter().find(|one| destination.leads_to(one)) {
        let url = listener.url();
        return Err(Failure::Usage(format!(
            "{target} leads back to {url}: each connection would bring about another"
        )));
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
