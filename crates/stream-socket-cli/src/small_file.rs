//! Files of a few lines that the command line names.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::failure::Failure;

/// The most bytes of one; there is no end of what /dev/zero has.
const MOST: u64 = 64 * 1024;

/// All its text.
pub(crate) fn read(path: &Path) -> Result<String, Failure> {
    let refuse = |error| Failure::System(format!("cannot read {}", path.display()), error);
    let mut text = String::new();
    let mut file = File::open(path).map_err(refuse)?.take(MOST + 1);
    file.read_to_string(&mut text).map_err(refuse)?;
    if file.limit() == 0 {
        let path = path.display();
        return Err(Failure::Usage(format!(
            "{path} is longer than {MOST} bytes"
        )));
    }
    Ok(text)
}
