//! Limits of a listener that stand in a file, which is read again on HUP.

use std::path::PathBuf;

use stream_socket::{ListenOptions, Listener};

use crate::failure::Failure;
use crate::small_file;

/// What can change while it listens.
const KEYS: [&str; 4] = [
    "max_connections",
    "max_connections_per_ip",
    "idle_timeout",
    "lifetime",
];

/// A file of limits, and what the command line says beside it.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    path: PathBuf,
    options: ListenOptions,
}

impl Limits {
    /// That file, laid over these options of a listener.
    pub(crate) fn new(path: PathBuf, options: ListenOptions) -> Self {
        Self { path, options }
    }

    /// The options to bind with: the connections are counted, whatever their limit is now.
    pub(crate) fn to_bind(&self) -> Result<ListenOptions, Failure> {
        let mut options = self.read()?;
        options.max_connections.get_or_insert(u32::MAX);
        Ok(options)
    }

    /// What the command line and the file say.
    pub(crate) fn read(&self) -> Result<ListenOptions, Failure> {
        let path = self.path.display();
        let text = small_file::read(&self.path)?;
        let mut options = self.options.clone();
        for (line, number) in text.lines().map(str::trim).zip(1..) {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let refuse = |why: String| Failure::Usage(format!("{path}, line {number}: {why}"));
            let (name, value) = line
                .split_once('=')
                .ok_or_else(|| refuse(format!("`{line}` is no KEY=VALUE")))?;
            let (name, value) = (name.trim(), value.trim());
            if !KEYS.contains(&name) {
                let known = KEYS.join(", ");
                return Err(refuse(format!("`{name}` is none of {known}")));
            }
            options
                .set(name, value)
                .map_err(|error| refuse(error.reason().to_owned()))?;
            if is_nothing(value) {
                return Err(refuse(format!(
                    "{name} is {value}, so that nobody would be served"
                )));
            }
        }
        Ok(options)
    }

    /// Reads the file again. What can't be used leaves the old limits.
    pub(crate) fn renew(&self, listener: &Listener) {
        let path = self.path.display();
        let renewed = self
            .read()
            .and_then(|options| Ok(listener.set_limits(&options)?));
        match renewed {
            Ok(()) => tracing::info!(url = %listener.url(), %path, "new limits"),
            Err(failure) => tracing::warn!("kept the old limits: {failure}"),
        }
    }
}

/// Whether it is a number or a span of zero.
fn is_nothing(value: &str) -> bool {
    let unit = value.trim_start_matches('0');
    unit.len() < value.len() && unit.bytes().all(|byte| byte.is_ascii_alphabetic())
}
