//! The secrets of connections in a file, where a program has asked for that.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::KeyLog;

use super::pem::Named;
use crate::error::Result;
use crate::sys::{file, phrase};

/// Appends lines of the NSS key log format to a file.
#[derive(Debug)]
struct Log(Mutex<File>);

/// The log that is kept at `path`, which only its owner may read.
pub(super) fn at(url: &impl std::fmt::Display, path: &Path) -> Result<Arc<dyn KeyLog>> {
    let file = file::append_privately(path).map_err(|errno| {
        let named = Named {
            option: "danger_key_log",
            path,
        };
        let error = named.refused(url, phrase(errno));
        error.with_errno(errno.raw_os_error())
    })?;
    Ok(Arc::new(Log(Mutex::new(file))))
}

impl KeyLog for Log {
    fn log(&self, label: &str, client_random: &[u8], secret: &[u8]) {
        let line = format!("{label} {} {}\n", hex(client_random), hex(secret));
        let mut file = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A full disk is not the connection's fault.
        _ = file.write_all(line.as_bytes());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
