//! Contexts found again by their content, so that none is made twice.

use std::sync::{Arc, Mutex, PoisonError};

/// As many as are kept. Programs have a handful; what is more is one that makes up new ones.
const KEPT: usize = 32;

/// Values by what they were made of; the one that was not used for longest goes first.
pub(super) struct Cache<K, V>(Mutex<Vec<(K, Arc<V>)>>);

impl<K: PartialEq, V> Cache<K, V> {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    /// The value of `key`, made if it is not there.
    pub(super) fn get<E>(&self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<Arc<V>, E> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = entries.iter().position(|(other, _)| *other == key) {
            let entry = entries.remove(at);
            let value = Arc::clone(&entry.1);
            entries.push(entry);
            return Ok(value);
        }
        let value = Arc::new(make()?);
        if entries.len() == KEPT {
            entries.remove(0);
        }
        entries.push((key, Arc::clone(&value)));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let (cache, mut made) = (Cache::<usize, usize>::new(), Vec::new());
        for key in (0..KEPT).chain([0, KEPT, 0, 1]) {
            let value = cache.get(key, || {
                made.push(key);
                Ok::<_, ()>(key)
            });
            assert_eq!(*value.unwrap(), key);
        }
        let expected: Vec<usize> = (0..=KEPT).chain([1]).collect();
        assert_eq!(made, expected);
    }
}
