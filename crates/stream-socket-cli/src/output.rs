//! The only file that prints: data on standard output, messages on standard error.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::args::LogFormat;
use crate::exit;
use crate::failure::Failure;

/// Writes data to standard output at once. A reader that has gone has what it wanted.
pub(crate) fn data(bytes: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::System(
            "cannot write to standard output".to_owned(),
            error,
        )),
        _ => Ok(()),
    }
}

/// Writes a line for a person to standard error.
pub(crate) fn note(line: impl fmt::Display) {
    // Where nobody can be told, there is nothing to be done about that.
    _ = writeln!(io::stderr(), "{line}");
}

/// Says why the command ends.
pub(crate) fn complain(failure: &Failure, format: LogFormat) {
    match format {
        LogFormat::Text => note(format_args!("stream-socket: {failure}")),
        LogFormat::Json => {
            let stage = failure.stage().map(tracing::field::display);
            tracing::error!(stage, errno = failure.errno(), "{failure}");
        }
    }
}

/// Help and version on standard output, or what is wrong with the command line on standard error.
pub(crate) fn help_or_usage(answer: &clap::Error) -> ExitCode {
    // As above: a reader who left early wants no more of it.
    _ = answer.print();
    if answer.use_stderr() {
        exit::USAGE.into()
    } else {
        exit::DONE.into()
    }
}
