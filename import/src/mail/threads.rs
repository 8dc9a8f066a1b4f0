//! The messages of others that the user may answer, in bounded memory.

use std::{
    collections::{HashMap, VecDeque},
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::text::{CONTEXT, cut};

/// Maximum number of messages.
const MOST: usize = 4000;

/// Excerpts of the latest messages by others, by message id.
#[derive(Debug, Default)]
pub(super) struct Threads {
    excerpts: HashMap<u64, String>,
    order: VecDeque<u64>,
}

impl Threads {
    /// Adds a message. The oldest one goes if there are too many.
    pub(super) fn add(&mut self, id: &str, text: &str) {
        let excerpt = cut(text, CONTEXT).trim_end();
        if id.is_empty() || excerpt.is_empty() {
            return;
        }
        let key = key(id);
        if self.excerpts.insert(key, excerpt.to_owned()).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > MOST {
            self.order.pop_front().map(|oldest| self.excerpts.remove(&oldest));
        }
    }

    /// Returns the excerpt of the message with this id.
    pub(super) fn get(&self, id: &str) -> Option<String> {
        self.excerpts.get(&key(id)).cloned()
    }
}

fn key(id: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    id.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_latest_messages() {
        let mut threads = Threads::default();
        for n in 0..MOST + 10 {
            threads.add(&format!("{n}@example.org"), &"word ".repeat(1000));
        }
        assert_eq!((threads.excerpts.len(), threads.order.len()), (MOST, MOST));
        assert_eq!(threads.get("9@example.org"), None);
        assert!(threads.get("10@example.org").is_some_and(|text| text.len() < CONTEXT));
    }
}
