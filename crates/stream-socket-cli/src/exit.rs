//! The exit codes.
//!
//! A command that a second signal ends dies of it: the shell then tells 128 and the signal's
//! number. Process 1 can't die of a signal, and ends with that code itself.

/// All went well; also when the reader of standard output had enough.
pub(crate) const DONE: u8 = 0;
/// A socket, a file or a time limit stood in the way.
pub(crate) const FAILED: u8 = 1;
/// What was typed makes no sense: an option, a URL, a format. The parser of the command line
/// has the same number.
pub(crate) const USAGE: u8 = 2;
/// A signal ended it, whose number is added.
pub(crate) const SIGNAL: u8 = 128;
