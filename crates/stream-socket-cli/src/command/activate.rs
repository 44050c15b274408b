//! `stream-socket activate`.

use std::fmt::Write;
use std::time::Instant;

use crate::activate::{self, Crew, Launcher, Sockets, Terms};
use crate::args::ActivateArguments;
use crate::failure::Failure;
use crate::signal::Signals;
use crate::{notify, output};

/// Opens the sockets, starts the workers, says so, and keeps them until a signal ends it.
pub(super) fn run(arguments: ActivateArguments) -> Result<(), Failure> {
    let sockets = Sockets::open(&arguments.urls, &arguments.names, &arguments.flags)?;
    // What is not passed on purpose, no worker is to have.
    stream_socket::keep_descriptors()?;
    let signals = Signals::install_as_parent()?;
    let mut bound = String::new();
    for (url, name) in sockets.told() {
        // Writing to a string can't fail.
        _ = writeln!(bound, "{url}");
        tracing::info!(%url, name, "listening");
    }
    let launcher = Launcher::new(arguments.command, sockets);
    let terms = Terms {
        settle: arguments.settle,
        drain: arguments.drain,
        lazy: arguments.lazy,
    };
    let mut crew = Crew::new(launcher, terms);
    // Workers write to the same standard output, behind it.
    output::data(bound.as_bytes())?;
    crew.engage(arguments.workers, Instant::now())?;
    notify::ready();
    activate::run(crew, signals)
}
