//! Standard input and output as files: unbuffered, and waited for by `select`.

use std::fs::File;
use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;

use crate::failure::Failure;

/// What a pipe that is writable takes without waiting: `PIPE_BUF`, pipe(7).
const PIPE_BYTES: usize = 4096;

/// The ends of the command.
///
/// Descriptors of their own, since std's streams gather what passes through them, and nobody
/// could tell what is left in them.
#[derive(Debug)]
pub(crate) struct Standard {
    pub(super) input: File,
    pub(super) output: File,
    kind: OutputKind,
    /// Whether a person would be shown nothing for as long as it takes.
    pub(super) is_redirected: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OutputKind {
    /// It takes everything at once.
    File,
    /// It tells when its reader has gone.
    Pipe,
    Other,
}

impl Standard {
    pub(crate) fn streams() -> Result<Self, Failure> {
        let (input, output) = (io::stdin(), io::stdout());
        let is_redirected = !(input.is_terminal() && output.is_terminal());
        let input = own(input.as_fd(), "input")?;
        let output = own(output.as_fd(), "output")?;
        // Of what can't be said what it is, no more is expected than of anything else.
        let kind = match output.metadata().map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_file() => OutputKind::File,
            Ok(kind) if kind.is_fifo() => OutputKind::Pipe,
            _ => OutputKind::Other,
        };
        Ok(Self {
            input,
            output,
            kind,
            is_redirected,
        })
    }

    /// The most that may be written once the output is writable.
    ///
    /// To wait in a write would keep the input waiting too, for good if the reader of our output
    /// is the writer of our input.
    pub(super) fn writable_bytes(&self) -> usize {
        match self.kind {
            OutputKind::File => usize::MAX,
            OutputKind::Pipe | OutputKind::Other => PIPE_BYTES,
        }
    }

    /// Whether the output, waited for as if it were read, tells that its reader has gone: the
    /// writing end of a pipe is never readable for another reason.
    pub(super) fn tells_when_unread(&self) -> bool {
        self.kind == OutputKind::Pipe
    }
}

fn own(descriptor: BorrowedFd<'_>, name: &str) -> Result<File, Failure> {
    descriptor
        .try_clone_to_owned()
        .map(|owned: OwnedFd| File::from(owned))
        .map_err(|error| Failure::System(format!("cannot use standard {name}"), error))
}
