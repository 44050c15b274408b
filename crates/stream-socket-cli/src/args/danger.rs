//! What weakens TLS: flags alone, never keys of a URL, so that no link can bring them along.

use clap::{Arg, ArgAction, ArgMatches};
use stream_socket::TlsClientOptions;

/// What is not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Danger {
    any_certificate: bool,
    any_name: bool,
    truncation: bool,
}

const ANY_CERTIFICATE: &str = "danger-accept-any-certificate";
const ANY_NAME: &str = "danger-accept-any-name";
const TRUNCATION: &str = "danger-accept-truncation";

pub(super) fn flags() -> [Arg; 3] {
    [
        (
            ANY_CERTIFICATE,
            "Accept any certificate of the server, of whomever it is",
        ),
        (ANY_NAME, "Accept a trusted certificate for whatever name"),
        (
            TRUNCATION,
            "Take a server's connection that is cut off for one that has ended",
        ),
    ]
    .map(|(name, help)| {
        Arg::new(name)
            .long(name)
            .action(ArgAction::SetTrue)
            .help_heading("What weakens TLS (no keys of the URL's query)")
            .help(help)
    })
}

pub(super) fn given(matches: &ArgMatches) -> Danger {
    Danger {
        any_certificate: matches.get_flag(ANY_CERTIFICATE),
        any_name: matches.get_flag(ANY_NAME),
        truncation: matches.get_flag(TRUNCATION),
    }
}

impl Danger {
    /// The first of those that were given.
    pub(crate) fn first(self) -> Option<&'static str> {
        let flags = [
            (ANY_CERTIFICATE, self.any_certificate),
            (ANY_NAME, self.any_name),
            (TRUNCATION, self.truncation),
        ];
        flags.into_iter().find(|flag| flag.1).map(|flag| flag.0)
    }

    /// Has a connection made so.
    pub(crate) fn apply(self, options: &mut TlsClientOptions) {
        options.danger_accept_any_certificate |= self.any_certificate;
        options.danger_accept_any_name |= self.any_name;
        options.danger_accept_truncation |= self.truncation;
    }
}
