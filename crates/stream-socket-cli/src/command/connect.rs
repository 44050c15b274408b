//! `stream-socket connect`.

use stream_socket::Stream;

use crate::args::{ConnectArguments, LogFormat, Messages};
use crate::connect::{Exchange, Limits, Standard};
use crate::failure::Failure;
use crate::{options, output};

/// Connects, and moves bytes both ways until it is over.
pub(super) fn run(arguments: &ConnectArguments, messages: Messages) -> Result<(), Failure> {
    let ConnectArguments {
        url, timeout, wait, ..
    } = arguments;
    let mut options = options::connecting(url, &arguments.flags)?;
    options.connect_timeout = options.connect_timeout.or(*timeout);
    let merged = options::merged_connecting(url, &options)?;
    let stream = Stream::connect(url, &options)?;
    if arguments.is_verbose && !messages.is_quiet {
        tell_addresses(&stream, messages.format)?;
    }
    let limits = Limits::new(*timeout, *wait, &merged);
    Exchange::new(stream, Standard::streams()?, limits, messages.is_quiet).run()
}

fn tell_addresses(stream: &Stream, format: LogFormat) -> Result<(), Failure> {
    let local = stream.local_addr()?.map(|address| address.to_string());
    match format {
        LogFormat::Text => {
            let local = local.as_deref().unwrap_or("an unnamed socket");
            output::note(format_args!("connected to {stream} from {local}"));
        }
        LogFormat::Json => tracing::info!(peer = %stream, local, "connected"),
    }
    Ok(())
}
