//! Names to addresses, by getaddrinfo(3), under a deadline.
//!
//! getaddrinfo can't be given a time, and it alone honours nsswitch.conf. So where there is a
//! deadline a lookup runs on a helper thread, of which there is a bounded number, with all
//! signals blocked; when the deadline passes it is abandoned and ends by itself. Numeric
//! addresses and ports never start one, nor does a lookup without a deadline.

use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use dns_lookup::{AddrInfoHints, LookupErrorKind, getaddrinfo};
use nix::sys::signal::{SigSet, SigmaskHow};

use super::seam::{Call, call};
use super::{Errno, fork};
use crate::deadline::Deadline;
use crate::url::{Host, Port};

/// Lookups that may be under way at once, abandoned ones included.
const HELPERS: usize = 32;

/// Why a name gave no address.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The resolver's own words.
    Resolver(String),
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
    if let (Some(ip), Port::Number(number)) = (numeric(host)?, port) {
        return Ok(vec![with_port(ip, *number)]);
    }
    let query = Query::new(host, port, datagram);
    call(Call::Resolve, || Ok(())).map_err(Failure::System)?;
    match deadline.remaining() {
        None => query.run(),
        Some(_) => on_helper(query, deadline),
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
    .map_err(|_| Failure::Resolver(format!("there is no network interface {zone:?}")))
}

fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// What getaddrinfo is asked.
#[derive(Debug)]
struct Query {
    host: String,
    service: String,
    hints: AddrInfoHints,
    numeric: Option<SocketAddr>,
}

impl Query {
    fn new(host: &Host, port: &Port, datagram: bool) -> Self {
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

    fn run(&self) -> Result<Vec<SocketAddr>, Failure> {
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
            return Err(Failure::Resolver(format!("{} has no address", self.host)));
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
        Failure::Resolver(text)
    }
}

fn on_helper(query: Query, deadline: Deadline) -> Result<Vec<SocketAddr>, Failure> {
    let place = Place::wait(deadline).ok_or(Failure::TimedOut)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let work = move || {
        let _place = place;
        // Nobody listens any more when the deadline has passed.
        _ = sender.send(query.run());
    };
    spawn_without_signals(work).map_err(Failure::System)?;
    match receiver.recv_timeout(deadline.remaining().unwrap_or(Duration::MAX)) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => Err(Failure::TimedOut),
        Err(RecvTimeoutError::Disconnected) => Err(Failure::Resolver(
            "the lookup ended without an answer".to_owned(),
        )),
    }
}

/// Starts a thread that no signal is delivered to: handlers run where the program expects them.
fn spawn_without_signals(work: impl FnOnce() + Send + 'static) -> Result<(), Errno> {
    // A thread starts with its creator's mask, so the mask is set before it exists.
    let before = SigSet::all()
        .thread_swap_mask(SigmaskHow::SIG_SETMASK)
        .map_err(errno)?;
    let spawned = thread::Builder::new()
        .name("resolve".to_owned())
        .spawn(work);
    before.thread_set_mask().map_err(errno)?;
    spawned.map(drop).map_err(|_| Errno::AGAIN)
}

fn errno(errno: nix::errno::Errno) -> Errno {
    Errno::from_raw_os_error(errno as i32)
}

/// One of the places for lookups under way; given back when dropped.
struct Place {
    process: u32,
}

/// How many are taken, and in which process: a forked child has none of its parent's helpers.
struct Taken {
    process: u32,
    count: usize,
}

static TAKEN: Mutex<Taken> = Mutex::new(Taken {
    process: 0,
    count: 0,
});
static FREED: Condvar = Condvar::new();

impl Place {
    fn wait(deadline: Deadline) -> Option<Self> {
        let process = fork::generation();
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.process != process {
            *taken = Taken { process, count: 0 };
        }
        while taken.count >= HELPERS {
            let left = deadline.remaining()?;
            if left.is_zero() {
                return None;
            }
            taken = FREED
                .wait_timeout(taken, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        taken.count += 1;
        Some(Self { process })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.process == self.process {
            taken.count -= 1;
            FREED.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
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
            matches!(&failure, Failure::Resolver(text) if text.contains("no9")),
            "{failure:?}"
        );
        let here = Host::V4([127, 0, 0, 1].into());
        let service = Port::Service("no-such-service".to_owned());
        let failure = resolve(&here, &service, false, after(10_000)).unwrap_err();
        assert!(matches!(&failure, Failure::Resolver(text) if text.contains("no-such-service")));
    }

    #[test]
    fn when_all_places_are_taken_a_lookup_ends_by_its_deadline() {
        let places: Vec<_> = (0..HELPERS)
            .map_while(|_| Place::wait(after(10_000)))
            .collect();
        assert_eq!(places.len(), HELPERS);
        let host = Host::Name("localhost".to_owned());
        let result = resolve(&host, &Port::Number(1), false, after(20));
        assert!(matches!(result, Err(Failure::TimedOut)));
    }
}
