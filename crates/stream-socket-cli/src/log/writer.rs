//! Lines to standard error that nobody waits for: where they can't be written, they are counted.
//!
//! Standard error may be a pipe that nobody reads from any more, and the loops must go on. It is
//! shared with other processes, so that to make it non-blocking would be done to them, too.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{Timestamp, Zoned};
use stream_socket::{Interest, Member, select};
use tracing_subscriber::fmt::MakeWriter;

use crate::args::LogFormat;

/// What a pipe that poll(2) finds writable takes at least, and all at once: PIPE_BUF, pipe(7).
const LONGEST: usize = 4096;

/// Makes writers, each for one line.
pub(super) struct Lines {
    format: LogFormat,
    /// Lines that were dropped and not told of yet.
    dropped: Mutex<u64>,
}

/// Writes one line. While it is there, no other thread does.
pub(super) struct Line<'a> {
    format: LogFormat,
    dropped: MutexGuard<'a, u64>,
}

impl Lines {
    pub(super) fn new(format: LogFormat) -> Self {
        Self {
            format,
            dropped: Mutex::new(0),
        }
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            format: self.format,
            dropped: self.dropped.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

impl Write for Line<'_> {
    /// Takes a whole line, as it is called.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if *self.dropped > 0 && put(notice(self.format, *self.dropped).as_bytes()) {
            *self.dropped = 0;
        }
        if *self.dropped > 0 || !put(line) {
            *self.dropped += 1;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What is told of lines that were dropped, in the form that all lines have.
fn notice(format: LogFormat, dropped: u64) -> String {
    let message = "lines of the log were dropped, since nobody read them";
    match format {
        LogFormat::Text => {
            let time = Zoned::now().strftime("%F %T").to_string();
            format!("{time} warning: {message} count={dropped}\n")
        }
        LogFormat::Json => {
            let time = Timestamp::now();
            let start = format!(r#"{{"timestamp":"{time}","level":"WARN""#);
            format!("{start},\"message\":\"{message}\",\"count\":{dropped}}}\n")
        }
    }
}

/// Writes a line if that is possible without waiting, and no more of it than is; whether it was
/// written.
fn put(line: &[u8]) -> bool {
    let mut stderr = io::stderr().lock();
    if !is_writable(&stderr) {
        return false;
    }
    let result = if line.len() <= LONGEST {
        stderr.write_all(line)
    } else {
        let cut = [&line[..LONGEST - 1], b"\n"].concat();
        stderr.write_all(&cut)
    };
    result.is_ok()
}

fn is_writable(stderr: &impl AsFd) -> bool {
    let descriptor = stderr.as_fd();
    let mut members = [Member::new(&descriptor, Interest::WRITE)];
    loop {
        match select(&mut members, Some(Duration::ZERO)) {
            Ok(count) => return count > 0,
            Err(error) if error.io_kind() == io::ErrorKind::Interrupted => {}
            // Rather than never again, it is tried.
            Err(_) => return true,
        }
    }
}
