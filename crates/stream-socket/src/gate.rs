//! How many connections a listener may have at once, in all and from one address.
//!
//! A place is taken before a connection is accepted, so that what does not fit stays in the
//! backlog. The stream holds it and gives it back when dropped, in whatever thread that is.
//!
//! Where a handshake comes first, the place is only looked for before, and taken at its end: or
//! clients that never finish theirs would have all places.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::options::ListenOptions;
use crate::sys::epoll::Bell;
use crate::sys::{Errno, fork};

/// The places of one listener.
#[derive(Debug)]
pub(crate) struct Gate {
    places: AtomicU32,
    places_per_ip: AtomicU32,
    /// Whether those who find no place are closed instead of left in the backlog.
    closes: bool,
    taken: AtomicU32,
    taken_per_ip: Mutex<HashMap<IpAddr, u32>>,
    /// How many wait for a place.
    waiting: AtomicU32,
    /// Rings when a place is given back while somebody waits. Each process has its own: a child
    /// that heard its parent's would silence it.
    bell: Mutex<(u32, Arc<Bell>)>,
}

/// A place among the connections that a listener may have at once; given back when dropped.
///
/// A stream holds its own. [`Stream::take_place`](crate::Stream::take_place) takes it out, for the
/// time that somebody else serves the connection.
#[derive(Debug)]
pub struct Place {
    gate: Arc<Gate>,
    ip: Option<IpAddr>,
    /// Not while a handshake is to be finished first.
    is_taken: bool,
}

impl Gate {
    /// The gate that the options ask for, if they set a limit.
    pub(crate) fn new(options: &ListenOptions) -> Result<Option<Arc<Self>>, Errno> {
        if options.max_connections.is_none() && options.max_connections_per_ip.is_none() {
            return Ok(None);
        }
        Ok(Some(Arc::new(Self {
            places: AtomicU32::new(options.max_connections.unwrap_or(u32::MAX)),
            places_per_ip: AtomicU32::new(options.max_connections_per_ip.unwrap_or(u32::MAX)),
            closes: options.close_when_full == Some(true),
            taken: AtomicU32::new(0),
            taken_per_ip: Mutex::default(),
            waiting: AtomicU32::new(0),
            bell: Mutex::new((fork::generation(), Arc::new(Bell::new()?))),
        })))
    }

    /// Sets other limits. Who has a place keeps it; who waits for one learns of more.
    pub(crate) fn set_limits(&self, options: &ListenOptions) {
        let (all, per_ip) = (options.max_connections, options.max_connections_per_ip);
        let limit = |number: Option<u32>| number.unwrap_or(u32::MAX);
        self.places_per_ip.store(limit(per_ip), Ordering::SeqCst);
        self.places.store(limit(all), Ordering::SeqCst);
        if self.has_room() {
            self.ring();
        }
    }

    fn places(&self) -> u32 {
        self.places.load(Ordering::SeqCst)
    }

    /// A place, if one is free.
    pub(crate) fn enter(self: &Arc<Self>) -> Option<Place> {
        let add = |taken: u32| (taken < self.places()).then_some(taken + 1);
        self.taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, add)
            .ok()?;
        if self.has_room() {
            // Of several that wait, one bell wakes perhaps only one.
            self.ring();
        }
        Some(Place {
            gate: Arc::clone(self),
            ip: None,
            is_taken: true,
        })
    }

    /// A place to be taken later, if one is free now.
    pub(crate) fn look(self: &Arc<Self>) -> Option<Place> {
        self.has_room().then(|| Place {
            gate: Arc::clone(self),
            ip: None,
            is_taken: false,
        })
    }

    /// Whether those who find no place are closed instead of left in the backlog.
    pub(crate) fn closes(&self) -> bool {
        self.closes
    }

    /// Waits for room, until what is returned is dropped. Room that came just before rings at once.
    pub(crate) fn await_room(self: &Arc<Self>) -> Waiting {
        let bell = self.bell();
        self.waiting.fetch_add(1, Ordering::SeqCst);
        if self.has_room() {
            bell.ring();
        }
        let gate = Arc::clone(self);
        Waiting { gate, bell }
    }

    fn bell(&self) -> Arc<Bell> {
        let mut bell = self.bell.lock().unwrap_or_else(PoisonError::into_inner);
        let generation = fork::generation();
        if bell.0 != generation
            && let Ok(new) = Bell::new()
        {
            *bell = (generation, Arc::new(new));
        }
        Arc::clone(&bell.1)
    }

    /// Whether a place is free.
    pub(crate) fn has_room(&self) -> bool {
        self.taken.load(Ordering::SeqCst) < self.places()
    }

    fn ring(&self) {
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.bell().ring();
        }
    }

    fn per_ip<T>(&self, with: impl FnOnce(&mut HashMap<IpAddr, u32>) -> T) -> T {
        with(
            &mut self
                .taken_per_ip
                .lock()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

/// Somebody who waits for a place.
#[derive(Debug)]
pub(crate) struct Waiting {
    gate: Arc<Gate>,
    bell: Arc<Bell>,
}

impl Waiting {
    /// Rings when there is room, or has been.
    pub(crate) fn bell(&self) -> &Bell {
        &self.bell
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.gate.waiting.fetch_sub(1, Ordering::SeqCst);
        // In a forked child it may be the parent's, who waits for it still.
        if Arc::ptr_eq(&self.bell, &self.gate.bell()) {
            self.bell.silence();
        }
        // It may have rung for another who waits still.
        if self.gate.has_room() {
            self.gate.ring();
        }
    }
}

impl Place {
    /// Takes it, if it is not yet; false while none is free.
    pub(crate) fn take(&mut self) -> bool {
        if !self.is_taken
            && let Some(mut taken) = self.gate.enter()
        {
            // From here on this one counts.
            taken.is_taken = false;
            self.is_taken = true;
        }
        self.is_taken
    }

    /// Counts the place for an address; whether that address may have one more.
    pub(crate) fn admit(&mut self, ip: Option<IpAddr>) -> bool {
        let limit = self.gate.places_per_ip.load(Ordering::SeqCst);
        let Some(ip) = ip.filter(|_| limit < u32::MAX).map(|ip| ip.to_canonical()) else {
            return true;
        };
        let admitted = self.gate.per_ip(|taken| {
            let count = taken.entry(ip).or_default();
            let admitted = *count < limit;
            *count += u32::from(admitted);
            admitted
        });
        self.ip = admitted.then_some(ip);
        admitted
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(ip) = self.ip {
            self.gate.per_ip(|taken| {
                if let Some(count) = taken.get_mut(&ip) {
                    *count -= 1;
                    if *count == 0 {
                        taken.remove(&ip);
                    }
                }
            });
        }
        if self.is_taken {
            self.gate.taken.fetch_sub(1, Ordering::SeqCst);
            self.gate.ring();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::deadline::Deadline;
    use crate::sys::wait::{Events, poll_one};

    fn gate(places: Option<u32>, per_ip: Option<u32>) -> Arc<Gate> {
        let options = ListenOptions {
            max_connections: places,
            max_connections_per_ip: per_ip,
            ..ListenOptions::default()
        };
        Gate::new(&options).unwrap().unwrap()
    }

    #[test]
    fn places_are_taken_and_given_back() {
        let gate = gate(Some(2), None);
        let (first, second) = (gate.enter(), gate.enter());
        assert!(first.is_some() && second.is_some() && gate.enter().is_none());
        drop(first);
        assert!(gate.enter().is_some());
    }

    #[test]
    fn other_limits_count_for_those_who_come_and_wake_those_who_wait() {
        let gate = gate(Some(2), None);
        let limited = |number| ListenOptions {
            max_connections: number,
            ..ListenOptions::default()
        };
        let places = [gate.enter().unwrap(), gate.enter().unwrap()];
        gate.set_limits(&limited(Some(1)));
        drop(places);
        let place = gate.enter().unwrap();
        let waiting = gate.await_room();
        let now = Deadline::after(Some(Duration::ZERO));
        assert!(gate.enter().is_none() && !poll_one(waiting.bell(), Events::READ, now).unwrap());
        gate.set_limits(&limited(None));
        assert!(poll_one(waiting.bell(), Events::READ, now).unwrap());
        assert!(gate.enter().is_some());
        drop(place);
    }

    #[test]
    fn a_place_that_was_looked_for_counts_once_it_is_taken() {
        let gate = gate(Some(1), None);
        let (mut first, mut second) = (gate.look().unwrap(), gate.look().unwrap());
        assert!(first.take() && first.take() && !second.take());
        assert!(gate.look().is_none());
        drop(first);
        assert!(second.take());
        drop(second);
        drop(gate.look());
        assert_eq!(gate.taken.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn who_gives_up_waiting_leaves_the_bell_to_those_who_wait_still() {
        let gate = gate(Some(1), None);
        let place = gate.enter().unwrap();
        let (patient, impatient) = (gate.await_room(), gate.await_room());
        drop(place);
        drop(impatient);
        let now = Deadline::after(Some(Duration::ZERO));
        assert!(poll_one(patient.bell(), Events::READ, now).unwrap());
        drop(patient);
        assert_eq!(gate.waiting.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn an_address_has_its_own_limit_in_whichever_form_it_comes() {
        let gate = gate(None, Some(1));
        let (v4, mapped) = (
            "1.2.3.4".parse().unwrap(),
            "::ffff:1.2.3.4".parse().unwrap(),
        );
        let mut first = gate.enter().unwrap();
        assert!(first.admit(Some(v4)));
        assert!(!gate.enter().unwrap().admit(Some(mapped)));
        assert!(
            gate.enter()
                .unwrap()
                .admit(Some("1.2.3.5".parse().unwrap()))
        );
        assert!(gate.enter().unwrap().admit(None));
        drop(first);
        assert!(gate.enter().unwrap().admit(Some(mapped)));
    }
}
