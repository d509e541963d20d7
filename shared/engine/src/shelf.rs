//! A bounded memory of a process: what lay unused the longest makes room for what is new, never everything at once.

use std::{borrow::Borrow, collections::HashMap, hash::Hash, sync::Arc};

/// Places by key, at most so many and together of at most so many bytes. A place in use has another holder of its [`Arc`] and stays, so that
/// nobody begins the same work beside it.
#[derive(Debug)]
pub(crate) struct Shelf<K, V> {
    most: usize,
    most_bytes: usize,
    bytes: usize,
    clock: u64,
    places: HashMap<K, Place<V>>,
}

#[derive(Debug)]
struct Place<V> {
    used: u64,
    bytes: usize,
    value: Arc<V>,
}

impl<K: Eq + Hash, V: Default> Shelf<K, V> {
    /// With nothing on it. What is put on it without [`Shelf::weigh`] has no bytes.
    pub(crate) fn new(most: usize, most_bytes: usize) -> Self {
        Self { most, most_bytes, bytes: 0, clock: 0, places: HashMap::new() }
    }

    /// The place of a key, an empty one if it is new. With every place in use, one that is not remembered.
    pub(crate) fn place(&mut self, key: K) -> Arc<V> {
        self.clock += 1;
        if let Some(place) = self.places.get_mut(&key) {
            place.used = self.clock;
            return Arc::clone(&place.value);
        }
        // Some more than the one that is needed, so that not every new key has to look through all.
        self.make_room(self.most - self.most / 8 - 1, self.most, self.most_bytes);
        let value = Arc::<V>::default();
        if self.places.len() < self.most {
            self.places.insert(key, Place { used: self.clock, bytes: 0, value: Arc::clone(&value) });
        }
        value
    }

    /// Says how large what lies at a key has become.
    pub(crate) fn weigh<Q: Eq + Hash + ?Sized>(&mut self, key: &Q, bytes: usize)
    where
        K: Borrow<Q>,
    {
        let Some(place) = self.places.get_mut(key) else { return };
        self.bytes = self.bytes - place.bytes + bytes;
        place.bytes = bytes;
        self.make_room(self.most, self.most + 1, self.most_bytes);
    }

    /// All values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &Arc<V>> {
        self.places.values().map(|place| &place.value)
    }

    /// With `full` places or more than `bytes`, drops what lay unused the longest until `places` are left and an eighth of the bytes is free.
    fn make_room(&mut self, places: usize, full: usize, bytes: usize) {
        if self.places.len() < full && self.bytes <= bytes {
            return;
        }
        let mut idle: Vec<(u64, usize)> =
            self.places.values().filter(|place| Arc::strong_count(&place.value) == 1).map(|place| (place.used, place.bytes)).collect();
        idle.sort_unstable();
        let (mut count, mut left, mut last) = (self.places.len(), self.bytes, None);
        let light = if left > bytes { bytes - bytes / 8 } else { bytes };
        for (used, weight) in idle {
            if count <= places && left <= light {
                break;
            }
            (count, left, last) = (count - 1, left - weight, Some(used));
        }
        let Some(last) = last else { return };
        self.places.retain(|_, place| place.used > last || Arc::strong_count(&place.value) > 1);
        self.bytes = self.places.values().map(|place| place.bytes).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    type Numbers = Shelf<usize, Mutex<usize>>;

    fn has(shelf: &Numbers, key: usize) -> bool {
        shelf.places.contains_key(&key)
    }

    #[test]
    fn what_is_full_forgets_the_oldest_and_never_all() {
        let mut shelf = Numbers::new(80, 1_000);
        let held = shelf.place(0);
        for key in 0..1_000 {
            shelf.place(key);
            shelf.place(500.min(key));
            assert!(shelf.places.len() <= 80 && (key < 70 || shelf.places.len() >= 69), "{}", shelf.places.len());
        }
        assert!(has(&shelf, 0), "it is in use");
        assert!(has(&shelf, 500) && has(&shelf, 999) && has(&shelf, 950) && !has(&shelf, 900));
        drop(held);
        for key in 2_000..2_100 {
            shelf.place(key);
        }
        assert!(!has(&shelf, 0) && !has(&shelf, 500));
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut shelf = Numbers::new(80, 1_000);
        for key in 0..200 {
            shelf.place(key);
            shelf.weigh(&key, 100);
            assert!(shelf.bytes <= 1_000 && shelf.bytes == shelf.places.len() * 100);
        }
        assert!(has(&shelf, 199) && has(&shelf, 195) && !has(&shelf, 180));
        shelf.weigh(&199, 100_000);
        assert!(shelf.bytes <= 1_000, "what is larger than the shelf is not kept");
        shelf.weigh(&7_000, 5);
    }

    #[test]
    fn with_all_in_use_nothing_is_remembered() {
        let mut shelf = Numbers::new(8, 1_000);
        let held: Vec<_> = (0..8).map(|key| shelf.place(key)).collect();
        let (one, other) = (shelf.place(9), shelf.place(9));
        assert!(!Arc::ptr_eq(&one, &other) && shelf.places.len() == 8);
        assert!(Arc::ptr_eq(&held[3], &shelf.place(3)));
    }
}
