//! The option flags, laid onto the URLs: each goes to those that it applies to.

use stream_socket::{ConnectOptions, Key, ListenOptions, Role, SocketUrl, Transport};

use crate::args::Danger;
use crate::failure::Failure;
use crate::place::Place;
use crate::small_file;

/// An option given as a flag.
#[derive(Clone, Debug)]
pub(crate) struct Flag {
    pub(crate) key: &'static Key,
    pub(crate) value: String,
}

/// Whether the option means something to this command on this transport.
pub(crate) fn applies(key: &Key, transport: Transport, role: Role) -> bool {
    key.applies(transport, role) && !(role == Role::Listen && is_idle(key, transport))
}

/// Whether a server has no use for the option: it never waits for one datagram, but for any.
fn is_idle(key: &Key, transport: Transport) -> bool {
    transport.is_datagram() && is_for_one_call(key)
}

/// Whether the option limits one read or write that is waited for.
pub(crate) fn is_for_one_call(key: &Key) -> bool {
    matches!(key.name, "read_timeout" | "write_timeout")
}

/// What is set on a listening socket, and goes with it to the processes that inherit it. The others
/// are kept by whoever accepts.
const OF_SOCKET: [&str; 22] = [
    "backlog",
    "reuse_address",
    "reuse_port",
    "v6only",
    "fast_open",
    "defer_accept",
    "mode",
    "owner",
    "group",
    "unlink",
    "nodelay",
    "keepalive",
    "keepalive_idle",
    "keepalive_interval",
    "keepalive_count",
    "linger",
    "user_timeout",
    "send_buffer",
    "receive_buffer",
    "broadcast",
    "device",
    "mark",
];

/// Whether an option goes with a socket to the processes that inherit it.
pub(crate) fn is_of_socket(name: &str) -> bool {
    OF_SOCKET.contains(&name)
}

/// The options of sockets that others accept from, those of the queries left to the library.
pub(crate) fn activating(places: &[Place], flags: &[Flag]) -> Result<Vec<ListenOptions>, Failure> {
    for url in places.iter().map(Place::url) {
        let known = |name: &&str| stream_socket::keys().iter().any(|key| key.name == *name);
        let mut asked = url.query().map(|(name, _)| name).filter(known);
        if let Some(name) = asked.find(|name| !is_of_socket(name)) {
            return Err(Failure::Usage(format!(
                "cannot activate {url}: {name} is kept by who accepts, the worker"
            )));
        }
        if url.transport() == Transport::Unix {
            refuse_buffers(url, flags)?;
        }
    }
    listening(places, flags)
}

/// Connections over unix get the sizes of their buffers from nobody but who accepts them.
fn refuse_buffers(url: &SocketUrl, flags: &[Flag]) -> Result<(), Failure> {
    let asked = url.query().map(|(name, _)| name);
    let mut given = asked.chain(flags.iter().map(|flag| flag.key.name));
    match given.find(|name| matches!(*name, "send_buffer" | "receive_buffer")) {
        Some(name) => Err(Failure::Usage(format!(
            "cannot activate {url}: {name} does not reach its connections; the worker may set it"
        ))),
        None => Ok(()),
    }
}

/// The options of both sides of a relay, those of the queries left to the library. A flag goes to
/// each side that it applies to.
pub(crate) fn relaying(
    listen: &[Place],
    target: &SocketUrl,
    flags: &[Flag],
) -> Result<(Vec<ListenOptions>, ConnectOptions), Failure> {
    for url in listen.iter().map(Place::url).chain([target]) {
        refuse_keys_for_one_call(url)?;
    }
    let mut listening: Vec<_> = listen.iter().map(relayed_from).collect();
    let mut connecting = ConnectOptions::default();
    connecting.socket.nodelay = sends_at_once(target.transport());
    for flag in flags {
        let (name, value) = (flag.key.name, &flag.value);
        let mut here = false;
        let there = applies(flag.key, target.transport(), Role::Connect);
        for (place, options) in listen.iter().zip(&mut listening) {
            if applies(flag.key, place.url().transport(), Role::Listen) {
                options.set(name, value)?;
                here = true;
            }
        }
        if there {
            set_connecting(&mut connecting, flag)?;
        }
        if !here && !there {
            let role = if flag.key.has_role(Role::Listen) {
                Role::Listen
            } else {
                Role::Connect
            };
            return Err(Failure::Usage(useless(flag.key, role)));
        }
    }
    Ok((listening, connecting))
}

/// What a relay's listener has where nothing else is said.
fn relayed_from(place: &Place) -> ListenOptions {
    let mut options = ListenOptions::default();
    options.socket.nodelay = sends_at_once(place.url().transport());
    options
}

/// A relay passes on at once what came at once. Else the system would hold a message's second part
/// until the first is acknowledged, for which peers take 40 ms (RFC 896, RFC 1122 4.2.3.2).
fn sends_at_once(transport: Transport) -> Option<bool> {
    (transport.carrier() == Transport::Tcp).then_some(true)
}

fn refuse_keys_for_one_call(url: &SocketUrl) -> Result<(), Failure> {
    let is_such = |name: &&str| matches!(*name, "read_timeout" | "write_timeout");
    match url.query().map(|(name, _)| name).find(is_such) {
        Some(name) => Err(Failure::Usage(format!(
            "cannot relay {url}: {name} is for one read or write, and a relay waits for neither; \
             use idle_timeout"
        ))),
        None => Ok(()),
    }
}

/// The options of each URL to be listened on, those of its query left to the library.
pub(crate) fn listening(places: &[Place], flags: &[Flag]) -> Result<Vec<ListenOptions>, Failure> {
    check(places.iter().map(Place::url), flags, Role::Listen)?;
    places
        .iter()
        .map(Place::url)
        .map(|url| {
            refuse_idle_keys(url)?;
            let mut options = ListenOptions::default();
            for flag in applicable(flags, url, Role::Listen) {
                options.set(flag.key.name, &flag.value)?;
            }
            Ok(options)
        })
        .collect()
}

/// Programs at once, for each address, where no other limit is given, so that a flood of clients,
/// or of datagrams with forged senders, does not become one of processes.
const PROGRAMS: &str = "100";

/// Limits the number of programs, where no flag does.
pub(crate) fn limit_programs(places: &[Place], flags: &mut Vec<Flag>) {
    for (name, of_datagrams) in [("max_connections", false), ("max_peers", true)] {
        let applies = |place: &Place| place.url().transport().is_datagram() == of_datagrams;
        let is_given = flags.iter().any(|flag| flag.key.name == name);
        if !is_given && places.iter().any(applies) {
            let key = stream_socket::keys().iter().find(|key| key.name == name);
            flags.extend(key.map(|key| Flag {
                key,
                value: PROGRAMS.to_owned(),
            }));
        }
    }
}

/// The options of a URL to be connected to, those of its query left to the library.
pub(crate) fn connecting(url: &SocketUrl, flags: &[Flag]) -> Result<ConnectOptions, Failure> {
    check([url].into_iter(), flags, Role::Connect)?;
    let mut options = ConnectOptions::default();
    for flag in applicable(flags, url, Role::Connect) {
        set_connecting(&mut options, flag)?;
    }
    Ok(options)
}

/// Sets what a flag says. `--via @FILE` says what the first line of the file does: other users of
/// the machine see a command's arguments, and a proxy's password among them.
fn set_connecting(options: &mut ConnectOptions, flag: &Flag) -> Result<(), Failure> {
    let (name, value) = (flag.key.name, &*flag.value);
    let Some(path) = value.strip_prefix('@').filter(|_| name == "via") else {
        return Ok(options.set(name, value)?);
    };
    if path.is_empty() {
        return Err(Failure::Usage("--via @: no file is named".to_owned()));
    }
    let text = small_file::read(path.as_ref())?;
    match text.lines().next().map(str::trim_end) {
        None | Some("") => Err(Failure::Usage(format!(
            "--via @{path}: its first line is empty"
        ))),
        Some(line) => Ok(options.set(name, line)?),
    }
}

/// These options with those of the query laid over, as the library will see them.
pub(crate) fn merged_listening(
    url: &SocketUrl,
    options: &ListenOptions,
) -> Result<ListenOptions, Failure> {
    let mut merged = options.clone();
    for (name, value) in url.query() {
        merged.set(name, value)?;
    }
    Ok(merged)
}

/// These options with those of the query laid over, as the library will see them.
pub(crate) fn merged_connecting(
    url: &SocketUrl,
    options: &ConnectOptions,
) -> Result<ConnectOptions, Failure> {
    let mut merged = options.clone();
    for (name, value) in url.query() {
        if name == "via" && value.contains('@') {
            let url = url.without_query();
            let sentence =
                format!("{url} shows a proxy's name and password: give them by --via @FILE");
            return Err(Failure::Usage(sentence));
        }
        merged.set(name, value)?;
    }
    Ok(merged)
}

/// Weakens TLS of a connection as asked for; refused where there is none.
pub(crate) fn weaken(
    url: &SocketUrl,
    options: &mut ConnectOptions,
    danger: Danger,
) -> Result<(), Failure> {
    if let Some(flag) = danger.first().filter(|_| !url.transport().is_tls()) {
        let sentence = format!("--{flag} applies to TLS, and {url} is none");
        return Err(Failure::Usage(sentence));
    }
    danger.apply(&mut options.tls);
    Ok(())
}

fn applicable<'a>(
    flags: &'a [Flag],
    url: &SocketUrl,
    role: Role,
) -> impl Iterator<Item = &'a Flag> {
    let transport = url.transport();
    flags
        .iter()
        .filter(move |flag| applies(flag.key, transport, role))
}

/// A flag that would do nothing is refused.
fn check<'a>(
    urls: impl Iterator<Item = &'a SocketUrl> + Clone,
    flags: &[Flag],
    role: Role,
) -> Result<(), Failure> {
    let is_useless = |flag: &&Flag| {
        let mut urls = urls.clone();
        !urls.any(|url| applies(flag.key, url.transport(), role))
    };
    match flags.iter().find(is_useless) {
        Some(flag) => Err(Failure::Usage(useless(flag.key, role))),
        None => Ok(()),
    }
}

fn useless(key: &Key, role: Role) -> String {
    let flag = key.name.replace('_', "-");
    format!(
        "--{flag} applies to {}, and no URL given is such",
        transports_of(key, role)
    )
}

/// The transports that a key means something for, in a few words: what does for tcp and unix, does
/// for TLS and mptcp over them, and for inherited sockets that are such.
pub(crate) fn transports_of(key: &Key, role: Role) -> String {
    let applying = Transport::ALL
        .iter()
        .filter(|transport| applies(key, **transport, role) && !transport.is_inherited());
    let (carried, plain): (Vec<&Transport>, Vec<&Transport>) =
        applying.partition(|transport| transport.carrier() != **transport);
    if plain.is_empty() && !carried.is_empty() {
        return "TLS".to_owned();
    }
    let names: Vec<_> = plain.iter().map(|transport| transport.name()).collect();
    names.join(", ")
}

fn refuse_idle_keys(url: &SocketUrl) -> Result<(), Failure> {
    let is_idle = |name: &&str| {
        let key = stream_socket::keys().iter().find(|key| key.name == *name);
        key.is_some_and(|key| is_idle(key, url.transport()))
    };
    match url.query().map(|(name, _)| name).find(is_idle) {
        Some(name) => Err(Failure::Usage(format!(
            "cannot serve {url}: {name} is a limit for one connection, and {} has none",
            url.transport()
        ))),
        None => Ok(()),
    }
}
