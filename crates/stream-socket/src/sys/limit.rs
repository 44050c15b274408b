//! How many descriptors the process may have: getrlimit(2).

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::Errno;
use super::seam::{Call, call};

/// Raises the soft limit to the hard one, and says what it is; `None` where there is none.
pub(crate) fn raise_descriptors() -> Result<Option<u64>, Errno> {
    let limit = call(Call::Option, || Ok(getrlimit(Resource::Nofile)))?;
    if limit.current != limit.maximum {
        let raised = Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        call(Call::SetOption, || setrlimit(Resource::Nofile, raised))?;
    }
    Ok(limit.maximum)
}
