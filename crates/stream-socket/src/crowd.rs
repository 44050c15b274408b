//! Those whose TLS handshakes are under way, and who has to go when there are too many.
//!
//! An honest handshake takes a few round trips, so whoever has been at it for longest is the least
//! likely to finish; and who has not even said what it wants, less than who has.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};

use crate::address::SocketAddress;

/// Handshakes that may be under way.
const MOST: usize = 1024;

/// And of them from one address: a quarter, so that it takes several to crowd out the others.
const MOST_PER_ADDRESS: usize = MOST / 4;

/// Members by their age.
#[derive(Debug)]
pub(crate) struct Crowd<T> {
    members: BTreeMap<u64, Member<T>>,
    per_address: HashMap<IpAddr, usize>,
    next: u64,
}

/// One whose handshake is under way.
#[derive(Debug)]
pub(crate) struct Member<T> {
    address: Option<IpAddr>,
    /// Whether its ClientHello has come as a whole.
    pub(crate) has_begun: bool,
    pub(crate) content: T,
}

impl<T> Crowd<T> {
    /// Nobody yet; the members will have numbers from `first` on.
    pub(crate) fn numbered_from(first: u64) -> Self {
        Self {
            members: BTreeMap::new(),
            per_address: HashMap::new(),
            next: first,
        }
    }

    /// Adds one; its number.
    pub(crate) fn insert(
        &mut self,
        peer: Option<&SocketAddress>,
        has_begun: bool,
        content: T,
    ) -> u64 {
        let (number, address) = (self.next, canonical(peer));
        self.next += 1;
        self.count(address);
        let member = Member {
            address,
            has_begun,
            content,
        };
        self.members.insert(number, member);
        number
    }

    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Member<T>> {
        self.members.get_mut(&number)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Member<T>)> {
        self.members
            .iter()
            .map(|(number, member)| (*number, member))
    }

    pub(crate) fn remove(&mut self, number: u64) -> Option<T> {
        let member = self.members.remove(&number)?;
        self.discount(member.address);
        Some(member.content)
    }

    /// Counts one for the peer that it turned out to be, as the header of a proxy tells; who has
    /// to go for that, if anybody has.
    pub(crate) fn recognize(&mut self, number: u64, peer: Option<&SocketAddress>) -> Option<u64> {
        let address = canonical(peer);
        if self.members.get(&number)?.address == address {
            return None;
        }
        let excess = self.excess_of(address);
        let member = self.members.get_mut(&number)?;
        let before = std::mem::replace(&mut member.address, address);
        self.discount(before);
        self.count(address);
        excess
    }

    fn count(&mut self, address: Option<IpAddr>) {
        if let Some(address) = address {
            *self.per_address.entry(address).or_default() += 1;
        }
    }

    fn discount(&mut self, address: Option<IpAddr>) {
        if let Some(address) = address
            && let Some(count) = self.per_address.get_mut(&address)
        {
            *count -= 1;
            if *count == 0 {
                self.per_address.remove(&address);
            }
        }
    }

    /// Who has to go before one more can come from that peer, if anybody has.
    pub(crate) fn excess(&self, peer: Option<&SocketAddress>) -> Option<u64> {
        let is_full = || self.members.len() >= MOST;
        self.excess_of(canonical(peer))
            .or_else(|| is_full().then(|| self.last_likely(|_| true))?)
    }

    /// The same, as far as that address alone goes.
    fn excess_of(&self, address: Option<IpAddr>) -> Option<u64> {
        let count = self.per_address.get(&address?)?;
        let is_full = *count >= MOST_PER_ADDRESS;
        is_full.then(|| self.last_likely(|member| member.address == address))?
    }

    /// The oldest that has not begun, or else the oldest.
    fn last_likely(&self, is_meant: impl Fn(&Member<T>) -> bool) -> Option<u64> {
        let meant = || self.iter().filter(|(_, member)| is_meant(member));
        let silent = meant().find(|(_, member)| !member.has_begun);
        silent.or_else(|| meant().next()).map(|(number, _)| number)
    }

    /// The oldest that has not begun.
    pub(crate) fn oldest_silent(&self) -> Option<u64> {
        let mut silent = self.iter().filter(|(_, member)| !member.has_begun);
        silent.next().map(|(number, _)| number)
    }
}

/// What counts as one address: of IPv6 the network of 64 bits, all of whose addresses a single host
/// may have (RFC 4291 section 2.5.1).
fn canonical(peer: Option<&SocketAddress>) -> Option<IpAddr> {
    Some(match peer?.ip()?.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        v4 => v4,
    })
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn from(address: &str) -> SocketAddress {
        SocketAddress::Inet(SocketAddr::new(address.parse().unwrap(), 1))
    }

    #[test]
    fn the_oldest_silent_one_goes_first_and_then_the_oldest() {
        let (mut crowd, peer) = (Crowd::numbered_from(0), from("192.0.2.1"));
        for number in 0..MOST_PER_ADDRESS as u64 {
            assert_eq!(crowd.excess(Some(&peer)), None);
            crowd.insert(Some(&peer), number != 7, ());
        }
        assert_eq!(crowd.excess(Some(&from("192.0.2.2"))), None);
        let mapped = from("::ffff:192.0.2.1");
        for expected in [7, 0, 1] {
            assert_eq!(crowd.excess(Some(&mapped)), Some(expected));
            crowd.remove(expected);
            crowd.insert(Some(&peer), true, ());
        }
    }

    #[test]
    fn a_host_of_ipv6_has_no_more_for_its_many_addresses() {
        let mut crowd = Crowd::numbered_from(0);
        for number in 0..MOST_PER_ADDRESS {
            let peer = from(&format!("2001:db8::{number:x}:1"));
            assert_eq!(crowd.excess(Some(&peer)), None);
            crowd.insert(Some(&peer), false, ());
        }
        assert_eq!(crowd.excess(Some(&from("2001:db8::2:1:0:0"))), Some(0));
        assert_eq!(crowd.excess(Some(&from("2001:db8:0:1::1"))), None);
    }

    #[test]
    fn who_turns_out_to_be_another_counts_for_him() {
        let (mut crowd, client) = (Crowd::numbered_from(0), from("192.0.2.1"));
        // Of those whom a proxy has not told of yet, any number come from one address.
        for number in 0..=MOST_PER_ADDRESS as u64 {
            assert_eq!(crowd.excess(None), None);
            crowd.insert(None, false, ());
            let excess = crowd.recognize(number, Some(&client));
            assert_eq!(excess, (number == MOST_PER_ADDRESS as u64).then_some(0));
            assert_eq!(crowd.recognize(number, Some(&client)), None);
        }
        crowd.recognize(5, Some(&from("192.0.2.2")));
        crowd.remove(0);
        assert_eq!(crowd.excess(Some(&client)), None);
    }

    #[test]
    fn all_addresses_together_have_a_limit() {
        let mut crowd = Crowd::numbered_from(16);
        for number in 0..MOST {
            let peer = from(&format!("10.0.{}.{}", number / 200, number % 200));
            assert_eq!(crowd.excess(Some(&peer)), None);
            crowd.insert(Some(&peer), true, number);
        }
        crowd.get_mut(20).unwrap().has_begun = false;
        assert_eq!(crowd.oldest_silent(), Some(20));
        assert_eq!(crowd.excess(None), Some(20));
        assert_eq!(crowd.remove(20), Some(4));
        assert_eq!(crowd.excess(None), None);
    }
}
