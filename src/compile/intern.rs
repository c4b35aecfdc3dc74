//! Equal values once: ten thousand plain Ingresses share one policy.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

type Hasher = foldhash::fast::RandomState;

#[derive(Debug)]
pub struct Interner<T: ?Sized> {
    known: HashMap<Arc<T>, (), Hasher>,
}

impl<T: ?Sized> Default for Interner<T> {
    fn default() -> Self {
        Self { known: HashMap::default() }
    }
}

impl<T: Hash + Eq> Interner<T> {
    pub fn intern(&mut self, value: T) -> Arc<T> {
        if let Some((known, ())) = self.known.get_key_value(&value) {
            return Arc::clone(known);
        }
        let value = Arc::new(value);
        self.known.insert(Arc::clone(&value), ());
        value
    }
}

impl Interner<str> {
    pub fn text(&mut self, value: &str) -> Arc<str> {
        if let Some((known, ())) = self.known.get_key_value(value) {
            return Arc::clone(known);
        }
        let value: Arc<str> = Arc::from(value);
        self.known.insert(Arc::clone(&value), ());
        value
    }
}

/// A list in which equal values have one index.
#[derive(Debug)]
pub struct Indexed<T> {
    list: Vec<T>,
    index: HashMap<T, u32, Hasher>,
}

impl<T> Default for Indexed<T> {
    fn default() -> Self {
        Self { list: Vec::new(), index: HashMap::default() }
    }
}

impl<T: Hash + Eq + Clone> Indexed<T> {
    pub fn index(&mut self, value: T) -> u32 {
        if let Some(&index) = self.index.get(&value) {
            return index;
        }
        let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(value.clone());
        self.index.insert(value, index);
        index
    }

    pub fn into_list(self) -> Vec<T> {
        self.list
    }
}
