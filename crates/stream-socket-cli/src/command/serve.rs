//! `stream-socket serve`.

use std::fmt::Write;
use std::sync::Arc;

use stream_socket::engine::raise_descriptor_limit;

use crate::args::{Answer, DAYTIME_FORMAT, ServeArguments, ServiceName};
use crate::failure::Failure;
use crate::loops::Settings;
use crate::place::Place;
use crate::serve::{self, Answerer, Entrances, Program};
use crate::service::{Daytime, Service};
use crate::signal::Signals;
use crate::{notify, options, output};

/// Binds everything, says so, and serves until a signal ends it.
pub(super) fn run(mut arguments: ServeArguments) -> Result<(), Failure> {
    let answerer = answerer(&arguments)?;
    if let Answerer::Service(_) = answerer {
        // A program would inherit it, and may not be up to it.
        if let Err(error) = raise_descriptor_limit() {
            tracing::warn!("{error}");
        }
    }
    let places = Place::all(&arguments.urls)?;
    if let Answerer::Program(_) = answerer {
        options::limit_programs(&places, &mut arguments.flags);
    }
    let options = options::listening(&places, &arguments.flags)?;
    let entrances = Entrances::bind(places, &options, &answerer)?;
    let signals = if entrances.have_certificates() {
        Signals::install_with_hang_up()?
    } else {
        Signals::install()?
    };
    let mut bound = String::new();
    let service = arguments.answer.name();
    let service: &str = &service;
    for (url, fingerprint) in entrances.urls() {
        // Writing to a string can't fail.
        _ = writeln!(bound, "{url}");
        tracing::info!(%url, service, fingerprint, "listening");
    }
    output::data(bound.as_bytes())?;
    notify::ready();
    let settings = Settings {
        threads: arguments.threads,
        drain: arguments.drain,
    };
    serve::run(answerer, entrances, signals, settings)
}

fn answerer(arguments: &ServeArguments) -> Result<Answerer, Failure> {
    Ok(match &arguments.answer {
        Answer::Service(name) => Answerer::Service(service(*name, arguments)?),
        Answer::Program(command) => {
            let mut words = command.iter().cloned();
            let program = words.next().unwrap_or_default();
            Answerer::Program(Arc::new(Program::new(program, words.collect())))
        }
    })
}

fn service(name: ServiceName, arguments: &ServeArguments) -> Result<Service, Failure> {
    Ok(match name {
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
