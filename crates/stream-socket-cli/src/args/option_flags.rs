//! The library's option keys as flags: one for each line of its table.

use clap::{Arg, ArgAction, ArgMatches};
use stream_socket::{Key, Kind, Role, keys};

use super::relay::CONNECT_TIMEOUT;
use crate::options::{self, Flag};

/// A flag for every key that means something to a socket opened this way.
pub(super) fn flags(role: Role) -> impl Iterator<Item = Arg> {
    keys()
        .iter()
        .filter(move |key| key.has_role(role))
        .map(move |key| flag(key, role))
}

/// A flag for every key that means something to one of the two sides of a relay, which never waits
/// for one read or write.
pub(super) fn flags_of_relay() -> impl Iterator<Item = Arg> {
    keys()
        .iter()
        .filter(|key| !options::is_for_one_call(key))
        .map(|key| {
            let role = if key.has_role(Role::Listen) {
                Role::Listen
            } else {
                Role::Connect
            };
            match key.name {
                "connect_timeout" => flag(key, role).help(help(key, role, CONNECT_TIMEOUT.1)),
                "nodelay" => flag(key, role).help(help(key, role, "1")),
                _ => flag(key, role),
            }
        })
}

/// A flag for every key that is set on a listening socket, and goes with it to whoever inherits it.
pub(super) fn flags_of_sockets() -> impl Iterator<Item = Arg> {
    flags(Role::Listen).filter(|flag| options::is_of_socket(flag.get_id().as_str()))
}

/// Those of sockets that were given.
pub(super) fn given_of_sockets(matches: &ArgMatches) -> Vec<Flag> {
    keys()
        .iter()
        .filter(|key| key.has_role(Role::Listen) && options::is_of_socket(key.name))
        .filter_map(|key| given_one(matches, key))
        .collect()
}

/// Those of a relay that were given.
pub(super) fn given_of_relay(matches: &ArgMatches) -> Vec<Flag> {
    let is_of_relay = |key: &&Key| !options::is_for_one_call(key);
    keys()
        .iter()
        .filter(is_of_relay)
        .filter_map(|key| given_one(matches, key))
        .collect()
}

/// Those that were given, in the order of the table.
pub(super) fn given(matches: &ArgMatches, role: Role) -> Vec<Flag> {
    keys()
        .iter()
        .filter(|key| key.has_role(role))
        .filter_map(|key| given_one(matches, key))
        .collect()
}

fn given_one(matches: &ArgMatches, key: &'static Key) -> Option<Flag> {
    let value = matches.get_one::<String>(key.name)?.clone();
    Some(Flag { key, value })
}

fn flag(key: &'static Key, role: Role) -> Arg {
    let arg = Arg::new(key.name)
        .long(key.name.replace('_', "-"))
        .value_name(key.kind().placeholder())
        .help(help(key, role, key.default))
        .help_heading(heading(key))
        .action(ArgAction::Set);
    if key.kind() == Kind::Flag {
        // `--nodelay`, `--nodelay=1` and `--nodelay=0`; a URL may follow the first.
        arg.num_args(0..=1)
            .require_equals(true)
            .default_missing_value("1")
    } else {
        arg
    }
}

fn help(key: &Key, role: Role, default: &str) -> String {
    let transports = options::transports_of(key, role);
    format!("{} [{transports}] [default: {default}]", key.help)
}

fn heading(key: &Key) -> &'static str {
    let is_unix = key.transports.iter().all(|transport| transport.is_unix());
    match (key.has_role(Role::Listen), key.has_role(Role::Connect)) {
        (true, false) if is_unix => "Unix socket file (each is also a key of the URL's query)",
        (true, false) => "Listening (each is also a key of the URL's query)",
        (false, _) => "Connecting (each is also a key of the URL's query)",
        (true, true) => "Socket (each is also a key of the URL's query)",
    }
}
