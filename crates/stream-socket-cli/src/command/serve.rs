//! `stream-socket serve`.

use std::fmt::Write;

use crate::args::{DAYTIME_FORMAT, ServeArguments, ServiceName};
use crate::failure::Failure;
use crate::serve::{Entrances, Server};
use crate::service::{Daytime, Service};
use crate::signal::Signals;
use crate::{notify, options, output};

/// Binds everything, says so, and serves until a signal ends it.
pub(super) fn run(arguments: ServeArguments) -> Result<(), Failure> {
    let service = service(&arguments)?;
    let options = options::listening(&arguments.urls, &arguments.flags)?;
    let entrances = Entrances::bind(&arguments.urls, &options)?;
    let signals = Signals::install()?;
    let mut bound = String::new();
    for url in entrances.urls() {
        // Writing to a string can't fail.
        _ = writeln!(bound, "{url}");
        tracing::info!(%url, service = arguments.service.name(), "listening");
    }
    output::data(bound.as_bytes())?;
    notify::ready();
    Server::new(service, entrances, signals, arguments.drain).run()
}

fn service(arguments: &ServeArguments) -> Result<Service, Failure> {
    Ok(match arguments.service {
        ServiceName::Daytime => {
            let format = arguments.daytime_format.as_deref();
            let daytime = Daytime::new(format.unwrap_or(DAYTIME_FORMAT));
            Service::Daytime(daytime.map_err(Failure::Usage)?)
        }
        ServiceName::Time => Service::Time,
        ServiceName::Echo => Service::Echo,
        ServiceName::Discard => Service::Discard,
        ServiceName::Chargen => Service::Chargen,
        ServiceName::Qotd => Service::Qotd,
    })
}
