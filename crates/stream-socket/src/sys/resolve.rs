//! Names to addresses, by getaddrinfo(3), under a deadline.
//!
//! getaddrinfo can't be given a time, and it alone honours nsswitch.conf. So where there is a
//! deadline it runs beside ([`Lookup`]), and is given up when that passes. Numeric addresses and
//! ports never start a thread, nor does a lookup without a deadline.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};

use dns_lookup::{AddrInfoHints, LookupErrorKind, getaddrinfo};

use super::Errno;
use super::lookup::Lookup;
use super::seam::{Call, call};
use super::wait::{Events, poll_one};
use crate::deadline::Deadline;
use crate::url::{Host, Port};

/// Why a name gave no address.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What the resolver said, and getaddrinfo's number for it, if it was that one.
    Resolver(String, Option<i32>),
    /// A system call failed beneath it.
    System(Errno),
    /// The deadline passed.
    TimedOut,
}

/// The addresses of `host` and `port`, best first as RFC 6724 orders them.
pub(crate) fn resolve(
    host: &Host,
    port: &Port,
    datagram: bool,
    deadline: Deadline,
) -> Result<Vec<SocketAddr>, Failure> {
    if let Some(address) = spelled_out(host, port)? {
        return Ok(vec![address]);
    }
    let query = Query::new(host, port, datagram);
    call(Call::Resolve, || Ok(())).map_err(Failure::System)?;
    match deadline.remaining() {
        None => query.run(),
        Some(_) => wait(Lookup::of(query).map_err(Failure::System)?, deadline),
    }
}

/// The same, beside.
pub(crate) fn begin(host: &Host, port: &Port, datagram: bool) -> Result<Lookup, Failure> {
    if let Some(address) = spelled_out(host, port)? {
        return Lookup::done(vec![address]).map_err(Failure::System);
    }
    call(Call::Resolve, || Ok(())).map_err(Failure::System)?;
    Lookup::of(Query::new(host, port, datagram)).map_err(Failure::System)
}

pub(super) fn wait(lookup: Lookup, deadline: Deadline) -> Result<Vec<SocketAddr>, Failure> {
    loop {
        if let Some(answer) = lookup.answer() {
            return answer;
        }
        match poll_one(&lookup, Events::READ, deadline) {
            Ok(false) => return Err(Failure::TimedOut),
            Ok(true) | Err(Errno::INTR) => {}
            Err(errno) => return Err(Failure::System(errno)),
        }
    }
}

/// The address, where there is nothing to look up.
fn spelled_out(host: &Host, port: &Port) -> Result<Option<SocketAddr>, Failure> {
    match (numeric(host)?, port) {
        (Some(ip), Port::Number(number)) => Ok(Some(with_port(ip, *number))),
        _ => Ok(None),
    }
}

/// The address that the host spells out, if it does; its port is 0.
fn numeric(host: &Host) -> Result<Option<SocketAddr>, Failure> {
    let address: SocketAddr = match host {
        Host::V4(ip) => (IpAddr::V4(*ip), 0).into(),
        Host::V6 {
            address,
            zone: None,
        } => (IpAddr::V6(*address), 0).into(),
        Host::V6 {
            address,
            zone: Some(zone),
        } => SocketAddrV6::new(*address, 0, 0, interface(zone)?).into(),
        _ => return Ok(None),
    };
    Ok(Some(address))
}

/// The number of an interface, RFC 4007 section 11.2: its name, or the number itself.
fn interface(zone: &str) -> Result<u32, Failure> {
    if let Ok(index) = zone.parse() {
        return Ok(index);
    }
    let socket = super::socket::open(super::socket::Family::V6, true).map_err(Failure::System)?;
    call(Call::Option, || {
        rustix::net::netdevice::name_to_index(socket, zone)
    })
    .map_err(|_| Failure::Resolver(format!("there is no network interface {zone:?}"), None))
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// What getaddrinfo is asked.
#[derive(Debug)]
pub(super) struct Query {
    host: String,
    service: String,
    hints: AddrInfoHints,
    numeric: Option<SocketAddr>,
}

impl Query {
    pub(super) fn new(host: &Host, port: &Port, datagram: bool) -> Self {
        let kind = if datagram {
            libc::SOCK_DGRAM
        } else {
            libc::SOCK_STREAM
        };
        Self {
            host: match host {
                Host::Name(name) => name.clone(),
                Host::V4(ip) => ip.to_string(),
                Host::V6 { address, .. } => address.to_string(),
            },
            service: match port {
                Port::Number(number) => number.to_string(),
                Port::Service(name) => name.clone(),
            },
            hints: AddrInfoHints {
                socktype: kind,
                ..AddrInfoHints::default()
            },
            numeric: numeric(host).ok().flatten(),
        }
    }

    /// Asks, and waits for as long as it takes.
    pub(super) fn run(&self) -> Result<Vec<SocketAddr>, Failure> {
        let found = getaddrinfo(Some(&self.host), Some(&self.service), Some(self.hints))
            .map_err(|error| self.failure(error.kind(), &error))?;
        let mut addresses = Vec::new();
        for entry in found.flatten() {
            // A numeric address keeps its zone, which was taken off before asking.
            let address = self
                .numeric
                .map_or(entry.sockaddr, |ip| with_port(ip, entry.sockaddr.port()));
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            let words = format!("{} has no address", self.host);
            return Err(Failure::Resolver(words, None));
        }
        Ok(addresses)
    }

    fn failure(&self, kind: LookupErrorKind, error: &dns_lookup::LookupError) -> Failure {
        let text = match kind {
            LookupErrorKind::Service => format!("there is no service {:?}", self.service),
            LookupErrorKind::NoName | LookupErrorKind::NoData => {
                format!("the name {} is not known", self.host)
            }
            LookupErrorKind::Again => {
                format!("no name server answered for {}", self.host)
            }
            _ => format!("looking up {} failed: {error}", self.host),
        };
        // What never came to be asked has none.
        let number = error.error_num();
        Failure::Resolver(text, (number != 0).then_some(number))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn after(milliseconds: u64) -> Deadline {
        Deadline::after(Some(Duration::from_millis(milliseconds)))
    }

    #[test]
    fn numeric_addresses_resolve_even_when_no_time_is_left() {
        let host = Host::V4([127, 0, 0, 1].into());
        let found = resolve(&host, &Port::Number(80), false, after(0)).unwrap();
        assert_eq!(found, ["127.0.0.1:80".parse().unwrap()]);
    }

    #[test]
    fn names_and_services_are_looked_up_with_and_without_a_deadline() {
        for deadline in [Deadline::NEVER, after(10_000)] {
            let host = Host::Name("localhost".to_owned());
            let found = resolve(&host, &Port::Service("http".to_owned()), false, deadline);
            assert!(found.unwrap().iter().all(|address| address.port() == 80));
        }
    }

    #[test]
    fn a_zone_survives_the_lookup_of_a_service() {
        let host = Host::V6 {
            address: "fe80::1".parse().unwrap(),
            zone: Some("lo".to_owned()),
        };
        let found = resolve(
            &host,
            &Port::Service("http".to_owned()),
            false,
            after(10_000),
        );
        assert_eq!(found.unwrap(), ["[fe80::1%1]:80".parse().unwrap()]);
    }

    #[test]
    fn unknown_services_and_interfaces_are_named() {
        let nowhere = Host::V6 {
            address: "fe80::1".parse().unwrap(),
            zone: Some("no9".into()),
        };
        let failure = resolve(&nowhere, &Port::Number(1), false, after(10_000)).unwrap_err();
        assert!(
            matches!(&failure, Failure::Resolver(text, None) if text.contains("no9")),
            "{failure:?}"
        );
        let here = Host::V4([127, 0, 0, 1].into());
        let service = Port::Service("no-such-service".to_owned());
        let failure = resolve(&here, &service, false, after(10_000)).unwrap_err();
        let Failure::Resolver(text, number) = failure else {
            panic!("{failure:?}");
        };
        assert!(text.contains("no-such-service"), "{text}");
        assert_eq!(number, Some(libc::EAI_SERVICE));
    }
}
