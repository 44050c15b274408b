//! `stream-socket man`.

use std::path::Path;

use crate::failure::Failure;
use crate::{args, output};

/// Writes the manual pages to a folder, or the main page to standard output.
pub(super) fn run(directory: Option<&Path>) -> Result<(), Failure> {
    let Some(directory) = directory else {
        let mut page = Vec::new();
        let written = clap_mangen::Man::new(args::command()).render(&mut page);
        written.map_err(|error| Failure::System("cannot write the page".to_owned(), error))?;
        return output::data(&page);
    };
    clap_mangen::generate_to(args::command(), directory).map_err(|error| {
        let action = format!("cannot write manual pages to {}", directory.display());
        Failure::System(action, error)
    })
}
