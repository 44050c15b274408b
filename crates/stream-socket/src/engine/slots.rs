//! Places for tasks, used again and again.

/// The place of a task, and which of its tenants it was: a place that is used again has another
/// generation, so that an event meant for the last tenant finds nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Token {
    pub(super) index: u32,
    pub(super) generation: u32,
}

/// In the index of a token, that it is of the tenant's second descriptor.
const SECOND: u32 = 1 << 29;

impl Token {
    /// By which events of its second descriptor are known.
    pub(super) fn of_second(self) -> Self {
        Self {
            index: self.index | SECOND,
            ..self
        }
    }

    /// The same token without the mark of a second descriptor, and whether it had it.
    pub(super) fn unmarked(self) -> (Self, bool) {
        let index = self.index & !SECOND;
        (Self { index, ..self }, index != self.index)
    }

    pub(super) fn to_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    pub(super) fn from_u64(token: u64) -> Self {
        Self {
            index: token as u32,
            generation: (token >> 32) as u32,
        }
    }
}

/// A growing set of places.
#[derive(Debug)]
pub(super) struct Slots<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
}

#[derive(Debug)]
struct Place<T> {
    generation: u32,
    tenant: Option<T>,
}

impl<T> Slots<T> {
    pub(super) fn new() -> Self {
        Self {
            places: Vec::new(),
            free: Vec::new(),
        }
    }

    pub(super) fn insert(&mut self, tenant: impl FnOnce(Token) -> T) -> Token {
        let index = self.free.pop().unwrap_or(self.places.len() as u32);
        if index as usize == self.places.len() {
            self.places.push(Place {
                generation: 0,
                tenant: None,
            });
        }
        let place = &mut self.places[index as usize];
        let token = Token {
            index,
            generation: place.generation,
        };
        place.tenant = Some(tenant(token));
        token
    }

    pub(super) fn get(&self, token: Token) -> Option<&T> {
        let place = self.places.get(token.index as usize)?;
        place
            .tenant
            .as_ref()
            .filter(|_| place.generation == token.generation)
    }

    pub(super) fn get_mut(&mut self, token: Token) -> Option<&mut T> {
        let place = self.places.get_mut(token.index as usize)?;
        place
            .tenant
            .as_mut()
            .filter(|_| place.generation == token.generation)
    }

    pub(super) fn remove(&mut self, token: Token) -> Option<T> {
        let place = self.places.get_mut(token.index as usize)?;
        if place.generation != token.generation {
            return None;
        }
        let tenant = place.tenant.take()?;
        place.generation = place.generation.wrapping_add(1);
        self.free.push(token.index);
        Some(tenant)
    }

    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    pub(super) fn tokens(&self) -> impl Iterator<Item = Token> {
        let taken = |(index, place): (usize, &Place<T>)| {
            let token = Token {
                index: index as u32,
                generation: place.generation,
            };
            place.tenant.is_some().then_some(token)
        };
        self.places.iter().enumerate().filter_map(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_used_again_does_not_answer_to_its_last_tenant() {
        let mut slots = Slots::new();
        let first = slots.insert(|_| 'a');
        assert_eq!(slots.remove(first), Some('a'));
        let second = slots.insert(|_| 'b');
        assert_eq!(second.index, first.index);
        assert_eq!(slots.get_mut(first), None);
        assert_eq!(slots.remove(first), None);
        assert_eq!(slots.get_mut(second), Some(&mut 'b'));
        assert_eq!(slots.len(), 1);
    }

    #[test]
    fn tokens_survive_the_way_through_the_kernel() {
        let token = Token {
            index: 7,
            generation: u32::MAX,
        };
        assert_eq!(Token::from_u64(token.to_u64()), token);
        let second = Token::from_u64(token.of_second().to_u64());
        assert_eq!(second.unmarked(), (token, true));
        assert_eq!(token.unmarked(), (token, false));
    }
}
