//! What providers keep in memory between steps, because it is dear to make again: clients, sessions, logins. Nothing of
//! it is missed after a restart.

use super::IssuerError;
use crate::outbound::{Clients, Exchange};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};

/// Sets of trusted roots with a client of their own.
const CLIENTS: usize = 256;

/// Values by all that they depend on. When it is full it starts with an empty memory again.
pub(super) struct Cache<K, V> {
    most: usize,
    values: Mutex<HashMap<K, V>>,
}

impl<K: Eq + Hash, V: Clone> Cache<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, values: Mutex::default() }
    }

    /// The value of a key; made where it is not there.
    ///
    /// # Errors
    /// What `make` says; nothing is kept then.
    pub(super) fn get_or_make<E>(&self, key: K, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(value) = values.get(&key) {
            return Ok(value.clone());
        }
        let made = make()?;
        if values.len() >= self.most {
            values.clear();
        }
        values.insert(key, made.clone());
        Ok(made)
    }
}

/// Clients by the roots (PEM) that they trust beside the system's.
pub(super) struct ClientCache(Cache<Option<String>, Arc<dyn Exchange>>);

impl Default for ClientCache {
    fn default() -> Self {
        Self(Cache::new(CLIENTS))
    }
}

impl ClientCache {
    /// # Errors
    /// Roots that cannot be read.
    pub(super) fn client(&self, clients: &dyn Clients, roots: Option<&str>) -> Result<Arc<dyn Exchange>, IssuerError> {
        let make = || clients.client(roots).map_err(|error| IssuerError::Misconfigured { source: error.into() });
        self.0.get_or_make(roots.map(str::to_owned), make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_made_once_and_the_memory_has_a_bound() {
        let cache = Cache::new(2);
        let get = |key: u8, value: u8| cache.get_or_make(key, || Ok::<_, ()>(value)).unwrap();
        assert_eq!([get(1, 10), get(1, 11), get(2, 20)], [10, 10, 20]);
        assert_eq!(get(3, 30), 30, "full: what was there is forgotten");
        assert_eq!([get(3, 31), get(1, 12)], [30, 12]);
    }

    #[test]
    fn what_could_not_be_made_is_tried_again() {
        let cache = Cache::<u8, u8>::new(2);
        assert_eq!(cache.get_or_make(1, || Err("no")), Err("no"));
        assert_eq!(cache.get_or_make(1, || Ok::<_, ()>(10)), Ok(10));
    }
}
